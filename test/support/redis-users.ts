/**
 * A real Redis with the users that `hobbler acl` prints, and with the default user for the test itself. Says what Redis
 * refused to whom, by its ACL LOG, which forgets nothing that a program swallows.
 */
import { type AclRole, aclRules, aclUserName, passwordRule } from '../../shared/redis/acl.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { connectTest, freePort, startRedis, type TestRedis } from './redis.ts';

const PASSWORD = 'a-password-of-this-test-alone-0123456789';

export interface RedisWithUsers {
  server: TestRedis;
  /** As the default user, who may do everything. */
  root: Redis;
  /** Makes the user of a role, and gives the URL under which it comes in. */
  addUser(role: AclRole): Promise<string>;
  /** `command on object` that was refused to a user since the last time. */
  refusedTo(role: AclRole): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startRedisWithUsers(): Promise<RedisWithUsers> {
  const isContainer = process.env.HOBBLER_TEST_REDIS === 'docker';
  const port = await freePort();
  // A URL with a user needs a host in it, so not the unix socket.
  const args = isContainer ? [] : ['--port', String(port), '--bind', '127.0.0.1'];
  const server = await startRedis({ args });
  const url = new URL(isContainer ? server.url : `redis://127.0.0.1:${port}`);
  const root = connectTest(server);
  return {
    server,
    root,
    addUser: async (role) => {
      const rules = aclRules(role, { password: passwordRule(PASSWORD, 'test') });
      await root.call('ACL', 'SETUSER', aclUserName(role), ...rules.split(' '));
      return `redis://${aclUserName(role)}:${PASSWORD}@${url.host}`;
    },
    refusedTo: async (role) => {
      const entries = (await root.call('ACL', 'LOG')) as string[][];
      await root.call('ACL', 'LOG', 'RESET');
      return entries
        .map((flat) => new Map(flat.map((name, index) => [name, flat[index + 1]])))
        .filter((entry) => entry.get('username') === aclUserName(role))
        .map((entry) => `${entry.get('reason')} ${entry.get('object')} (${entry.get('context')})`);
    },
    stop: async () => {
      root.disconnect();
      await server.stop();
    },
  };
}

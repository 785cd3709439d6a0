/**
 * Each server that must carry our state: Redis, and the demo's embedded one, since what holds for the one must hold for
 * the other. A block of tests has one server for all of its tests, empty at each one's start.
 */
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { silentLogger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { findRedis } from '../../shared/redis/server.ts';
import { connectTest, flushAt, startRedis, type TestRedis } from './redis.ts';

type Server = Pick<TestRedis, 'url' | 'stop' | 'flush'>;

const EVERY_SERVER: [name: string, start: () => Promise<Server>][] = [
  ['Redis', startRedis],
  [
    'the embedded server',
    async () => {
      const { url, stop } = await findRedis({ url: undefined, log: silentLogger(), programs: [] });
      return { url, stop, flush: () => flushAt(url) };
    },
  ],
];

export interface OnServer {
  /** There from the first `beforeAll` on. */
  readonly redis: Redis;
  readonly url: string;
  /** Removes every key. */
  flush(): Promise<void>;
}

/** A block of tests, once for each server. */
export function describeOnEveryServer(what: string, tests: (on: OnServer) => void): void {
  describe.each(EVERY_SERVER)(`${what} on %s`, (_, start) => {
    let server: Server;
    let redis: Redis;
    beforeAll(async () => {
      server = await start();
      redis = connectTest(server);
    });
    afterEach(() => server.flush());
    afterAll(async () => {
      redis.disconnect();
      await server.stop();
    });
    tests({
      get redis() {
        return redis;
      },
      get url() {
        return server.url;
      },
      flush: () => server.flush(),
    });
  });
}

/**
 * `acl`: prints what a Redis user of hobbler must be allowed, and nothing more. The rules are shared/redis/acl.ts. It
 * connects to no Redis, and no password is ever printed: only its SHA-256, which is what Redis keeps.
 */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { type AclRole, aclRules, aclUserName, PASSWORD_PLACEHOLDER, passwordRule } from '../shared/redis/acl.ts';
import { databaseOf } from '../shared/redis/connection.ts';
import { type Cli, parseHost, Settings } from './context.ts';
import { EXIT } from './exit.ts';

interface AclFlags {
  producer?: boolean;
  admin?: boolean;
  passwordFile?: string;
  as?: 'setuser' | 'file';
}

export function addAclCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('acl')
    .description("print the Redis ACL of one host's worker, of the producer, or of the admin")
    .argument('[host]', 'the host whose worker it is for')
    .option('--producer', 'for the producer')
    .option('--admin', "for the admin, and for operators' command lines")
    .option('--password-file <file>', 'the first line is the password; its SHA-256 goes into the rules')
    .addOption(
      new Option(
        '--as <form>',
        'one line alone: a command for redis-cli, or a line of the file that aclfile names',
      ).choices(['setuser', 'file']),
    )
    .addHelpText(
      'after',
      `\nExample:
  openssl rand -hex 32 > web-1.password
  hobbler acl web-1 --password-file web-1.password --as setuser | redis-cli
  on web-1: HOBBLER_REDIS_URL=rediss://hobbler-worker-web-1:PASSWORD@redis.example:6379
Redis 7 or later, or Valkey. Close the way that is open by default, too: ACL SETUSER default off, or a line
"user default off" in the file. Giving a line again is how an upgrade of hobbler changes what is allowed.`,
    )
    .action((host: string | undefined, flags: AclFlags, command: Command) => {
      print(cli, new Settings(command, cli), roleOf(host, flags), flags);
      finish(EXIT.ok);
    });
}

function roleOf(host: string | undefined, { producer, admin }: AclFlags): AclRole {
  const roles: AclRole[] = [
    ...(host === undefined ? [] : [{ role: 'worker', host: parseHost(host, 'host') } as const]),
    ...(producer ? [{ role: 'producer' } as const] : []),
    ...(admin ? [{ role: 'admin' } as const] : []),
  ];
  if (roles.length === 1) return roles[0]!;
  throw new HobblerError('invalid-input', 'whose ACL?', {
    where: 'acl',
    expected: 'a host, or --producer, or --admin: one of them',
    got: roles.length,
  });
}

function print(cli: Cli, settings: Settings, role: AclRole, { passwordFile, as }: AclFlags): void {
  const rules = aclRules(role, {
    password:
      passwordFile === undefined ? PASSWORD_PLACEHOLDER : passwordRule(readPassword(passwordFile), passwordFile),
    database: databaseOf(settings.redisUrl),
  });
  const name = aclUserName(role);
  const setUser = `ACL SETUSER ${name} ${rules}`;
  const line = `user ${name} ${rules}`;
  if (as === 'setuser') cli.out(setUser);
  else if (as === 'file') cli.out(line);
  else {
    const note =
      passwordFile === undefined
        ? ` Put >PASSWORD, or # and its SHA-256, in the place of ${PASSWORD_PLACEHOLDER}.`
        : '';
    cli.out(
      [
        `# In redis-cli, then ACL SAVE (or CONFIG REWRITE).${note}`,
        setUser,
        '# Or as a line of the file that aclfile names, then ACL LOAD:',
        line,
      ].join('\n'),
    );
  }
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0]!;
  } catch (error) {
    throw new HobblerError('invalid-input', `cannot be read (${messageOf(error)})`, { where: '--password-file' });
  }
}

/**
 * Who may do what in Redis, in one place: the ACL of one host's worker, of the producer, and of the admin (which the
 * operators' CLI shares). Derived from keys.ts; pure: it makes text and asks no server. Least privilege: each family of
 * keys has a selector of its own that lists the commands which hobbler, ioredis and BullMQ send there, those inside Lua
 * scripts included, since Redis checks each of them. Needs Redis 7 or Valkey, which have selectors and read-only keys.
 *
 * What an ACL cannot say: with how long a stream XADD trims it (so who may append to an audit may empty it), which
 * member SADD adds, and how much memory or time a user may take. docs/security.md tells what follows from that.
 */
import { createHash } from 'node:crypto';
import { HobblerError } from '../errors.ts';
import {
  EXPLAINED_PATTERN,
  fleetKeys,
  HISTORY_PATTERN,
  hostKeys,
  idempotencyKey,
  LEDGER_PATTERN,
  ledgerKeys,
  ORDERS_QUEUE,
  queuePrefix,
  WEBHOOKS_PREFIX,
} from '../keys.ts';

export type AclRole = { role: 'worker'; host: string } | { role: 'producer' } | { role: 'admin' };

/** How a family of keys may be used: read, write (which shows nothing of what is there), or both. */
type KeyAccess = 'R' | 'W' | 'RW';

/** One selector: these commands, on these keys. */
interface Grant {
  access: KeyAccess;
  /** Glob patterns of Redis. */
  keys: readonly string[];
  commands: readonly string[];
}

/** What touches no key. INFO is asked by ioredis when it connects, and by the check that this Redis is fit. */
const CONNECTION = ['ping', 'info', 'time', 'client|setname', 'multi', 'exec'];
/** Redis checks the keys that a script is given as if it read and wrote them all. */
const SCRIPTS = ['eval', 'evalsha'];
/** The compare-and-set of orders, the forgetting of ended ones, and reading them. */
const ORDER_RECORDS = ['hget', 'hset', 'hlen', 'hdel', 'hgetall', 'hscan', 'hmget', ...SCRIPTS];
const FLEET_RECORDS = [...ORDER_RECORDS, 'get', 'set', 'zadd', 'zrem', 'zrangebyscore'];

/** What BullMQ sends to add a job to a queue and to look at one. test/redis/shared/acl.test.ts compares its scripts. */
const ADD_JOBS = [
  ...['eval', 'evalsha', 'exists', 'del', 'get', 'set', 'incr', 'persist', 'pttl', 'xadd'],
  ...['hget', 'hgetall', 'hmget', 'hmset', 'hset', 'llen', 'lpos', 'lpush', 'lrange', 'rpush', 'sadd', 'scard'],
  ...['zadd', 'zrange', 'zrem', 'zrevrangebyscore', 'zscore'],
];
/** What BullMQ's Worker sends to take jobs, finish, retry and recover them. */
const TAKE_JOBS = [
  ...['eval', 'evalsha', 'exists', 'del', 'get', 'set', 'incr', 'pexpire', 'pttl', 'xadd', 'xtrim'],
  ...['hdel', 'hexists', 'hget', 'hgetall', 'hincrby', 'hmget', 'hmset', 'hset'],
  ...['llen', 'lpush', 'lrange', 'lrem', 'ltrim', 'rpoplpush', 'rpush', 'sadd', 'scard', 'smembers', 'srem'],
  ...['bzpopmin', 'zadd', 'zcard', 'zpopmin', 'zrange', 'zrangebyscore', 'zrem', 'zremrangebyrank'],
  ...['zremrangebyscore', 'zrevrange', 'zrevrangebyscore', 'zscore'],
];
/** What the queue board sends besides: all that BullMQ's Queue and Job can do. */
const TEND_JOBS = [
  ...new Set([...ADD_JOBS, ...TAKE_JOBS]),
  ...['hlen', 'lindex', 'lpop', 'lset', 'rename', 'rpop', 'sismember', 'type', 'zcount'],
];

/** Any host, as a pattern. */
const ANY = '*';

/** The grants of a role; the first holds what touches no key. */
function grantsOf(role: AclRole): { keyless: readonly string[]; grants: readonly Grant[] } {
  switch (role.role) {
    case 'worker': {
      const host = escapeGlob(role.host);
      return {
        keyless: CONNECTION,
        grants: [
          { access: 'RW', keys: [queueKeys(host)], commands: TAKE_JOBS },
          { access: 'RW', keys: [hostKeys.desired(host)], commands: ORDER_RECORDS },
          {
            access: 'RW',
            keys: [hostKeys.lease(host), hostKeys.epoch(host)],
            commands: ['get', 'set', 'incr', 'pexpire', 'pttl', 'del', ...SCRIPTS],
          },
          {
            access: 'W',
            keys: [hostKeys.observed(host), hostKeys.meter(host), hostKeys.status(host), hostKeys.trees(host)],
            commands: ['del', 'hset', 'hdel', 'set'],
          },
          {
            access: 'R',
            keys: [
              ...[hostKeys.hold(host), hostKeys.looking(host), fleetKeys.hold],
              ...[fleetKeys.desired, fleetKeys.revisions, fleetKeys.revision],
            ],
            commands: ['get', 'hgetall', 'hmget', 'zrangebyscore'],
          },
          { access: 'W', keys: [fleetKeys.hosts], commands: ['sadd'] },
          { access: 'W', keys: [hostKeys.audit(host)], commands: ['xadd'] },
        ],
      };
    }
    case 'producer':
      return {
        // SCAN shows the names of all keys, and of no other role is it asked.
        keyless: [...CONNECTION, 'scan'],
        grants: [
          {
            access: 'RW',
            keys: [LEDGER_PATTERN],
            commands: ['hget', 'hgetall', 'hset', 'hdel', 'pexpire', 'del', ...SCRIPTS],
          },
          { access: 'W', keys: [HISTORY_PATTERN, EXPLAINED_PATTERN], commands: ['xadd', 'pexpire', 'set'] },
          // It forgets pins that have ended, and sets none.
          { access: 'RW', keys: [ledgerKeys.pins], commands: ['hget', 'hgetall', 'hdel', ...SCRIPTS] },
          { access: 'RW', keys: [ledgerKeys.brake], commands: ['get', 'set'] },
          { access: 'RW', keys: [ledgerKeys.followed], commands: ['hget', 'hset'] },
          { access: 'RW', keys: [idempotencyKey(ANY)], commands: ['get', 'set', 'del'] },
          { access: 'RW', keys: [`${WEBHOOKS_PREFIX}:*`], commands: [...ADD_JOBS, ...TAKE_JOBS] },
          { access: 'RW', keys: [queueKeys(ANY)], commands: ADD_JOBS },
          { access: 'RW', keys: [hostKeys.desired(ANY)], commands: ORDER_RECORDS },
          { access: 'RW', keys: FLEET_KEYS, commands: FLEET_RECORDS },
          {
            access: 'R',
            keys: [hostKeys.status(ANY), hostKeys.meter(ANY), fleetKeys.hosts],
            commands: ['get', 'hgetall', 'smembers'],
          },
          { access: 'W', keys: [fleetKeys.audit], commands: ['xadd'] },
        ],
      };
    case 'admin':
      return {
        keyless: CONNECTION,
        grants: [
          { access: 'RW', keys: [queueKeys(ANY)], commands: TEND_JOBS },
          { access: 'RW', keys: [hostKeys.desired(ANY)], commands: [...ORDER_RECORDS, 'del'] },
          { access: 'RW', keys: FLEET_KEYS, commands: FLEET_RECORDS },
          { access: 'RW', keys: [hostKeys.hold(ANY), fleetKeys.hold], commands: ['get', 'set', 'del'] },
          { access: 'RW', keys: [ledgerKeys.pins], commands: ['hgetall', 'hlen', 'hexists', 'hset', 'hdel'] },
          { access: 'RW', keys: [ledgerKeys.brake], commands: ['get', 'set'] },
          {
            access: 'R',
            keys: [
              ...[hostKeys.status(ANY), hostKeys.observed(ANY), hostKeys.trees(ANY), hostKeys.audit(ANY)],
              ...[fleetKeys.hosts, fleetKeys.audit],
              // To explain an account; what is remembered of it is the producer's to change.
              ...[LEDGER_PATTERN, HISTORY_PATTERN, EXPLAINED_PATTERN],
            ],
            commands: ['get', 'hgetall', 'smembers', 'xrange', 'xrevrange'],
          },
          { access: 'W', keys: [hostKeys.looking(ANY)], commands: ['set'] },
          { access: 'W', keys: [fleetKeys.audit], commands: ['xadd'] },
          // To forget a host that is gone for good.
          { access: 'W', keys: [hostKeys.status(ANY), hostKeys.observed(ANY), hostKeys.meter(ANY)], commands: ['del'] },
          { access: 'W', keys: [fleetKeys.hosts], commands: ['srem'] },
        ],
      };
  }
}

const FLEET_KEYS = [fleetKeys.desired, fleetKeys.revisions, fleetKeys.revision];

function queueKeys(host: string): string {
  return `${queuePrefix(host)}:${ORDERS_QUEUE}:*`;
}

/** Text as a pattern that matches it alone. Host names hold nothing to escape; this holds where they would. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&');
}

/** The name of a role's Redis user. */
export function aclUserName(role: AclRole): string {
  return role.role === 'worker' ? `hobbler-worker-${role.host}` : `hobbler-${role.role}`;
}

export interface AclOptions {
  /** `>PASSWORD` or `#SHA256`, as `passwordRule` makes it. */
  password: string;
  /** The number of the database in the Redis URL, when it is not 0: patterns hold in all, SELECT is for this one. */
  database?: number;
}

/** The rules of a role's user: what follows `ACL SETUSER NAME` and, in a users.acl file, `user NAME`. */
export function aclRules(role: AclRole, { password, database = 0 }: AclOptions): string {
  const { keyless, grants } = grantsOf(role);
  // `reset` first, so that giving it again takes back whatever an older version of this list allowed.
  const select = database === 0 ? [] : [`+select|${database}`];
  const root = ['reset', 'on', password, 'resetchannels', ...keyless.map(allow), ...select];
  return [...root, ...grants.map(selector)].join(' ');
}

function selector({ access, keys, commands }: Grant): string {
  const sign = access === 'RW' ? '~' : `%${access}~`;
  return `(${[...keys.map((key) => `${sign}${key}`), ...[...new Set(commands)].map(allow)].join(' ')})`;
}

const allow = (command: string) => `+${command}`;

/** A guess at a password costs Redis a microsecond, and Redis does not slow guessers down. */
const MIN_PASSWORD_CHARS = 24;

/** The rule for a password, as its SHA-256, which is how Redis keeps it. Throws invalid-input for a weak one. */
export function passwordRule(password: string, where: string): string {
  if (password.length < MIN_PASSWORD_CHARS || !/^[\x21-\x7e]+$/.test(password)) {
    throw new HobblerError('invalid-input', 'not fit as a password of Redis', {
      where,
      expected: `${MIN_PASSWORD_CHARS} or more printable characters without spaces`,
      hint: 'make one with: openssl rand -hex 32',
    });
  }
  return `#${createHash('sha256').update(password).digest('hex')}`;
}

/** What stands where no password was given: no rule at all, so that Redis refuses the line until it is replaced. */
export const PASSWORD_PLACEHOLDER = 'REPLACE-THIS-BY->PASSWORD';

/** A command that tries a permission and changes nothing. */
export interface AclProbe {
  /** What would not work without it. */
  what: string;
  command: string;
  args: readonly (string | number)[];
}

/** What a worker's user must be able to do, so far as that can be tried without writing: a script that does nothing asks for both. */
export function workerProbes(host: string): AclProbe[] {
  const script = (what: string, ...keys: string[]) => ({
    what,
    command: 'eval',
    args: ['return 1', keys.length, ...keys],
  });
  return [
    { what: 'telling the time', command: 'time', args: [] },
    script('taking jobs', `${queuePrefix(host)}:${ORDERS_QUEUE}:wait`),
    script('keeping orders', hostKeys.desired(host)),
    script('holding the lease', hostKeys.lease(host), hostKeys.epoch(host)),
    { what: 'seeing the hold of this host', command: 'get', args: [hostKeys.hold(host)] },
    { what: 'seeing the hold of the fleet', command: 'get', args: [fleetKeys.hold] },
    { what: "seeing the fleet's revision", command: 'get', args: [fleetKeys.revision] },
    { what: "reading the fleet's orders", command: 'hmget', args: [fleetKeys.desired, 'uid:0'] },
  ];
}

/** What no worker's user should be able to do: read another host's orders. No host can have that name. */
export function strangerProbe(): AclProbe {
  return { what: "reading other hosts' orders", command: 'hget', args: [hostKeys.desired('_'), 'uid:0'] };
}

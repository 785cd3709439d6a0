/**
 * The ACL that `hobbler acl` prints, asked of a real Redis: which role may do what with each family of keys. Redis
 * itself judges (ACL DRYRUN); the table is docs/security.md's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  explainedKey,
  fleetKeys,
  historyKey,
  hostKeys,
  idempotencyKey,
  ledgerKey,
  ledgerKeys,
  ORDERS_QUEUE,
  queuePrefix,
  WEBHOOKS_PREFIX,
  webhookKeys,
} from '../../../shared/keys.ts';
import { type AclRole, aclRules, aclUserName, passwordRule } from '../../../shared/redis/acl.ts';
import { connectTest, startRedis } from '../../support/redis.ts';
import { type RedisWithUsers, startRedisWithUsers } from '../../support/redis-users.ts';

const WORKER: AclRole = { role: 'worker', host: 'web-1' };
const PRODUCER: AclRole = { role: 'producer' };
const ADMIN: AclRole = { role: 'admin' };
const ROLES = { worker: WORKER, producer: PRODUCER, admin: ADMIN };

let redis: RedisWithUsers;
beforeAll(async () => {
  redis = await startRedisWithUsers();
  for (const role of Object.values(ROLES)) await redis.addUser(role);
});
afterAll(() => redis.stop());

async function may(role: AclRole, command: string, ...args: (string | number)[]): Promise<boolean> {
  return (await redis.root.call('ACL', 'DRYRUN', aclUserName(role), command, ...args)) === 'OK';
}

/** By type: the commands that read, append and write. Each is tried; its key goes in as the first argument. */
const WAYS = {
  hash: { read: ['HGETALL', 'HMGET f', 'HGET f'], write: ['HSET f v', 'HDEL f'] },
  string: { read: ['GET'], write: ['SET v', 'DEL'] },
  stream: { read: ['XREVRANGE + -'], append: ['XADD * f v'], write: ['DEL', 'XDEL 1-1', 'XTRIM MAXLEN 0'] },
  set: { read: ['SMEMBERS'], append: ['SADD m'], write: ['SREM m', 'DEL'] },
  sorted: { read: ['ZRANGEBYSCORE 0 1'], write: ['ZADD 1 m', 'ZREM m'] },
  job: { read: ['HGETALL'], write: ['HSET f v', 'DEL'] },
} as const;

type Way = 'read' | 'append' | 'write';

/** What a worker (on its own host), the producer and the admin may: r(ead), a(ppend), w(rite). */
const FAMILIES: [
  name: string,
  key: (host: string) => string,
  type: keyof typeof WAYS,
  own: string,
  p: string,
  a: string,
][] = [
  ['orders', (host) => `${queuePrefix(host)}:${ORDERS_QUEUE}:1`, 'job', 'rw', 'rw', 'rw'],
  ['desired', hostKeys.desired, 'hash', 'rw', 'rw', 'rw'],
  ['observed', hostKeys.observed, 'hash', 'w', '', 'r'],
  ['status', hostKeys.status, 'string', 'w', 'r', 'rw'],
  ['lease', hostKeys.lease, 'string', 'rw', '', ''],
  ['epoch', hostKeys.epoch, 'string', 'rw', '', ''],
  ['meter', hostKeys.meter, 'hash', 'w', 'r', ''],
  ['looking', hostKeys.looking, 'string', 'r', '', 'w'],
  ['trees', hostKeys.trees, 'string', 'w', '', 'r'],
  ['audit', hostKeys.audit, 'stream', 'a', '', 'r'],
  ['hold', hostKeys.hold, 'string', 'r', '', 'rw'],
];
const FLEET: typeof FAMILIES = [
  ['fleet', () => fleetKeys.desired, 'hash', 'r', 'rw', 'rw'],
  ['revisions', () => fleetKeys.revisions, 'sorted', 'r', 'rw', 'rw'],
  ['revision', () => fleetKeys.revision, 'string', 'r', 'rw', 'rw'],
  ['hosts', () => fleetKeys.hosts, 'set', 'a', 'r', 'rw'],
  ['fleet audit', () => fleetKeys.audit, 'stream', '', 'a', 'ra'],
  ['fleet hold', () => fleetKeys.hold, 'string', 'r', '', 'rw'],
  ['ledger', () => ledgerKey('alice'), 'hash', '', 'rw', 'r'],
  ['history', () => historyKey('alice'), 'stream', '', 'a', 'r'],
  ['explained', () => explainedKey('alice'), 'string', '', 'w', 'r'],
  ['pins', () => ledgerKeys.pins, 'hash', '', 'rw', 'rw'],
  ['followed', () => ledgerKeys.followed, 'hash', '', 'rw', ''],
  ['brake', () => ledgerKeys.brake, 'string', '', 'rw', 'rw'],
  ['webhooks', () => webhookKeys.news('ops', 'x'), 'string', '', 'rw', ''],
  ['webhook jobs', () => `${WEBHOOKS_PREFIX}:deliveries:1`, 'job', '', 'rw', ''],
  ['idempotency', () => idempotencyKey('digest'), 'string', '', 'rw', ''],
];

async function waysOf(role: AclRole, key: string, type: keyof typeof WAYS): Promise<string> {
  let found = '';
  for (const way of ['read', 'append', 'write'] as const) {
    const commands = (WAYS[type] as Partial<Record<Way, readonly string[]>>)[way] ?? [];
    const allowed: boolean[] = [];
    for (const text of commands) {
      const [command, ...args] = text.split(' ');
      allowed.push(await may(role, command!, key, ...args));
    }
    // `read` counts when one way of reading is open, and so does `write`: doors must be shut whole.
    if (allowed.some(Boolean)) found += way[0];
  }
  return found;
}

describe('a key family', () => {
  it('is in this table: every key of shared/keys.ts', () => {
    const named = new Set([...FAMILIES, ...FLEET].map(([, key]) => key('h')));
    for (const key of Object.values(hostKeys)) expect(named).toContain(key('h'));
    for (const key of [...Object.values(fleetKeys), ...Object.values(ledgerKeys)]) expect(named).toContain(key);
  });

  it.each(FAMILIES)('%s: of the own host, by producer, by admin', async (_name, key, type, own, producer, admin) => {
    expect(await waysOf(WORKER, key('web-1'), type)).toBe(own);
    expect(await waysOf(PRODUCER, key('web-1'), type)).toBe(producer);
    expect(await waysOf(ADMIN, key('web-1'), type)).toBe(admin);
  });

  it.each(FAMILIES)("%s: another host's is closed to a worker, whatever its name", async (_name, key, type) => {
    for (const host of ['web-2', 'web-10', 'web-1.example', 'eb-1', 'xweb-1', '*'])
      expect(await waysOf(WORKER, key(host), type)).toBe('');
  });

  it.each(FLEET)('%s: of the fleet, by worker, producer, admin', async (_name, key, type, own, producer, admin) => {
    expect(await waysOf(WORKER, key(''), type)).toBe(own);
    expect(await waysOf(PRODUCER, key(''), type)).toBe(producer);
    expect(await waysOf(ADMIN, key(''), type)).toBe(admin);
  });
});

const FORBIDDEN = [
  'FLUSHALL',
  'FLUSHDB',
  'CONFIG GET requirepass',
  'CONFIG SET dir /tmp',
  'KEYS *',
  'RANDOMKEY',
  'DBSIZE',
  'MONITOR',
  'CLIENT LIST',
  'CLIENT KILL TYPE normal',
  'CLIENT PAUSE 1000',
  'ACL LIST',
  'ACL SETUSER x on',
  'SCRIPT FLUSH',
  'SCRIPT KILL',
  'FUNCTION FLUSH',
  'SUBSCRIBE x',
  'PSUBSCRIBE *',
  'PUBLISH x y',
  'SELECT 1',
  'SWAPDB 0 1',
  'SHUTDOWN',
  'DEBUG SLEEP 0',
  'SAVE',
  'BGREWRITEAOF',
  'REPLICAOF NO ONE',
  'MODULE LIST',
  'SLOWLOG GET',
  'LATENCY RESET',
  'MEMORY DOCTOR',
  'COMMAND DOCS',
];

describe.each(Object.entries(ROLES))('the %s', (name, role) => {
  it.each(FORBIDDEN)('may not run %s', async (text) => {
    const [command, ...args] = text.split(' ');
    expect(await may(role, command!, ...args)).toBe(false);
  });

  it('may not look through the names of keys, unless it is the producer, who finds its ledgers so', async () => {
    expect(await may(role, 'SCAN', '0')).toBe(name === 'producer');
  });

  it('may not copy, dump or move what it can reach', async () => {
    const key = hostKeys.desired('web-1');
    for (const args of [
      ['COPY', key, 'x'],
      ['DUMP', key],
      ['RESTORE', key, '0', ''],
      ['OBJECT', 'FREQ', key],
      ['MOVE', key, '1'],
    ])
      expect(await may(role, args[0]!, ...args.slice(1))).toBe(false);
  });
});

describe('rules', () => {
  const password = passwordRule('a-password-of-this-test-alone', 'test');

  it('give the same when they are given again, and take back what else was there', async () => {
    const before = await redis.root.call('ACL', 'GETUSER', aclUserName(WORKER));
    await redis.root.call('ACL', 'SETUSER', aclUserName(WORKER), '~*', '+@all', 'nopass');
    await redis.addUser(WORKER);
    expect(await redis.root.call('ACL', 'GETUSER', aclUserName(WORKER))).toEqual(before);
  });

  it.each(Object.entries(ROLES))('stand in a users.acl file, too: %s', async (_name, role) => {
    const dir = await mkdtemp(join(tmpdir(), 'hobbler-acl-'));
    const file = join(dir, 'users.acl');
    await writeFile(
      file,
      `user default on nopass ~* &* +@all\nuser ${aclUserName(role)} ${aclRules(role, { password })}\n`,
    );
    const server = await startRedis({ args: ['--aclfile', file] });
    const root = connectTest(server);
    try {
      const inFile = await root.call('ACL', 'GETUSER', aclUserName(role));
      await root.call('ACL', 'SETUSER', 'by-hand', ...aclRules(role, { password }).split(' '));
      expect(await root.call('ACL', 'GETUSER', 'by-hand')).toEqual(inFile);
    } finally {
      root.disconnect();
      await server.stop();
      await rm(dir, { recursive: true });
    }
  });

  it('let a worker into the database of its URL, and into no other', async () => {
    const rules = aclRules(WORKER, { password, database: 3 });
    await redis.root.call('ACL', 'SETUSER', 'in-3', ...rules.split(' '));
    const dryRun = (database: number) => redis.root.call('ACL', 'DRYRUN', 'in-3', 'SELECT', database);
    expect(await dryRun(3)).toBe('OK');
    expect(await dryRun(0)).not.toBe('OK');
  });
});

/** The commands that BullMQ's scripts of these names run. */
function commandsOf(scripts: RegExp): string[] {
  const folder = new URL('../../../node_modules/bullmq/dist/esm/scripts/', import.meta.url);
  const found = new Set<string>();
  const names = readdirSync(folder).filter((name) => name.endsWith('.js') && scripts.test(name));
  for (const name of names) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    for (const [, command] of text.matchAll(/\b(?:rcall|redis\.p?call)\(\s*["']([A-Za-z]+)["']/g))
      found.add(command!.toLowerCase());
    for (const [, command] of text.matchAll(/["']([LR]PUSH)["']/g)) found.add(command!.toLowerCase());
  }
  expect(names.length).toBeGreaterThan(0);
  return [...found];
}

describe("BullMQ's scripts run nothing that is not allowed: for", () => {
  it.each([
    [
      'the worker',
      WORKER,
      /^(?:moveTo(?:Active|Finished|Delayed)|moveStalledJobsToWait|moveJobFromActiveToWait|extendLocks?|retryJob|releaseLock|saveStacktrace|getRateLimitTtl|isMaxed|isFinished)-/,
    ],
    ['the producer', PRODUCER, /^addStandardJob-/],
    ['the admin', ADMIN, /^(?!relay|index)/],
  ])('%s', (_name, role, scripts) => {
    const rules = aclRules(role, { password: passwordRule('a-password-of-this-test-alone', 'test') });
    const queueRules = /\(~hobbler:\{[^}]*\}:orders:\* ([^)]*)\)/.exec(rules)![1]!.split(' ');
    // TIME touches no key and stands outside.
    const missing = commandsOf(scripts).filter((command) => command !== 'time' && !queueRules.includes(`+${command}`));
    expect(missing).toEqual([]);
  });
});

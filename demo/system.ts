/**
 * The demo's hobbler: Redis, worker, producer and, with --keep, the admin, as they run anywhere, in one process. Owns
 * their configs, a directory of its own, and the promise that a Redis in use by others is left alone: with minUid at the
 * caller's own uid, orders of another fleet would be carried out here.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AdminConfig, loadAdminConfig } from '../admin/config.ts';
import { createAdminService } from '../admin/service.ts';
import { loadProducerConfig, type ProducerConfig } from '../producer/config.ts';
import { createProducerService } from '../producer/service.ts';
import type { Clock } from '../shared/clock.ts';
import { loadSection } from '../shared/config.ts';
import { readEnvironment } from '../shared/environment.ts';
import { HobblerError } from '../shared/errors.ts';
import { fleetKeys, hostKeys, ledgerKey, ledgerKeys, queuePrefix } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import { connectRedis, hideSecrets, type Redis, requireFitRedis } from '../shared/redis/connection.ts';
import { type FoundRedis, findRedis } from '../shared/redis/server.ts';
import type { Service } from '../shared/service.ts';
import { workerConfigSchema } from '../worker/config.ts';
import { createWorkerService } from '../worker/service.ts';

const CONFIG_PATH = fileURLToPath(new URL('./hobbler.yaml', import.meta.url));
const HOST_PREFIX = 'hobbler-demo-';
/** After the guard, which acts at once, has released what is in the directory's journal; seconds. */
const REMOVE_AFTER_S = 2;

export interface DemoSystem {
  /** In the order in which they are to be started. */
  services: readonly Service[];
  host: string;
  dir: string;
  stateDir: string;
  redis: Redis;
  /** Which Redis it is, in words. */
  redisWords: string;
  redisUrl: string;
  /** True: it was there before us, and stays. */
  isRedisGiven: boolean;
  rules: ProducerConfig;
  producerUrl(): string;
  token: string;
  adminUrl(): string | null;
  adminLogin: string;
}

export interface SystemOptions {
  redisUrl: string | undefined;
  keep: boolean;
  clock: Clock;
  log: Logger;
}

/** Finds or starts Redis and prepares the rest; nothing else is started yet. Throws redis-unavailable or -misconfigured. */
export async function prepareSystem({ redisUrl: givenUrl, keep, clock, log }: SystemOptions): Promise<DemoSystem> {
  const token = randomBytes(24).toString('base64url');
  const password = randomBytes(12).toString('base64url');
  const rules = loadProducerConfig(CONFIG_PATH, { producerToken: token });
  const admins: AdminConfig | null = keep
    ? loadAdminConfig(CONFIG_PATH, { ...readEnvironment(), adminUser: 'demo', adminPassword: password })
    : null;
  const found = await findRedis({ url: givenUrl, log });
  const redis = connectRedis({ url: found.url, name: 'hobbler-demo' }, log);
  try {
    await requireFitRedis(redis, found.url);
    if (givenUrl !== undefined) await requireUnused(redis, givenUrl);
  } catch (error) {
    redis.disconnect();
    await found.stop();
    throw error;
  }
  const host = `${HOST_PREFIX}${process.pid}`;
  const dir = mkdtempSync(join(tmpdir(), HOST_PREFIX));
  const stateDir = join(dir, 'state');
  const settings = (name: string) => ({ url: found.url, name: `hobbler-demo-${name}` });
  const worker = createWorkerService({
    config: {
      ...loadSection(CONFIG_PATH, 'worker', workerConfigSchema),
      host,
      stateDir,
      minUid: process.getuid?.() ?? 0,
      // Unsigned on a Redis that others reach: it was found empty, and minUid keeps it to the caller's own processes.
      allowUnsigned: true,
    },
    redis: settings('worker'),
    stateDir,
    clock,
    log,
  });
  const producer = createProducerService({ config: rules, redis: settings('producer'), clock, log });
  const admin = admins && createAdminService({ config: admins, redis: settings('admin'), clock, log });
  const base = createBase(dir, redis, host, found, givenUrl !== undefined);
  return {
    services: [base, worker, producer, ...(admin ? [admin] : [])],
    host,
    dir,
    stateDir,
    redis,
    redisWords: found.what,
    redisUrl: found.url,
    isRedisGiven: givenUrl !== undefined,
    rules,
    producerUrl: () => producer.url!,
    token,
    adminUrl: () => admin?.url ?? null,
    adminLogin: `demo / ${password}`,
  };
}

/** The first to start and the last to stop: the directory, and Redis. */
function createBase(dir: string, redis: Redis, host: string, found: FoundRedis, isGiven: boolean): Service {
  let janitor: ReturnType<typeof spawn> | undefined;
  return {
    name: 'base',
    start: async () => {
      // Removes the directory when we cannot: its standard input ends with us, also when we are killed.
      const script = `trap '' INT TERM HUP; read -r _; sleep ${REMOVE_AFTER_S}; rm -rf "$1"`;
      janitor = spawn('sh', ['-c', script, 'hobbler-demo', dir], {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
      });
      janitor.on('error', () => {});
    },
    stop: async () => {
      if (isGiven) await forgetDemo(redis, host).catch(() => {});
      redis.disconnect();
      await found.stop();
      rmSync(dir, { recursive: true, force: true });
      if (janitor && janitor.exitCode === null && janitor.signalCode === null) {
        const gone = new Promise((resolve) => janitor!.once('exit', resolve));
        janitor.kill('SIGKILL');
        await gone;
      }
    },
  };
}

/** Throws redis-misconfigured when a fleet lives on that Redis. */
async function requireUnused(redis: Redis, url: string): Promise<void> {
  const [hosts, orders] = await Promise.all([redis.smembers(fleetKeys.hosts), redis.exists(fleetKeys.desired)]);
  const others = hosts.filter((host) => !host.startsWith(HOST_PREFIX));
  if (others.length === 0 && orders === 0) return;
  throw new HobblerError('redis-misconfigured', 'a fleet uses this Redis', {
    where: hideSecrets(url),
    got: others.slice(0, 5),
    hint: 'unset HOBBLER_REDIS_URL and REDIS_URL for the demo, or give it another database, such as redis://127.0.0.1/9',
  });
}

/** Takes the demo's keys out of a Redis that goes on living. */
async function forgetDemo(redis: Redis, host: string): Promise<void> {
  await redis.srem(fleetKeys.hosts, host);
  const queueKeys: string[] = [];
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${queuePrefix(host)}:*`, 'COUNT', 500);
    queueKeys.push(...keys);
    cursor = next;
    if (cursor === '0') break;
  }
  const own = Object.values(hostKeys).map((key) => key(host));
  await redis.del(...new Set([...queueKeys, ...own, ...ACCOUNTS.map(ledgerKey), ledgerKeys.brake, fleetKeys.audit]));
}

/** The greedy one first. */
export const ACCOUNTS = ['ann', 'bob', 'cleo'] as const;
export const GREEDY = ACCOUNTS[0];

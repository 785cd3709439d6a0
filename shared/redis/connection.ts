/**
 * The one door to ioredis. Owns how a connection is made, named, checked and closed. Never decides what is stored.
 */
import type { Socket } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';
import { HobblerError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { RedisTls } from './config.ts';
import { commandOf, describeTrouble, isNotPermitted, refusedByRedis, rewordReply } from './trouble.ts';

export type { Redis };

export interface RedisSettings {
  /** redis://, rediss:// or unix:// URL. */
  url: string;
  /** What CLIENT LIST shows, e.g. `hobbler-worker`. */
  name: string;
  /** For rediss://: whom to trust, and what to show. */
  tls?: RedisTls | undefined;
}

/** Longest pause between two tries to reach Redis, milliseconds. */
const MAX_RETRY_MS = 2_000;

/**
 * A connection on which nothing comes for so long after a command was sent is wedged: a network or a server that swallows
 * everything, and keeps it open. It is given up, which is said, and another one opened; TCP alone would wait for a
 * quarter of an hour. Longer than a command may take, so that a slow Redis loses commands and not the connection.
 */
const WEDGED_AFTER_MS = 10_000;

/**
 * Options for connections that BullMQ owns; it wants commands to wait for Redis rather than fail. `blocksForMs`: the
 * longest that a command waits there for something to do.
 */
export function blockingOptions(settings: RedisSettings, blocksForMs: number): RedisOptions {
  return { ...base(settings), maxRetriesPerRequest: null, socketTimeout: blocksForMs + WEDGED_AFTER_MS };
}

/** The last error of each connection: ioredis tells a command only that it has tried often enough. */
const lastErrors = new WeakMap<Redis, string>();

/** What a connection really met, where a command failed with ioredis's "max retries". */
export function whyUnreachable(redis: Redis, error: unknown): string {
  return lastErrors.get(redis) ?? messageOf(error);
}

export interface ConnectionUse {
  /**
   * Commands of one turn of the event loop go out together: a packet costs Redis five times what is in it, and 1,000 hosts
   * beat. Those that come while such a packet is under way go with the next one.
   */
  gathers?: boolean;
}

/** A connection whose commands fail within seconds while Redis is away, so that callers can go on without it. */
export function connectRedis(settings: RedisSettings, log: Logger, { gathers = false }: ConnectionUse = {}): Redis {
  const saidOf = new Set<string>();
  const onRefusal = (command: string, message: string) => {
    // Once for each command: whoever waits for its answer may have reasons of his own to be silent about it.
    if (!saidOf.has(command)) log.warn(message);
    saidOf.add(command);
  };
  const redis = new Redis({
    ...base(settings, onRefusal),
    maxRetriesPerRequest: 1,
    commandTimeout: 5_000,
    enableAutoPipelining: gathers,
    socketTimeout: WEDGED_AFTER_MS,
  });
  let lastMessage: string | undefined;
  redis.on('error', (error: Error) => {
    const message = describeTrouble(error, redis.options.tls !== undefined);
    // ioredis repeats this at every try; people need it once. It is empty when a name has several addresses.
    if (message !== lastMessage)
      log.warn({ redis: hideSecrets(settings.url) }, `Redis: ${message || 'cannot be reached'}`);
    lastMessage = message;
    if (message) lastErrors.set(redis, message);
  });
  redis.on('ready', () => {
    if (lastMessage !== undefined) log.info('Redis is back');
    lastMessage = undefined;
  });
  return redis;
}

type OnRefusal = (command: string, message: string) => void;

function base({ url, name, tls }: RedisSettings, onRefusal: OnRefusal = () => {}): RedisOptions {
  const options = parseUrl(url);
  return {
    ...options,
    ...(options.tls && tls ? { tls: { ...tls } } : {}),
    connectionName: name,
    // CLIENT SETINFO is of no use to anybody, and each refusal of it would stand in Redis's ACL LOG.
    disableClientInfo: true,
    // Shorter than a command's, so that the reason is known when a command gives up.
    connectTimeout: 4_000,
    // Not to reconnect, but because it sees every error that Redis answers, of BullMQ's connections too.
    reconnectOnError: (error) => {
      rewordReply(error);
      if (isNotPermitted(error)) onRefusal(commandOf(error), error.message);
      return false;
    },
    retryStrategy: (tries) => Math.min(50 * 2 ** Math.min(tries, 6), MAX_RETRY_MS),
  };
}

function parseUrl(text: string): RedisOptions {
  const fail = (expected: string, got = hideSecrets(text)) =>
    new HobblerError('invalid-config', 'not a Redis URL', { where: 'REDIS_URL', expected, got });
  let url: URL;
  const options: RedisOptions = {};
  let path: string;
  try {
    url = new URL(text);
    if (url.username) options.username = decodeURIComponent(url.username);
    if (url.password) options.password = decodeURIComponent(url.password);
    path = decodeURIComponent(url.pathname);
  } catch {
    throw fail('redis://HOST:PORT, rediss://… or unix:///PATH, with % / @ in a password written as %25 %2F %40');
  }
  switch (url.protocol) {
    case 'unix:':
      return { ...options, path };
    case 'redis:':
    case 'rediss:': {
      options.host = url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1';
      options.port = url.port ? Number(url.port) : 6379;
      if (path.length > 1) {
        options.db = Number(path.slice(1));
        if (!/^\/\d{1,5}$/.test(path)) throw fail('a database number after the slash', path);
      }
      if (url.protocol === 'rediss:') options.tls = {};
      return options;
    }
    default:
      throw fail('redis://, rediss:// or unix://', url.protocol);
  }
}

/** The number of the database that a Redis URL names; 0 where it names none. Throws invalid-config. */
export function databaseOf(url: string): number {
  return parseUrl(url).db ?? 0;
}

/** A Redis URL with its password hidden, for logs and messages. */
export function hideSecrets(url: string): string {
  // Up to the last @, because a password may hold @ or / unescaped, above all where the URL is refused for it.
  return url.replace(/\/\/([^:@/]*):.*@/s, '//$1:***@');
}

/** True when only this machine can reach that Redis: a unix socket or a loopback address. */
export function isLoopback(url: string): boolean {
  const options = parseUrl(url);
  if (options.path !== undefined) return true;
  const host = options.host ?? '';
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Both ends of a connection that stands, or the path of its socket; undefined where it does not stand. */
export function endsOf(redis: Redis): { path: string } | { near: SocketEnd; far: SocketEnd } | undefined {
  const { path } = redis.options;
  if (path !== undefined && path !== null) return { path };
  const { localAddress, localPort, remoteAddress, remotePort } = (redis.stream ?? {}) as Partial<Socket>;
  if (localAddress === undefined || localPort === undefined) return undefined;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return { near: { address: localAddress, port: localPort }, far: { address: remoteAddress, port: remotePort } };
}

interface SocketEnd {
  address: string;
  port: number;
}

/** Redis's own clock, milliseconds since 1970: the one clock that the whole fleet shares. */
export async function redisNowMs(redis: Pick<Redis, 'time'>): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

export interface RedisCheck {
  name: string;
  ok: boolean;
  detail: string;
  /** What to do when it is not ok. */
  hint?: string;
}

/** Looks whether this Redis is fit to carry orders. A setting that cannot be read is reported, not assumed. */
export async function inspectRedis(redis: Redis): Promise<RedisCheck[]> {
  const checks: RedisCheck[] = [];
  const info = await redis.info();
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const version = field('redis_version') ?? 'unknown';
  checks.push({
    name: 'version',
    ok: isAtLeast(version, 6, 2),
    detail: version,
    hint: 'use Redis 6.2 or later (or Valkey)',
  });
  const policy = field('maxmemory_policy');
  checks.push({
    name: 'maxmemory-policy',
    ok: policy === 'noeviction' || policy === undefined,
    detail: policy ?? 'unknown (this server does not say)',
    hint: 'set maxmemory-policy noeviction, or Redis may silently drop orders',
  });
  const aof = field('aof_enabled');
  checks.push({
    name: 'appendonly',
    ok: true,
    detail: aof === '1' ? 'on' : 'off: orders since the last snapshot are lost when Redis restarts',
  });
  return checks;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [a, b] = version.split('.').map(Number);
  return a !== undefined && b !== undefined && (a > major || (a === major && b >= minor));
}

/** Refuses a Redis that would lose orders, or does not let us in. Throws redis-misconfigured or redis-unavailable. */
export async function requireFitRedis(redis: Redis, url: string): Promise<void> {
  let checks: RedisCheck[];
  try {
    checks = await inspectRedis(redis);
  } catch (error) {
    const why = whyUnreachable(redis, error);
    const refusal = refusedByRedis(error, why, hideSecrets(url));
    if (refusal) throw refusal;
    throw new HobblerError('redis-unavailable', `cannot be reached (${why})`, {
      where: hideSecrets(url),
      hint: 'start it, or set REDIS_URL',
    });
  }
  const bad = checks.find((check) => !check.ok);
  if (bad)
    throw new HobblerError('redis-misconfigured', `${bad.name} is ${bad.detail}`, {
      where: hideSecrets(url),
      hint: bad.hint ?? '',
    });
}

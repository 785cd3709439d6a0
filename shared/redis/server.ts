/**
 * Finds or starts a Redis for a first run: a given URL, else a `redis-server` or `valkey-server` from the PATH as a
 * private child, else an embedded JavaScript server. What is started here is reachable by this user alone, because who
 * reaches a host's Redis gives it orders (invariant 7), and dies with this process, also when that is SIGKILLed. It
 * never keeps anything: a fleet has a Redis of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock, within } from '../clock.ts';
import { HobblerError, messageOf } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { connectRedis, hideSecrets } from './connection.ts';

export interface FoundRedis {
  /** May hold a password: show it through `hideSecrets` only. */
  url: string;
  /** A clause that says which Redis it is and what that means, without secrets. */
  what: string;
  /** Ends what was started; does nothing to a given Redis. Never rejects. */
  stop(): Promise<void>;
}

export interface FindRedisOptions {
  /** The URL that the user gave; then nothing is started. Not checked here: `requireFitRedis` does that. */
  url: string | undefined;
  log: Logger;
  /** The servers to look for on the PATH, best first. */
  programs?: readonly string[];
}

const PROGRAMS = ['redis-server', 'valkey-server'];
/** A redis-server answers 8 ms after its start; past this limit, milliseconds, something is wrong with it. */
const START_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 5;
const STOP_LIMIT_MS = 1_000;
const FORGETS = 'what it holds is forgotten when hobbler ends';

/** Finds or starts a Redis. Throws redis-unavailable when nothing could be started. */
export async function findRedis({ url, log, programs = PROGRAMS }: FindRedisOptions): Promise<FoundRedis> {
  if (url !== undefined) return { url, what: `the Redis at ${hideSecrets(url)}`, stop: async () => {} };
  for (const program of programs) {
    const version = versionOf(program);
    if (version === undefined) continue;
    try {
      const { stop, url: privateUrl } = await startPrivate(program);
      const what = `a private ${program} ${version}, since REDIS_URL is not set: for this user alone, and ${FORGETS}`;
      return { url: privateUrl, what, stop };
    } catch (error) {
      log.warn({ program }, `cannot be used: ${messageOf(error)}`);
    }
  }
  return startEmbedded(log);
}

/** The version of a server on the PATH; undefined when it is not there or does not run. */
function versionOf(program: string): string | undefined {
  const { stdout, status } = spawnSync(program, ['--version'], { encoding: 'utf8', timeout: START_LIMIT_MS });
  return status === 0 ? (/\bv=(\S+)/.exec(stdout)?.[1] ?? 'of unknown version') : undefined;
}

/*
 * Runs a server that dies with us. Standard input is a pipe whose other end this Node process alone holds, so that the
 * kernel itself closes it, however we end; `read` then comes back. SIGKILL, because there is nothing to save and a
 * stopped server would not act on SIGTERM. Rejected: setpriv --pdeathsig, which not every Linux has.
 */
const DIES_WITH_US = `
  dir=$1; shift
  exec 3<&0 </dev/null
  "$@" 3<&- & server=$!
  ( while read -r _ <&3; do :; done; kill -KILL "$server"; rm -rf "$dir" ) 2>/dev/null & watcher=$!
  exec 3<&-
  wait "$server"; status=$?
  kill -KILL "$watcher" 2>/dev/null; rm -rf "$dir"
  exit "$status"`;

async function startPrivate(program: string): Promise<{ url: string; stop(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'hobbler-redis-')); // mkdtemp makes it 0700: no other user gets in
  const socket = join(dir, 'redis.sock');
  const url = `unix://${socket}`;
  const options = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', dir, '--save', ''].concat(
    ['--appendonly', 'no', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning'],
  );
  // A session of its own: Ctrl-C is for hobbler, which still needs its Redis while it stops.
  const child = spawn('sh', ['-c', DIES_WITH_US, 'sh', dir, program, ...options], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const output = lastWords(child);
  for (const handle of [child, child.stdin, child.stdout, child.stderr] as { unref?(): void }[]) handle.unref?.();
  child.stdin.on('error', () => {}); // EPIPE: it ended before us
  const stop = async () => {
    child.stdin.end();
    await within(systemClock, STOP_LIMIT_MS, ended);
    await rm(dir, { recursive: true, force: true }).catch(() => {});
  };
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  try {
    await untilPong(url, () => existsSync(socket), hasEnded);
  } catch (error) {
    await stop();
    throw new HobblerError('redis-unavailable', `${program} did not start (${messageOf(error)})`, {
      hint: output() || 'it said nothing',
    });
  }
  return { url, stop };
}

/** Collects the end of what a child says, to be told when it fails. */
function lastWords(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(-500);
    });
  }
  return () => text.trim().split('\n').slice(-3).join(' | ');
}

async function untilPong(url: string, isThere: () => boolean, hasEnded: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + START_LIMIT_MS;
  const checkDeadline = () => {
    if (hasEnded()) throw new Error('it ended at once');
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`no answer within ${START_LIMIT_MS} ms`);
  };
  for (; !isThere(); checkDeadline()) await sleep(systemClock, LOOK_EVERY_MS);
  const redis = connectRedis({ url, name: 'hobbler-start' }, silentLogger());
  try {
    for (;;) {
      if (await redis.ping().catch(() => false)) return;
      checkDeadline();
      await sleep(systemClock, LOOK_EVERY_MS);
    }
  } finally {
    redis.disconnect();
  }
}

/**
 * The embedded server, in this process. Not by the package's own createRedisServer: that listens on every address of
 * the machine without a password, which would let anybody on the network give orders. TCP and a password rather than a
 * unix socket, because nothing is left behind when this process is killed.
 */
async function startEmbedded(log: Logger): Promise<FoundRedis> {
  const { createRedisCommandExecutor, RedisServerState, Resp2Server } = await import('js-redis-server/core');
  const password = randomBytes(24).toString('base64url');
  const resp = new Resp2Server({
    server: new RedisServerState({ databaseCount: 1, requirepass: password }),
    executor: createRedisCommandExecutor(),
    logger: { error: (error: unknown) => log.debug({ err: error }, 'embedded Redis') },
  });
  const sockets = new Set<Socket>();
  resp.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    resp.server.once('error', reject).listen(0, '127.0.0.1', resolve);
  }).catch((error: unknown) => {
    throw new HobblerError('redis-unavailable', `no embedded Redis either (${messageOf(error)})`, {
      hint: 'install redis-server, or set REDIS_URL',
      cause: error,
    });
  });
  return {
    url: `redis://:${password}@127.0.0.1:${resp.getPort()}`,
    what:
      'an embedded JavaScript Redis, since REDIS_URL is not set and there is no redis-server or valkey-server on the ' +
      `PATH: for a first look (30 to 45 times slower than Redis), for this process alone, and ${FORGETS}`,
    stop: async () => {
      const closed = resp.close().catch(() => {});
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

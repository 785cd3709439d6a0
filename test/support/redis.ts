/**
 * A real Redis for a test file, private and gone afterwards: in a container by testcontainers when
 * HOBBLER_TEST_REDIS=docker and an engine answers, else a `redis-server` child on a unix socket in a directory of its
 * own. Both can be killed, paused and brought back on the same data and URL, because that is how outages are made.
 * Ends what it started by pid, and nothing else.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../shared/log.ts';
import { connectRedis, type Redis } from '../../shared/redis/connection.ts';
import { readState, until } from './processes.ts';

export interface TestRedis {
  url: string;
  kind: 'docker' | 'child';
  /** Of the child, or of the container's first process as the engine's machine sees it. */
  readonly pid: number;
  /** Ends it and removes its data. May be called twice. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash does it; `restart` brings it back. */
  kill(): Promise<void>;
  /** Connections stay open and nothing answers, as in a network that swallows packets. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it in good order if it still runs, and starts it on the same data and URL. */
  restart(): Promise<void>;
  /** Removes every key. */
  flush(): Promise<void>;
}

export interface TestRedisOptions {
  /** More options of redis-server, e.g. ['--maxmemory-policy', 'allkeys-lru']; later ones win. */
  args?: readonly string[];
  /** A child, also where the tests' Redis is a container: for who changes its files. */
  child?: boolean;
}

const IMAGE = 'redis:7-bookworm';
const START_LIMIT_MS = 30_000;
const SETTINGS = ['--maxmemory-policy', 'noeviction', '--appendonly', 'yes', '--save', ''];

/** Directories of servers that a failed test did not stop; the server itself dies with the test runner. */
const leftDirs = new Set<string>();
process.once('exit', () => {
  for (const dir of leftDirs) rmSync(dir, { recursive: true, force: true });
});

/** Starts a Redis and waits until it answers PING. */
export async function startRedis({ args = [], child = false }: TestRedisOptions = {}): Promise<TestRedis> {
  if (!child && process.env.HOBBLER_TEST_REDIS === 'docker' && dockerAnswers()) return startContainer(args);
  return startChild(args);
}

/** A connection for a test itself; close it with `disconnect()`. */
export function connectTest(redis: Pick<TestRedis, 'url'>): Redis {
  return connectRedis({ url: redis.url, name: 'hobbler-test' }, silentLogger());
}

async function startChild(args: readonly string[]): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'hobbler-redis-'));
  leftDirs.add(dir);
  const socket = join(dir, 'redis.sock');
  const url = `unix://${socket}`;
  const start = async () => {
    // With setpriv it ends even when the test runner is killed.
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'redis-server', '--port', '0', '--unixsocket', socket, '--dir', dir]
        .concat(['--logfile', join(dir, 'log')])
        .concat(SETTINGS, args),
      { stdio: 'ignore' },
    );
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    await untilItAnswers(url, async () => {
      if (child.exitCode === null && child.signalCode === null) return;
      const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '(no log)');
      throw new Error(`redis-server ended with ${child.exitCode ?? child.signalCode}:\n${log}`);
    });
    return child;
  };
  let child = await start().catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  };
  return {
    url,
    kind: 'child',
    get pid() {
      return child.pid!;
    },
    stop: async () => {
      await end('SIGTERM');
      await rm(dir, { recursive: true, force: true });
      leftDirs.delete(dir);
    },
    kill: () => end('SIGKILL'),
    pause: () => signalAndSee(child, 'SIGSTOP', (state) => state === 'T'),
    resume: () => signalAndSee(child, 'SIGCONT', (state) => state !== 'T'),
    restart: async () => {
      await end('SIGTERM');
      child = await start();
    },
    flush: () => flushAt(url),
  };
}

async function signalAndSee(child: ChildProcess, signal: NodeJS.Signals, isDone: (state?: string) => boolean) {
  child.kill(signal);
  await until(() => isDone(readState(child.pid!)), { deadlineMs: 5_000, what: `${signal} to Redis taking effect` });
}

function dockerAnswers(): boolean {
  try {
    execFileSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

async function startContainer(args: readonly string[]): Promise<TestRedis> {
  // Ryuk is an image of its own that removes leftovers; where images are stand-ins there is none.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  // A port chosen here and not by the engine: an engine's choice changes when the container restarts.
  const port = await freePort();
  const started = await new GenericContainer(IMAGE)
    .withCommand(['redis-server', ...SETTINGS, ...args])
    .withExposedPorts({ container: 6379, host: port })
    .start();
  const url = `redis://${started.getHost()}:${port}`;
  const client = await getContainerRuntimeClient();
  const container = client.container.getById(started.getId());
  const pidOf = async () => (await container.inspect()).State.Pid as number;
  await untilItAnswers(url);
  let pid = await pidOf();
  let stopped = false;
  return {
    url,
    kind: 'docker',
    get pid() {
      return pid;
    },
    stop: async () => {
      if (stopped) return;
      stopped = true;
      if ((await container.inspect()).State.Paused) await container.unpause();
      await started.stop({ remove: true, removeVolumes: true });
    },
    kill: async () => {
      await container.kill({ signal: 'SIGKILL' });
      await until(async () => !(await container.inspect()).State.Running, { deadlineMs: 10_000, what: 'its end' });
    },
    pause: () => container.pause(),
    resume: () => container.unpause(),
    restart: async () => {
      await container.restart({ t: 5 });
      await untilItAnswers(url);
      pid = await pidOf();
    },
    flush: () => flushAt(url),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilItAnswers(url: string, stillPossible: () => Promise<void> = async () => {}): Promise<void> {
  const redis = connectTest({ url });
  try {
    let fatal: Error | undefined;
    await until(
      async () => {
        await stillPossible().catch((error: Error) => {
          fatal = error;
        });
        return fatal !== undefined || (await redis.ping()) === 'PONG';
      },
      { deadlineMs: START_LIMIT_MS, what: `PONG from ${url}` },
    );
    if (fatal) throw fatal;
  } finally {
    redis.disconnect();
  }
}

/** Removes every key of the server at this URL. */
export async function flushAt(url: string): Promise<void> {
  const redis = connectTest({ url });
  try {
    await redis.flushall();
  } finally {
    redis.disconnect();
  }
}

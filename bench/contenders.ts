/**
 * The contenders: hobbler's worker as a whole (with guard, scans, heartbeat and Redis), the floor in C, the original
 * designs, cpulimit, and Node doing nothing. Each hobbles the pids it is given at 10/200 until it is ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pidusage from 'pidusage';
import { sleep, systemClock } from '../shared/clock.ts';
import { silentLogger } from '../shared/log.ts';
import type { Order } from '../shared/order.ts';
import { openQueue } from '../shared/queue.ts';
import { connectRedis, redisNowMs } from '../shared/redis/connection.ts';
import { Proc } from '../worker/process/proc.ts';

export const CYCLE = { runMs: 10, stopMs: 200 };

export interface Contender {
  name: string;
  /** Numbers of targets it takes part with: one process per target does not scale to thousands. */
  maxTargets: number;
  /** Starts hobbling; resolves once it does. Everything it starts must be in the meter that `procsPath` stands for. */
  start(pids: readonly number[], procsPath: string): Promise<Running>;
}

export interface Running {
  /** The pid whose memory counts. */
  pid: number;
  end(): Promise<void>;
}

export interface Tools {
  /** Directory of compiled programs. */
  bin: string;
  redisUrl: string;
  /** The CLI to run: built JavaScript where there is a build. */
  cli: string;
}

const here = (name: string) => fileURLToPath(new URL(`./contenders/${name}`, import.meta.url));

/** Starts a program inside a meter: a shell puts itself in, then becomes the program. */
function spawnMetered(procsPath: string, command: string, args: readonly string[], input = ''): ChildProcess {
  const child = spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', procsPath, command, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin!.end(input);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function program(name: string, maxTargets: number, command: string, args: readonly string[]): Contender {
  return {
    name,
    maxTargets,
    start: async (pids, procsPath) => {
      const child = spawnMetered(procsPath, command, args, pids.map((pid) => `${pid}\n`).join(''));
      child.stderr!.pipe(process.stderr);
      return { pid: child.pid!, end: () => end(child) };
    },
  };
}

function cpulimit(): Contender {
  return {
    name: 'cpulimit, one per target',
    maxTargets: 200,
    start: async (pids, procsPath) => {
      const children = pids.map((pid) => spawnMetered(procsPath, 'cpulimit', ['-l', '5', '-p', String(pid), '-z']));
      return { pid: children[0]!.pid!, end: async () => void (await Promise.all(children.map(end))) };
    },
  };
}

function hobbler({ redisUrl, cli }: Tools, name: string, every: boolean): Contender {
  return {
    name,
    maxTargets: 10_000,
    start: async (pids, procsPath) => {
      const stateDir = mkdtempSync(join(tmpdir(), 'hobbler-bench-'));
      const config = join(stateDir, 'hobbler.yaml');
      writeFileSync(config, JSON.stringify({ worker: { minUid: 0, bounds: { loops: 20_000 } } }));
      const host = `bench-${pids[0]}`;
      const child = spawnMetered(procsPath, process.execPath, [
        cli,
        '--redis',
        redisUrl,
        '--config',
        config,
        '--state-dir',
        stateDir,
        'worker',
        '--host',
        host,
      ]);
      await new Promise<void>((resolve, reject) => {
        let said = '';
        child.stderr!.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          if (said.includes('worker ready')) resolve();
        });
        child.once('exit', () => reject(new Error(`the worker ended: ${said}`)));
      });
      await giveOrders(redisUrl, host, pids, every);
      return {
        pid: child.pid!,
        end: async () => {
          await end(child);
          rmSync(stateDir, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Gives an order per pid and waits until the worker reports them all. */
async function giveOrders(url: string, host: string, pids: readonly number[], every: boolean): Promise<void> {
  const redis = connectRedis({ url, name: 'bench' }, silentLogger());
  const queue = openQueue(host, redis);
  const nowMs = await redisNowMs(redis);
  const proc = new Proc();
  const orders = pids.map(
    (pid): Order => ({
      v: 1,
      action: 'tarpit',
      host,
      target: `pid:${pid}@${proc.readStat(pid)!.startTicks}`,
      version: nowMs,
      issuedAt: nowMs,
      expiresAt: nowMs + 3_600_000,
      hobble: { ...CYCLE, mechanism: 'auto', every },
      reason: 'bench',
      by: 'bench',
    }),
  );
  await queue.addBulk(orders.map((order) => ({ name: order.action, data: order })));
  while ((await redis.hlen(`hobbler:{${host}}:observed`)) < pids.length) await sleep(systemClock, 50);
  redis.disconnect();
}

/** All contenders that this machine can run; what is missing is said. */
export function contenders(tools: Tools): Contender[] {
  return [
    program('C floor, the same signals', 10_000, join(tools.bin, 'floor'), [String(CYCLE.runMs), String(CYCLE.stopMs)]),
    hobbler(tools, 'hobbler, every target cycled', true),
    hobbler(tools, 'hobbler, the idle spared (default)', false),
    program('original design, asyncio', 200, '/usr/bin/python3', [here('original_asyncio.py')]),
    program('original design, threads', 200, '/usr/bin/python3', [here('original_threads.py')]),
    cpulimit(),
    program('idle Node', 200, process.execPath, [here('idle.js')]),
  ];
}

/** Resident memory of a process in MiB. */
export async function rssMiB(pid: number): Promise<number> {
  return (await pidusage(pid)).memory / 2 ** 20;
}

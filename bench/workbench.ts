/**
 * What a scenario works with: programs to start, meters, a Redis, and the lengths of its windows. It owns nothing that
 * outlives its `undo`.
 */
import { setPriority } from 'node:os';
import { sleep, systemClock } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import { silentLogger } from '../shared/log.ts';
import { connectRedis, type Redis } from '../shared/redis/connection.ts';
import { findRedis } from '../shared/redis/server.ts';
import { type Meter, openMeter } from './cgroups.ts';
import type { Launcher } from './launch.ts';
import type { Cli } from './programs.ts';
import type { Undo } from './undo.ts';

/** The duty cycle of the original, which everything here is hobbled with. */
export const CYCLE = { runMs: 10, stopMs: 200 };
export const PERIOD_MS = CYCLE.runMs + CYCLE.stopMs;
/** What it asks for: percent of one core for one busy process. */
export const ASKED_PERCENT = (CYCLE.runMs / PERIOD_MS) * 100;
/** The length that --seconds scales, seconds: every window is given as what it is by default. */
const DEFAULT_SECONDS = 10;

export interface BenchRedis {
  url: string;
  /** The bench's own connection to it. */
  client: Redis;
  meter: Meter;
}

export interface WorkbenchOptions {
  undo: Undo;
  /** A directory that the bench removes. */
  scratch: string;
  bin: (name: string) => string;
  cli: Cli;
  cores: number;
  seconds: number;
  /** Numbers of targets that were asked for; undefined: each scenario's own. */
  targets: readonly number[] | undefined;
}

export class Workbench implements Launcher {
  readonly undo: Undo;
  readonly scratch: string;
  readonly bin: (name: string) => string;
  readonly cli: Cli;
  readonly cores: number;
  readonly #seconds: number;
  readonly #targets: readonly number[] | undefined;

  constructor({ undo, scratch, bin, cli, cores, seconds, targets }: WorkbenchOptions) {
    this.undo = undo;
    this.scratch = scratch;
    this.bin = bin;
    this.cli = cli;
    this.cores = cores;
    this.#seconds = seconds;
    this.#targets = targets;
  }

  meter(): Meter {
    return openMeter(this.undo);
  }

  /** The numbers of targets to measure, each in turn. */
  sizes(usual: readonly number[]): readonly number[] {
    return this.#targets ?? usual;
  }

  /** The one number of targets of a scenario: its own, or the largest that was asked for when that is less. */
  size(usual: number): number {
    return Math.min(usual, ...(this.#targets ? [Math.max(...this.#targets)] : []));
  }

  /** Length of a window in seconds that is `usual` by default; whole periods, so that none counts in part. */
  windowSeconds(usual: number): number {
    const wantedMs = (usual * 1000 * this.#seconds) / DEFAULT_SECONDS;
    return (Math.max(1, Math.round(wantedMs / PERIOD_MS)) * PERIOD_MS) / 1000;
  }

  /** Waits; for settling, shorter where windows are shorter. */
  settle(usualMs: number): Promise<void> {
    return sleep(systemClock, usualMs * Math.min(1, this.#seconds / DEFAULT_SECONDS));
  }

  wait(ms: number): Promise<void> {
    return sleep(systemClock, ms);
  }

  /** A fresh Redis of the bench's own in a meter. Throws unsupported without a redis-server. */
  async redis(): Promise<BenchRedis> {
    const meter = this.meter();
    const found = await findRedis({ url: undefined, log: silentLogger() });
    this.undo.add('Redis', () => found.stop());
    if (!found.url.startsWith('unix:'))
      throw new HobblerError('unsupported', 'no redis-server on the PATH', { hint: 'apt-get install redis-server' });
    const client = connectRedis({ url: found.url, name: 'bench' }, silentLogger());
    this.undo.add('the connection to Redis', () => client.disconnect());
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1]);
    meter.adopt(pid);
    setPriority(pid, 0); // it has inherited ours
    return { url: found.url, client, meter };
  }
}

/** CPU that these meters counted in a window, percent of one core. */
export async function cpuPercent<Name extends string>(
  meters: Record<Name, Meter | undefined>,
  seconds: number,
): Promise<Partial<Record<Name, number>>> {
  const names = (Object.keys(meters) as Name[]).filter((name) => meters[name] !== undefined);
  const read = () => ({
    atMs: systemClock.monotonicMs(),
    used: names.map((name) => meters[name]!.seconds()),
  });
  const before = read();
  await sleep(systemClock, seconds * 1000);
  const after = read();
  const elapsed = (after.atMs - before.atMs) / 1000;
  const percents = names.map((name, index) => [name, ((after.used[index]! - before.used[index]!) / elapsed) * 100]);
  return Object.fromEntries(percents) as Partial<Record<Name, number>>;
}

/**
 * A long run on one worker: load that stays, histories without its death played one after the other, and a look at what it
 * and its guard hold from minute to minute. What grows would end a worker that runs for months.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { ProcessId } from '../../../shared/target.ts';
import { spawnSleepers } from '../processes.ts';
import { anyHistory, FAULTS, type Fault } from './history.ts';
import { play } from './play.ts';
import { RealWorld } from './real-world.ts';
import type { Figures } from './world.ts';

/** What ends the worker would begin its memory anew. */
const ENDS_WORKER: readonly Fault[] = [
  'worker-killed',
  'worker-replaced',
  'worker-starts',
  'both-killed-then-script',
  'both-killed-then-start',
  'both-hung',
];
const PAGE_BYTES = 4_096;
/** Who stays in the tarpit all the time: a user of his own. */
const RESIDENT_UID = 99_999;
const RESIDENTS = 50;
/** Between two histories, so that an hour of it costs a machine little. */
const PAUSE_MS = 4_000;
const SAMPLE_EVERY_MS = 30_000;

export interface Sample {
  atMs: number;
  workerBytes: number;
  workerFiles: number;
  guardBytes: number;
  guardFiles: number;
  /** CPU of the worker so far, seconds. */
  workerCpuS: number;
  histories: number;
}

export interface SoakOptions {
  minutes: number;
  seed: number;
  figures: Figures;
  onSample: (sample: Sample) => void;
}

/** Runs it. Throws when a history fails, or when something is left behind at the end. */
export async function soak({ minutes, seed, figures, onSample }: SoakOptions): Promise<Sample[]> {
  const faults = FAULTS.filter((fault) => !ENDS_WORKER.includes(fault));
  const histories = fc.sample(anyHistory(12, faults), { seed, numRuns: Math.ceil(minutes * 15) });
  const world = await RealWorld.open({ isTraced: false, lookEveryMs: 20, ignores: `uid:${RESIDENT_UID}` });
  const samples: Sample[] = [];
  try {
    await spawnSleepers(RESIDENTS, { uid: RESIDENT_UID, gid: RESIDENT_UID, cwd: '/' });
    const fromMs = performance.now();
    let sampledAtMs = Number.NEGATIVE_INFINITY;
    for (const history of histories) {
      const nowMs = performance.now();
      if (nowMs - sampledAtMs >= SAMPLE_EVERY_MS) {
        sampledAtMs = nowMs;
        // It ends by itself, as a lease does, unless it is renewed.
        await world.tarpitUntilOver(`uid:${RESIDENT_UID}`, { runMs: 10, stopMs: 200 });
        const sample = look(world, nowMs - fromMs, figures.histories);
        samples.push(sample);
        onSample(sample);
      }
      if (nowMs - fromMs > minutes * 60_000) break;
      await play(history, world, figures);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  } finally {
    await world.close();
  }
  return samples;
}

function look(world: RealWorld, atMs: number, histories: number): Sample {
  const { worker, guard } = world.identities();
  return {
    atMs,
    workerBytes: residentBytes(worker),
    workerFiles: openFiles(worker),
    guardBytes: residentBytes(guard),
    guardFiles: openFiles(guard),
    workerCpuS: cpuSeconds(worker),
    histories,
  };
}

function residentBytes({ pid }: ProcessId): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES;
}

function openFiles({ pid }: ProcessId): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function cpuSeconds({ pid }: ProcessId): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** How much more is used at the end than after the first quarter, as medians over quarters. Pure. */
export function growth(samples: readonly Sample[], of: (sample: Sample) => number): { from: number; to: number } {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const median = (part: readonly Sample[]) => part.map(of).toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  return { from: median(samples.slice(quarter, 2 * quarter)), to: median(samples.slice(-quarter)) };
}

/** Bounds on what may grow: memory wanders with the heap, files do not. */
const MAY_GROW_BYTES = 40 * 1024 * 1024;
const MAY_GROW_FILES = 12;

export function soakFaults(samples: readonly Sample[]): string[] {
  const bounds: [string, (sample: Sample) => number, number][] = [
    ['memory of the worker, bytes', (sample) => sample.workerBytes, MAY_GROW_BYTES],
    ['memory of the guard, bytes', (sample) => sample.guardBytes, MAY_GROW_BYTES / 10],
    ['open files of the worker', (sample) => sample.workerFiles, MAY_GROW_FILES],
    ['open files of the guard', (sample) => sample.guardFiles, MAY_GROW_FILES],
  ];
  return bounds.flatMap(([what, of, most]) => {
    const { from, to } = growth(samples, of);
    return to - from > most ? [`${what}: grew from ${from} to ${to}`] : [];
  });
}

/**
 * The peers that hobbler is measured beside: the floor in C, the original designs re-created from the post, cpulimit, and
 * Node doing nothing. Each hobbles the pids it is given at 10/200, in a meter of its own, until it is ended.
 */
import type { Meter } from './cgroups.ts';
import { launch, type Program } from './launch.ts';
import { findCpulimit, findPsutilPython } from './machine.ts';
import { contenderPath } from './programs.ts';
import { LeftOut } from './scenario.ts';
import { CYCLE, type Workbench } from './workbench.ts';

export const FLOOR = 'C floor';
export const ASYNCIO = 'original design, asyncio';
export const THREADS = 'original design, threads';
export const CPULIMIT = 'cpulimit, one per target';
export const IDLE_NODE = 'idle Node';

/** cpulimit takes whole percents of a core: the nearest to 10 of 210 ms. */
const CPULIMIT_PERCENT = '5';

export interface Floor {
  /** Ends it. How late its ticks were by its own count, milliseconds; undefined when it had none. */
  end(): Promise<{ p50Ms: number; p99Ms: number } | undefined>;
}

/** The floor by signals; `perGroup` pids after one another are a group and change phase together. */
export function startFloor(bench: Workbench, meter: Meter, pids: readonly number[], perGroup = 1): Floor {
  return floor(bench, meter, ['signal', String(perGroup)], pids.map(String));
}

/** The floor by writes to freezer files. */
export function startFreezerFloor(bench: Workbench, meter: Meter, paths: readonly string[]): Floor {
  return floor(bench, meter, ['freezer', '1'], paths);
}

function floor(bench: Workbench, meter: Meter, mode: readonly string[], members: readonly string[]): Floor {
  const args = [String(CYCLE.runMs), String(CYCLE.stopMs), ...mode];
  const program = launch(bench, meter, bench.bin('floor'), args, { input: `${members.join('\n')}\n` });
  return { end: async () => parseFloorLateness(await program.end()) };
}

/** Reads the line that floor.c ends with: p50 and p99 in microseconds. */
export function parseFloorLateness(lines: readonly string[]): { p50Ms: number; p99Ms: number } | undefined {
  const [p50Us, p99Us] = lines.at(-1)?.split(' ').map(Number) ?? [];
  return p50Us === undefined || p99Us === undefined ? undefined : { p50Ms: p50Us / 1000, p99Ms: p99Us / 1000 };
}

/** The original designs. Throws LeftOut without psutil. */
export function startOriginal(
  bench: Workbench,
  meter: Meter,
  pids: readonly number[],
  design: 'asyncio' | 'threads',
): Program {
  const found = findPsutilPython();
  if (!found) throw new LeftOut('no Python with psutil here: apt-get install python3-psutil');
  const input = pids.map((pid) => `${pid}\n`).join('');
  return launch(bench, meter, found.python, [contenderPath(`original_${design}.py`)], { input });
}

/** One cpulimit per target, as it is made to be used. Throws LeftOut without it. */
export function startCpulimit(bench: Workbench, meter: Meter, pids: readonly number[]): Program[] {
  if (findCpulimit() === undefined) throw new LeftOut('no cpulimit here: apt-get install cpulimit');
  return pids.map((pid) =>
    launch(bench, meter, 'cpulimit', ['-l', CPULIMIT_PERCENT, '-p', String(pid), '-z'], { input: '' }),
  );
}

export function startIdleNode(bench: Workbench, meter: Meter): Program {
  return launch(bench, meter, process.execPath, [contenderPath('idle.js')], { input: '' });
}

/** How soon a peer is in its stride, milliseconds: what it imports, and its first round. */
export const PEER_SETTLES_MS: Record<string, number> = {
  [FLOOR]: 500,
  [ASYNCIO]: 1_500,
  [THREADS]: 1_500,
  [CPULIMIT]: 1_500,
  [IDLE_NODE]: 500,
};

/** Starts the peer of that name. Throws LeftOut where it cannot be had. */
export function startPeer(bench: Workbench, meter: Meter, pids: readonly number[], name: string): void {
  switch (name) {
    case FLOOR:
      startFloor(bench, meter, pids);
      break;
    case ASYNCIO:
    case THREADS:
      startOriginal(bench, meter, pids, name === ASYNCIO ? 'asyncio' : 'threads');
      break;
    case CPULIMIT:
      startCpulimit(bench, meter, pids);
      break;
    case IDLE_NODE:
      startIdleNode(bench, meter);
      break;
    default:
      throw new TypeError(`no such peer: ${name}`);
  }
}

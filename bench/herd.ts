/** The targets: processes that sleep, spin, or look for gaps in their own running, by the compiled herd program. */
import type { Meter } from './cgroups.ts';
import { type Launcher, launch } from './launch.ts';
import type { Gap } from './phases.ts';

export type Work = 'sleep' | 'spin' | 'gaps';

export interface Herd {
  readonly pids: readonly number[];
  /** They begin their work; until then they sleep. */
  go(): Promise<void>;
  /** CPU that each has used so far, by the kernel's clock of that process. */
  cpu(): Promise<HerdCpu>;
  /** What each that looks for gaps has seen so far; times in milliseconds on CLOCK_MONOTONIC. */
  gaps(): Promise<Gap[][]>;
  /** Ends them now: whoever hobbles spinners ends sooner without them. Else `undo` does. */
  end(): Promise<void>;
}

/** One look at a herd's CPU: when, on CLOCK_MONOTONIC, and what each had used, milliseconds. */
export interface HerdCpu {
  atMs: number;
  usedMs: number[];
}

/** What each used between two looks, percent of a core. */
export function cpuShares(before: HerdCpu, after: HerdCpu): number[] {
  return after.usedMs.map((used, index) => ((used - before.usedMs[index]!) / (after.atMs - before.atMs)) * 100);
}

/** Starts `count` processes; `undo` ends them. */
export async function startHerd(launcher: Launcher, meter: Meter, count: number, work: Work): Promise<Herd> {
  const program = launch(launcher, meter, launcher.bin('herd'), [String(count), work]);
  const pids = (await program.linesUntilReady()).map(Number);
  if (pids.length !== count) throw new Error(`herd: expected ${count} processes, got ${pids.length}`);
  const ask = (command: string) => {
    program.write(`${command}\n`);
    return program.linesUntilReady();
  };
  return {
    pids,
    go: async () => void (await ask('go')),
    cpu: async () => {
      const [atMs, ...usedMs] = (await ask('cpu')).map((line) => Number(line) / 1e6);
      return { atMs: atMs!, usedMs };
    },
    gaps: async () => {
      const found: Gap[][] = pids.map(() => []);
      for (const line of await ask('gaps')) {
        const [index, from, to] = line.split(' ').map(Number);
        found[index!]!.push({ fromMs: from! / 1e6, toMs: to! / 1e6 });
      }
      return found;
    },
    end: async () => void (await program.end()),
  };
}

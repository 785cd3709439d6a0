/**
 * How long run and stop phases really were, by two witnesses: the target itself, which sees gaps in its own running, and
 * phases.c, which looks at it from outside. Pure but for starting the latter.
 */
import type { Meter } from './cgroups.ts';
import { type Launcher, launch } from './launch.ts';

/** A time in which a target did not run, milliseconds. */
export interface Gap {
  fromMs: number;
  toMs: number;
}

/** Lengths of phases that were seen from end to end, milliseconds. */
export interface PhaseLengths {
  runMs: number[];
  stopMs: number[];
}

/**
 * Phases out of a target's gaps within a window. A gap of at least half a stop phase is one; a shorter one was a wait
 * for a core, which a run phase may hold.
 */
export function phasesOf(gaps: readonly Gap[], stopMs: number, window: Gap): PhaseLengths {
  const stops = gaps.filter(
    ({ fromMs, toMs }) => toMs - fromMs >= stopMs / 2 && fromMs >= window.fromMs && toMs <= window.toMs,
  );
  return {
    runMs: stops.slice(1).map(({ fromMs }, index) => fromMs - stops[index]!.toMs),
    stopMs: stops.map(({ fromMs, toMs }) => toMs - fromMs),
  };
}

/** How far each phase was from the length that was asked, either way, milliseconds. */
export function deviations({ runMs, stopMs }: PhaseLengths, asked: { runMs: number; stopMs: number }): number[] {
  return [
    ...runMs.map((lengthMs) => Math.abs(lengthMs - asked.runMs)),
    ...stopMs.map((lengthMs) => Math.abs(lengthMs - asked.stopMs)),
  ];
}

export interface Observed extends PhaseLengths {
  /** Share of looks at which each process was in its run phase. */
  runShares: number[];
}

/** Reads what phases.c prints. */
export function parseObserved(lines: readonly string[]): Observed {
  const observed: Observed = { runMs: [], stopMs: [], runShares: [] };
  for (const line of lines) {
    const [, what, first, second] = line.split(' ');
    if (what === 'share') observed.runShares.push(Number(first) / Number(second));
    else if (what === 'run') observed.runMs.push(Number(first) / 1000);
    else if (what === 'stop') observed.stopMs.push(Number(first) / 1000);
  }
  return observed;
}

/** Watches processes from outside for `seconds`, one look each per `stepUs`; a look costs about 12 µs. */
export async function watchPhases(
  launcher: Launcher,
  meter: Meter,
  pids: readonly number[],
  { stepUs, seconds }: { stepUs: number; seconds: number },
): Promise<Observed> {
  const program = launch(launcher, meter, launcher.bin('phases'), [
    String(stepUs),
    String(seconds),
    ...pids.map(String),
  ]);
  return parseObserved(await program.linesUntilReady());
}

/**
 * Runs one scenario: opens it, measures its cases round by round in an order of chance, and undoes everything after each
 * one. A case that cannot be had here is asked once and then said; a round that fails is kept as that, and the others go
 * on: nothing is measured again until it fits.
 */
import { systemClock } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { describeMachine, machinePercent } from './machine.ts';
import type { Sample, ScenarioResult } from './results.ts';
import { type Case, LeftOut, type Scenario } from './scenario.ts';
import { shuffled } from './statistics.ts';
import { figure } from './table.ts';
import type { Undo } from './undo.ts';
import type { Workbench } from './workbench.ts';

export interface SuiteSettings {
  rounds: number;
  seconds: number;
  targets: number[] | undefined;
  say: (text: string) => void;
}

/** How long the machine is looked at before a scenario begins, and what it may use then, percent of one core. */
const QUIET_LOOK_MS = 1_000;
const QUIET_PERCENT = 10;

/** Measures a scenario. Rejects when a case fails. */
export async function measure(scenario: Scenario, bench: Workbench, settings: SuiteSettings): Promise<ScenarioResult> {
  const { rounds, seconds, targets, say } = settings;
  const measuredAt = new Date(systemClock.wallMs()).toISOString();
  const othersPercent = await machinePercent(QUIET_LOOK_MS);
  if (othersPercent > QUIET_PERCENT)
    say(
      `${scenario.name}: the machine is not quiet (${figure(othersPercent)} % of a core): these figures will not be right`,
    );
  const samples = await bench.undo.within(async () =>
    runRounds(await scenario.open(bench), bench.undo, rounds, (text) => say(`${scenario.name}: ${text}`)),
  );
  return {
    measuredAt,
    machine: describeMachine(),
    hobblerRan: bench.cli.what,
    rounds,
    seconds,
    targets: targets ?? null,
    cores: bench.cores,
    othersPercent,
    samples,
  };
}

/** All cases, round by round. What a case starts is undone before the next one begins. */
export async function runRounds(
  cases: readonly Case[],
  undo: Undo,
  rounds: number,
  say: (text: string) => void,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const leftOut = new Set<Case>();
  for (let round = 1; round <= rounds; round++) {
    for (const one of shuffled(cases.filter((each) => !leftOut.has(each)))) {
      const who = { case: one.name, ...(one.group === undefined ? {} : { group: one.group }), round };
      const words = `round ${round} of ${rounds}: ${one.group === undefined ? '' : `${one.group}, `}${one.name}`;
      const startedAtMs = systemClock.monotonicMs();
      try {
        const measured = await undo.within(() => one.measure());
        samples.push({ ...who, ...withoutUnknown(measured.values), ...(measured.lists && { lists: measured.lists }) });
        const tookS = Math.round((systemClock.monotonicMs() - startedAtMs) / 1000);
        say(`${words}: ${inWords(measured.values)} (took ${tookS} s)`);
      } catch (error) {
        if (error instanceof LeftOut) leftOut.add(one);
        const what = error instanceof LeftOut ? 'leftOut' : 'failed';
        samples.push({ ...who, [what]: messageOf(error) });
        say(`${words}: ${what === 'leftOut' ? 'left out' : 'FAILED'}: ${messageOf(error)}`);
      }
    }
  }
  return keepOrder(samples, cases);
}

function withoutUnknown(values: Record<string, number>): { values: Record<string, number> } {
  return { values: Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value))) };
}

function inWords(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${figure(value)}`)
    .join(', ');
}

/** As the scenario lists its cases, not as chance had them. */
function keepOrder(samples: readonly Sample[], cases: readonly Case[]): Sample[] {
  const place = (sample: Sample) =>
    cases.findIndex(({ name, group }) => name === sample.case && group === sample.group);
  return samples.toSorted((a, b) => place(a) - place(b) || a.round - b.round);
}

/** Results as the bench's tests make them up. */
import type { Sample, ScenarioResult } from '../../../bench/results.ts';

export function resultExample(samples: Sample[], changes: Partial<ScenarioResult> = {}): ScenarioResult {
  return {
    measuredAt: '2026-01-02T03:04:05.000Z',
    machine: { processor: 'a processor', cores: '2' },
    hobblerRan: 'built JavaScript',
    rounds: 5,
    seconds: 10,
    targets: null,
    cores: 2,
    othersPercent: 0.4,
    samples,
    ...changes,
  };
}

/** One case over several rounds: a value by name, one number per round. */
export function caseExample(name: string, group: string | undefined, values: Record<string, number[]>): Sample[] {
  const rounds = Math.max(...Object.values(values).map((list) => list.length));
  return Array.from({ length: rounds }, (_, index) => ({
    case: name,
    ...(group === undefined ? {} : { group }),
    round: index + 1,
    values: Object.fromEntries(Object.entries(values).map(([key, list]) => [key, list[index]!])),
  }));
}

/** Results that are kept: what is written can be read, and measuring one scenario anew loses no other. */
import { describe, expect, it } from 'vitest';
import { formatResults, mergeResults, NO_RESULTS, parseResults, type ScenarioResult } from '../../../bench/results.ts';
import { resultExample } from './examples.ts';

describe('results', () => {
  it('are read back as they were written, to six digits', () => {
    const result = resultExample([
      { case: 'a', group: 'g', round: 1, values: { own: 1.23456789, none: 0 }, lists: { ms: [0.1, 2] } },
      { case: 'b', round: 1, leftOut: 'not "here"' },
    ]);
    const text = formatResults(mergeResults(NO_RESULTS, { idle: result, other: resultExample([]) }));
    const read = parseResults(JSON.parse(text), 'results.json');
    expect(read.scenarios.idle?.samples[0]?.values).toEqual({ own: 1.23457, none: 0 });
    expect(read.scenarios.idle?.samples[1]).toEqual(result.samples[1]);
    expect({ ...read.scenarios.idle, samples: [] }).toEqual({ ...result, samples: [] });
    expect(read.scenarios.other?.samples).toEqual([]);
  });

  it('keep one sample to a line, so that a diff shows what was measured anew', () => {
    const samples: ScenarioResult['samples'] = [1, 2, 3].map((round) => ({ case: 'a', round, values: { own: round } }));
    const lines = formatResults({ v: 1, scenarios: { idle: resultExample(samples) } }).split('\n');
    expect(lines.filter((line) => line.includes('"case"'))).toHaveLength(3);
  });

  it('of a scenario take the place of its old ones and of no others', () => {
    const old = { v: 1 as const, scenarios: { idle: resultExample([]), busy: resultExample([]) } };
    const fresh = resultExample([{ case: 'a', round: 1, values: { own: 1 } }]);
    expect(mergeResults(old, { idle: fresh }).scenarios).toEqual({ idle: fresh, busy: old.scenarios.busy });
  });

  it('that this bench did not write are refused, and the place is named', () => {
    expect(() => parseResults({ v: 1, scenarios: { idle: { rounds: 'five' } } }, 'results.json')).toThrow(
      /results\.json\.scenarios\.idle\.rounds: .*got "five"/,
    );
  });
});

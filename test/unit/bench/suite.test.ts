/** Rounds: every case in each of them, one at a time, and what cannot be measured is said and not measured again. */
import { expect, it } from 'vitest';
import { type Case, LeftOut } from '../../../bench/scenario.ts';
import { runRounds } from '../../../bench/suite.ts';
import { Undo } from '../../../bench/undo.ts';

const silent = () => {};

it('measures every case in every round, and gives the samples in the order of the cases', async () => {
  const cases = ['a', 'b', 'c'].map((name): Case => ({ name, measure: async () => ({ values: { own: 1 } }) }));
  const samples = await runRounds(cases, new Undo(), 2, silent);
  expect(samples.map(({ case: name, round }) => `${name}${round}`)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
});

it('undoes what a case has started before the next one begins', async () => {
  const undo = new Undo();
  let running = 0;
  const one = (name: string): Case => ({
    name,
    measure: async () => {
      undo.add(name, () => running--);
      return { values: { running: ++running } };
    },
  });
  const samples = await runRounds([one('a'), one('b')], undo, 2, silent);
  expect(samples.map(({ values }) => values?.running)).toEqual([1, 1, 1, 1]);
  expect(running).toBe(0);
});

it('asks a case that cannot be had here only once', async () => {
  let asked = 0;
  const measure = async () => {
    asked++;
    throw new LeftOut('no cpulimit here');
  };
  const samples = await runRounds([{ name: 'cpulimit', measure }], new Undo(), 3, silent);
  expect(samples).toEqual([{ case: 'cpulimit', round: 1, leftOut: 'no cpulimit here' }]);
  expect(asked).toBe(1);
});

it('keeps a round that failed as that, and goes on', async () => {
  let round = 0;
  const measure = async () => {
    if (++round === 2) throw new Error('no answer');
    return { values: { own: round } };
  };
  const samples = await runRounds([{ name: 'a', group: 'g', measure }], new Undo(), 3, silent);
  expect(samples).toEqual([
    { case: 'a', group: 'g', round: 1, values: { own: 1 } },
    { case: 'a', group: 'g', round: 2, failed: 'no answer' },
    { case: 'a', group: 'g', round: 3, values: { own: 3 } },
  ]);
});

it('keeps no figure that could not be read (invariant 9)', async () => {
  const measure = async () => ({ values: { own: 1, redis: Number.NaN }, lists: { ms: [1, 2] } });
  const [sample] = await runRounds([{ name: 'a', measure }], new Undo(), 1, silent);
  expect(sample).toEqual({ case: 'a', round: 1, values: { own: 1 }, lists: { ms: [1, 2] } });
});

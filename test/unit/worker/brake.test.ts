/** The brake's arithmetic: the share of users by their processes, and what one user with very many can change of it. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Brake, NO_BRAKE } from '../../../worker/engine/brake.ts';

const HALF = { share: 0.5, atLeast: 2 };
const MANY = () => 1_000;
/** So many processes of each uid, from 1000 on. */
const processes = (counts: readonly number[]) =>
  counts.flatMap((count, index) => Array.from({ length: count }, () => 1_000 + index));

function surveyed(all: readonly number[], owned: readonly number[], settings = HALF): Brake {
  const brake = new Brake(settings);
  brake.survey(processes(all), processes(owned));
  return brake;
}

it('the share may be reached and not passed', () => {
  const brake = surveyed([1, 1, 1, 1], [1, 1]);
  expect(brake.whyOver(MANY)).toBeUndefined();
  expect(brake.hobbledRatio).toBe(0.5);
  brake.changed(1_002, 1);
  expect(brake.whyOver(MANY)).toMatch(/more than 50 % of the users/);
  brake.changed(1_000, -1);
  expect(brake.whyOver(MANY)).toBeUndefined();
});

it('so many targets may always be in', () => {
  const brake = surveyed([1, 1], [1, 1]);
  expect(brake.whyOver(() => 2)).toBeUndefined();
  expect(brake.whyOver(() => 3)).toBeDefined();
});

it('a share of 1 holds nobody, and where nobody is nobody is held', () => {
  expect(surveyed([5, 5], [5, 5], NO_BRAKE).whyOver(MANY)).toBeUndefined();
  expect(surveyed([], []).whyOver(MANY)).toBeUndefined();
  expect(surveyed([], []).hobbledRatio).toBe(0);
});

it('where all work under one uid it is the share of processes', () => {
  expect(surveyed([100], [50]).whyOver(MANY)).toBeUndefined();
  expect(surveyed([100], [51]).whyOver(MANY)).toBeDefined();
});

it('a bomb of forks is one user: it is put in, and keeps nobody else out', () => {
  const brake = surveyed([5_000, 3, 3, 3], [5_000]);
  expect(brake.hobbledRatio).toBe(0.25);
  for (let birth = 0; birth < 10_000; birth++) brake.changed(1_000, 1);
  expect(brake.hobbledRatio).toBeCloseTo(0.25, 9);
  for (let index = 0; index < 3; index++) brake.changed(1_001, 1);
  expect(brake.whyOver(MANY)).toBeUndefined();
});

it('a bomb outside of the tarpit makes no room for others', () => {
  expect(surveyed([5_000, 1, 1], [0, 1, 1]).whyOver(MANY)).toBeDefined();
});

it('one who is born after the pass counts as soon as he is hobbled', () => {
  const brake = surveyed([1, 1], []);
  for (const uid of [1_050, 1_051, 1_052]) brake.changed(uid, 1);
  expect(brake.hobbledRatio).toBe(3 / 5);
  expect(brake.whyOver(MANY)).toBeDefined();
});

it('counting step by step comes to the same as counting anew', () => {
  const count = fc.integer({ min: 0, max: 250 });
  fc.assert(
    fc.property(fc.array(fc.tuple(count, count, count), { maxLength: 30 }), (users) => {
      const all = users.map(([total]) => total);
      const before = users.map(([total, owned]) => Math.min(total, owned));
      const after = users.map(([total, , owned]) => Math.min(total, owned));
      const brake = surveyed(all, before);
      users.forEach((_, index) => {
        const by = after[index]! > before[index]! ? 1 : -1;
        for (let step = 0; step < Math.abs(after[index]! - before[index]!); step++) brake.changed(1_000 + index, by);
      });
      const anew = surveyed(all, after);
      expect(brake.hobbledRatio).toBeCloseTo(anew.hobbledRatio, 9);
      expect(brake.whyOver(MANY)).toBe(anew.whyOver(MANY));
    }),
    { numRuns: 200 },
  );
});

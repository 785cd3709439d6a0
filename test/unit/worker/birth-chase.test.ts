/** The chase for births around a stop, on a fake clock, with births that come when the test says. */
import { expect, it } from 'vitest';
import { BirthChase } from '../../../worker/engine/birth-chase.ts';
import type { Births } from '../../../worker/engine/membership.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function arrange() {
  const clock = new FakeClock();
  const births: Births[] = [];
  const seen = { looks: 0, awaits: 0 };
  const chase = new BirthChase(clock, {
    take: () => {
      seen.looks++;
      return births.shift() ?? 'none';
    },
    awaits: () => seen.awaits-- > 0,
  });
  const stop = () => {
    chase.before();
    chase.after();
  };
  return { clock, births, seen, chase, stop };
}
/** Looks of one chase in which nobody turns up. */
const QUIET = 11;

it('is two looks where nobody hobbled forks', async () => {
  const { clock, seen, stop } = arrange();
  stop();
  await clock.advance(1_000);
  expect(seen.looks).toBe(2);
  expect(clock.pendingTimers).toBe(0);
});

it('goes round by round while somebody was stopped, or is not shown yet', () => {
  const { births, seen, chase } = arrange();
  births.push('stopped', 'stopped', 'none');
  chase.after();
  expect(seen.looks).toBe(3);
  seen.awaits = 2;
  chase.after();
  expect(seen.looks).toBe(6);
});

it('looks again for the length of a stop phase where a hobbled process had forked before it', async () => {
  const { clock, births, seen, stop } = arrange();
  births.push('owned');
  stop();
  await clock.advance(1_000);
  expect(seen.looks).toBe(2 + QUIET);
});

it('begins anew whenever somebody turned up', async () => {
  const { clock, births, seen, stop } = arrange();
  births.push('none', 'stopped', 'none', 'none', 'none', 'stopped', 'none');
  stop();
  await clock.advance(1_000);
  // Before; after, with its second round; 2 quiet; one that found somebody, with its second round; then quiet.
  expect(seen.looks).toBe(1 + 2 + 2 + 2 + QUIET);
  expect(clock.pendingTimers).toBe(0);
});

it('ends each go where births never end, and holds up nobody', async () => {
  const { clock, births, seen, chase } = arrange();
  births.push(...new Array<Births>(100).fill('stopped'));
  chase.after();
  expect(seen.looks).toBe(8);
  await clock.advance(5);
  expect(seen.looks).toBe(16);
});

it('after a gap looks at nothing, so that nobody is stopped before all is looked at anew (invariant 1)', async () => {
  const { clock, births, seen, stop } = arrange();
  births.push('owned');
  stop();
  clock.stall(3_000);
  await clock.advance(1_000);
  expect(seen.looks).toBe(2);
});

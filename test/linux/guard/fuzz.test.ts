/** The guard's script on broken journals, a few dozen of them; `npm run fuzz` gives it two thousand. */
import { expect, it } from 'vitest';
import { fuzzGuard } from '../../support/fuzz/guard.ts';

it('releases whose line is whole, whatever stands around it, and runs nothing that stands there', async () => {
  expect((await fuzzGuard(60, 20_251_124)).findings).toEqual([]);
});

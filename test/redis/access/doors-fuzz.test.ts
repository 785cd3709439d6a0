/** Both HTTP doors on broken requests, some two thousand of them; `npm run fuzz` sends twenty thousand. */
import { expect, it } from 'vitest';
import { fuzzDoors } from '../../support/fuzz/doors.ts';

it('answer every request, show no stack, and do nothing that was not meant', async () => {
  expect((await fuzzDoors(2_000, 20_251_124)).findings).toEqual([]);
});

/**
 * A burst of readings with Redis stopped in the middle: nothing acknowledged is lost, nothing doubled, memory bounded.
 * Here with tens of thousands in seconds; `npm run burst` does a million, with Redis away for ten seconds.
 */
import { afterEach, expect, test } from 'vitest';
import { ledgerKey } from '../../shared/keys.ts';
import { nameOf, usedBy } from '../support/burst/load.ts';
import { findFaults } from '../support/burst/proof.ts';
import { runBurst } from '../support/burst/run.ts';
import { expectNothingLeft } from '../support/processes.ts';
import { connectTest, startRedis } from '../support/redis.ts';

/** Node with the code and a full queue; a leak of what was sent would be far beyond in the million. */
const MAX_RSS_BYTES = 700 * 1024 * 1024;

afterEach(expectNothingLeft);

test('of 30,000 readings, with Redis away for a while, each is there once, and each who crossed has one order', async () => {
  const result = await runBurst({ accounts: 1_500, rounds: 20, senders: 3, pauseMs: 1_500 });
  expect(result).toMatchObject({ readings: 30_000, accepted: 30_000, refused: 0 });
  expect(result.faults).toEqual({ lost: [], doubled: [], orders: [] });
  expect(result.toOrderMs.all).toHaveLength(15);
  expect(result.loneMs.length).toBeGreaterThan(0);
  expect(result.peakRssBytes).toBeLessThan(MAX_RSS_BYTES);
});

test('the proof sees what is lost, doubled, and ordered without a reason', async () => {
  const server = await startRedis();
  const redis = connectTest(server);
  const load = { accounts: 4, rounds: 3 };
  const put = (account: number, state: object) =>
    redis.hset(
      ledgerKey(nameOf(account)),
      'state:account',
      JSON.stringify({ limits: {}, totals: {}, ids: [], ...state }),
    );
  try {
    await put(0, { limits: { default: { figure: { used: usedBy(0, 2, load) } } }, ids: ['a', 'a'] });
    await put(1, { totals: { cpu: { samples: [[1, usedBy(1, 2, load), 3]] } } });
    await put(2, { limits: { default: { figure: { used: usedBy(2, 1, load) } } } });
    const orders = new Map([
      ['user:user-0', [1, 2]],
      ['user:user-1', [1]],
    ]);
    expect(await findFaults(redis, load, orders)).toEqual({
      lost: [expect.stringContaining('user-2: 2 instead of 3'), expect.stringContaining('user-3: nothing')],
      doubled: ['user-0: an id twice', 'user-1: gained 3 instead of 2', 'user-0: 2 orders'],
      orders: ['user-1: 1 orders instead of 0'],
    });
  } finally {
    redis.disconnect();
    await server.stop();
  }
});

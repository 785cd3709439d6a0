/** The fleet's metrics on which alerts stand: each says so when it is wrong, and nothing when all is well. */
import { expect, test } from 'vitest';
import type { Fleet } from '../../../admin/fleet/model.ts';
import { fleetMetrics } from '../../../admin/metrics.ts';
import { tarpitExample } from '../../support/orders.ts';
import { fleetExample, hostExample, NOW_MS, reportExample } from './examples.ts';

const order = tarpitExample();

async function sample(fleet: Fleet, name: string): Promise<number | undefined> {
  const { text } = await fleetMetrics({ redis: 'here', fleet });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

test('a living host that reports a target a minute past its expiry is counted, a lost one is not', async () => {
  const of = (expiresAtMs: number, liveness: 'alive' | 'lost' = 'alive') =>
    fleetExample({ hosts: [hostExample({ liveness, reports: [reportExample({ expiresAtMs })] })] });
  expect(await sample(of(NOW_MS + 1_000), 'hobbler_targets_past_expiry')).toBe(0);
  expect(await sample(of(NOW_MS - 30_000), 'hobbler_targets_past_expiry')).toBe(0);
  expect(await sample(of(NOW_MS - 61_000), 'hobbler_targets_past_expiry')).toBe(1);
  expect(await sample(of(NOW_MS - 61_000, 'lost'), 'hobbler_targets_past_expiry')).toBe(0);
});

test('an order that a living host has not taken up for half a minute is overdue', async () => {
  const fleet = fleetExample();
  const [row] = fleet.targets;
  const silent = (ageMs: number): Fleet => ({
    ...fleet,
    targets: [{ ...row!, liveness: 'alive', report: null, order: { ...order, issuedAt: NOW_MS - ageMs } }],
  });
  expect(await sample(silent(29_000), 'hobbler_orders_overdue')).toBe(0);
  expect(await sample(silent(31_000), 'hobbler_orders_overdue')).toBe(1);
});

test("what is left of the policy's freshest order is said, and of no other's", async () => {
  const fleet = fleetExample();
  const [row] = fleet.targets;
  const standing = (by: string, leftRatios: number[]): Fleet => ({
    ...fleet,
    fleetOrders: [],
    targets: leftRatios.map((left) => ({
      ...row!,
      order: { ...order, by, issuedAt: NOW_MS - (1 - left) * 900_000, expiresAt: NOW_MS + left * 900_000 },
    })),
  });
  expect(await sample(standing('policy', [0.2, 0.7]), 'hobbler_policy_orders')).toBe(2);
  expect(await sample(standing('policy', [0.2, 0.7]), 'hobbler_policy_lease_left_ratio')).toBeCloseTo(0.7);
  expect(await sample(standing('operator:ann', [0.7]), 'hobbler_policy_orders')).toBe(0);
  expect(await sample(standing('operator:ann', [0.7]), 'hobbler_policy_lease_left_ratio')).toBeUndefined();
});

/** The tenure's own doubt: the lease is certain for as long as it cannot have run out since it was asked for, and no longer. */
import { expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { LEASE_TTL_MS, type Lease, type LeaseResult } from '../../../worker/lease.ts';
import type { Reconciler } from '../../../worker/reconciler.ts';
import { Tenure } from '../../../worker/tenure.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function createTenure() {
  const clock = new FakeClock();
  /** What Redis answers, and after how long. */
  const redis: { result: LeaseResult | Error; takesMs: number } = { result: { status: 'held', epoch: 1 }, takesMs: 0 };
  const lease = {
    epoch: 1,
    take: async () => {
      clock.stall(redis.takesMs);
      if (redis.result instanceof Error) throw redis.result;
      return redis.result;
    },
  } as unknown as Lease;
  const tenure = new Tenure({
    host: 'web-1',
    lease,
    engine: { closeGate: () => {}, openGate: () => {} },
    reconciler: { run: async () => {} } as unknown as Reconciler,
    createConsumer: () => ({ start: () => {}, stop: async () => {} }),
    whenLeased: 'wait',
    onWaiting: () => {},
    clock,
    log: silentLogger(),
  });
  return { tenure, clock, redis };
}

it('a lease is certain from when it is taken until it would have run out', async () => {
  const { tenure, clock } = createTenure();
  expect(tenure.isCertain).toBe(false);
  await tenure.take();
  clock.stall(LEASE_TTL_MS - 1);
  expect(tenure.isCertain).toBe(true);
  clock.stall(1);
  expect(tenure.isCertain).toBe(false);
  expect(tenure.isHeld).toBe(true);
  await tenure.renew();
  expect(tenure.isCertain).toBe(true);
});

it('what counts is when it was asked for, not when the answer came', async () => {
  const { tenure, clock, redis } = createTenure();
  redis.takesMs = 4_000;
  await tenure.take();
  clock.stall(LEASE_TTL_MS - 4_000);
  expect(tenure.isCertain).toBe(false);
});

it('a renewal that failed lengthens nothing, and a lost lease is not certain', async () => {
  const { tenure, clock, redis } = createTenure();
  await tenure.take();
  clock.stall(LEASE_TTL_MS - 1);
  redis.result = new Error('Redis is away');
  await expect(tenure.renew()).rejects.toThrow('away');
  clock.stall(1);
  expect(tenure.isCertain).toBe(false);
  redis.result = { status: 'other', epoch: 2, freeInMs: 1_000 };
  await tenure.renew();
  expect([tenure.isHeld, tenure.isCertain]).toEqual([false, false]);
});

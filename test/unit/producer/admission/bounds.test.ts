/** What a sender may send in a minute, and the bytes that may be in memory at a time. */
import { describe, expect, test } from 'vitest';
import { Allowance } from '../../../../producer/admission/allowance.ts';
import { BodyBudget } from '../../../../producer/admission/body-budget.ts';
import { seconds } from '../../../../producer/admission/too-much.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

describe('the allowance of a sender', () => {
  test('lets a burst through, and then as much as comes back', async () => {
    const clock = new FakeClock();
    const allowance = new Allowance(600, clock);
    allowance.take(600);
    expect(() => allowance.take(10)).toThrow(expect.objectContaining({ retryAfterMs: 1_000 }));
    await clock.advance(1_000);
    allowance.take(10);
    expect(() => allowance.take(1)).toThrow('more than 600 readings of this sender in a minute');
  });

  test('holds no more than a minute, however long nothing came', async () => {
    const clock = new FakeClock();
    const allowance = new Allowance(60, clock);
    await clock.advance(3_600_000);
    allowance.take(60);
    expect(() => allowance.take(1)).toThrow();
  });

  test('takes a batch larger than a minute when it is full, and then waits for the whole of it', async () => {
    const clock = new FakeClock();
    const allowance = new Allowance(60, clock);
    allowance.take(180);
    await clock.advance(120_000);
    expect(() => allowance.take(1)).toThrow();
    await clock.advance(1_000);
    allowance.take(1);
  });
});

test('the bytes in memory are bounded, given back once, and one request alone is always let in', () => {
  const budget = new BodyBudget(100);
  const first = budget.take(80);
  expect(() => budget.take(30)).toThrow(expect.objectContaining({ code: 'bound-exceeded', retryAfterMs: 1_000 }));
  first();
  first();
  expect(budget.takenBytes).toBe(0);
  budget.take(200)();
  expect(budget.takenBytes).toBe(0);
});

test.each([
  [0, 1],
  [1, 1],
  [1_000, 1],
  [1_001, 2],
])('%d ms are Retry-After: %d, never too early', (ms, expected) => expect(seconds(ms)).toBe(expected));

/** Redis's clock between two looks, and a Redis whose clock is wrong or hostile (invariant 2). */
import { beforeEach, expect, it } from 'vitest';
import type { Logger } from '../../../shared/log.ts';
import { silentLogger } from '../../../shared/log.ts';
import { RedisTime } from '../../../worker/redis-time.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_764_000_000_000;

let clock: FakeClock;
let said: string[];
let time: RedisTime;
beforeEach(() => {
  clock = new FakeClock();
  said = [];
  time = new RedisTime(clock, {
    ...silentLogger(),
    error: (_: unknown, text: string) => said.push(text),
  } as unknown as Logger);
});
const look = (redisMs: number) =>
  time.refresh({ time: async () => [Math.floor(redisMs / 1_000), (redisMs % 1_000) * 1_000] as [number, number] });

it('goes on by the boot clock between two looks, whatever the wall clock says', async () => {
  await look(START_MS);
  await clock.advance(90_000);
  expect(time.nowMs()).toBe(START_MS + 90_000);
  expect(said).toEqual([]);
});

it('goes forward with Redis at once', async () => {
  await look(START_MS);
  await look(START_MS + HOUR_MS);
  expect(time.nowMs()).toBe(START_MS + HOUR_MS);
});

it('stands still when Redis goes back, says so once, and goes on when Redis has caught up', async () => {
  await look(START_MS + HOUR_MS);
  await look(START_MS);
  expect(time.nowMs()).toBe(START_MS + HOUR_MS);
  await clock.advance(HOUR_MS / 2);
  await look(START_MS + HOUR_MS / 2);
  expect(time.nowMs()).toBe(START_MS + HOUR_MS);
  expect(said).toEqual([expect.stringContaining('went back')]);
  await clock.advance(HOUR_MS);
  expect(time.nowMs()).toBe(START_MS + 1.5 * HOUR_MS);
});

it('wobbles of a round trip are nothing to speak of, and take nothing back', async () => {
  await look(START_MS);
  await look(START_MS - 300);
  expect(time.nowMs()).toBe(START_MS);
  expect(said).toEqual([]);
});

it('a wall clock that is ahead before the first look does not stay', async () => {
  expect(time.nowMs()).toBe(clock.wallMs());
  await look(1_000_000);
  expect(time.nowMs()).toBe(1_000_000);
});

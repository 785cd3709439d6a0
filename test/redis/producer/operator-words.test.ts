/** Pins and the brake on a real Redis: what operators say comes back, and what cannot be read counts towards release. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { forgetEndedPins, holdBrake, readOperatorWords, releaseBrake } from '../../../producer/operator-words.ts';
import { BRAKE_OPEN } from '../../../producer/policy/brake.ts';
import { fleetKeys, ledgerKeys } from '../../../shared/keys.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { type Pin, putPin, removePin } from '../../../shared/redis/pins.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const pin = (parts: Partial<Pin> = {}): Pin =>
  ({ v: 1, kind: 'release', setAtMs: 1, by: 'operator:eve', why: 'paid', untilMs: null, ...parts }) as Pin;
const held = { ...BRAKE_OPEN, held: { sinceMs: 5, entering: 30, known: 100 } };

it('a pin stands until it is taken away, and both are in the audit', async () => {
  await putPin(redis, 'alice', pin());
  expect((await readOperatorWords(redis)).pins).toEqual(new Map([['alice', pin()]]));
  expect(await removePin(redis, 'alice', 'over', 'operator:bob')).toMatch(/^\d+-\d+$/);
  expect(await removePin(redis, 'alice', 'over', 'operator:bob')).toBeNull();
  expect((await readOperatorWords(redis)).pins.size).toBe(0);
  expect(await redis.xlen(fleetKeys.audit)).toBe(2);
});

it('pins that have ended are forgotten, the others are kept', async () => {
  await putPin(redis, 'old', pin({ untilMs: 10 }));
  await putPin(redis, 'new', pin({ untilMs: 30 }));
  await putPin(redis, 'forever', pin());
  await forgetEndedPins(redis, (await readOperatorWords(redis)).pins, 20);
  expect([...(await readOperatorWords(redis)).pins.keys()].sort()).toEqual(['forever', 'new']);
});

it('the brake holds for everybody until an operator lets go, for a time if he says so', async () => {
  expect(await releaseBrake(redis, { by: 'operator:eve', why: 'x', letInUntilMs: null })).toBe(false);
  await holdBrake(redis, held, 'too many');
  expect((await readOperatorWords(redis)).brake).toEqual(held);
  expect(await releaseBrake(redis, { by: 'operator:eve', why: 'right so', letInUntilMs: 99 })).toBe(true);
  expect((await readOperatorWords(redis)).brake).toMatchObject({
    held: null,
    open: { untilMs: 99, by: 'operator:eve' },
  });
});

it('what cannot be read counts towards release (invariant 1)', async () => {
  await redis.hset(ledgerKeys.pins, 'alice', '{');
  await redis.set(ledgerKeys.brake, 'x');
  const { pins, brake, unreadable } = await readOperatorWords(redis);
  expect(pins.get('alice')).toMatchObject({ kind: 'release', untilMs: null });
  expect(brake.held).not.toBeNull();
  expect(unreadable).toHaveLength(2);
});

/** The hold on a real Redis: of the fleet, of a host, by a file; and what is known of it stays in force while Redis is away. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../shared/clock.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import type { Engine } from '../../../worker/engine/engine.ts';
import { type HoldInForce, Holds } from '../../../worker/holds.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

let redis: TestRedis;
let connection: Redis;
let dir: string;
let gate: string | undefined;
let changes: (HoldInForce | null)[];
let holds: Holds;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  connection = connectTest(redis);
  await redis.flush();
  dir = mkdtempSync(join(tmpdir(), 'hobbler-hold-'));
  gate = undefined;
  changes = [];
  const engine = {
    loops: new Map([['uid:1', {}]]),
    closeGate: (name: string, why: string) => {
      gate = `${name}: ${why}`;
    },
    openGate: () => {
      gate = undefined;
    },
  } as unknown as Engine;
  holds = new Holds(connection, 'web-1', join(dir, 'hold'), engine, systemClock, (hold) => changes.push(hold));
});
afterEach(() => {
  holds.stop();
  connection.disconnect();
  rmSync(dir, { recursive: true });
});

const inForce = (scope: string | null, deadlineMs = 1_000) =>
  until(() => (holds.inForce?.scope ?? null) === scope, { deadlineMs, what: `hold ${scope}` });

test('a hold that is set is in force within a second, the nearer one first, and lifted as soon', async () => {
  holds.start();
  await connection.set('hobbler:{web-1}:hold', JSON.stringify({ reason: 'maintenance', by: 'ann', sinceMs: 1 }));
  await inForce('host');
  expect(gate).toBe('hold: held (host): maintenance');
  await connection.set('hobbler:hold', JSON.stringify({ reason: 'everywhere', by: 'ann', sinceMs: 1 }));
  await inForce('fleet');
  writeFileSync(join(dir, 'hold'), 'by hand\n');
  await inForce('local');
  rmSync(join(dir, 'hold'));
  await connection.del('hobbler:hold', 'hobbler:{web-1}:hold');
  await inForce(null);
  expect(gate).toBeUndefined();
  expect(changes.at(-1)).toBeNull();
});

test.each(['', 'not JSON', '{}', '[]', 'null', '5'])(
  'a record of %j holds all the same: doubt means release',
  async (text) => {
    await connection.set('hobbler:hold', text);
    await holds.look();
    expect(holds.inForce?.scope).toBe('fleet');
    expect(gate).toBeDefined();
  },
);

test('one that is known stays in force while Redis does not answer, and a local one needs no Redis', async () => {
  holds.start();
  await connection.set('hobbler:hold', JSON.stringify({ reason: 'x', by: 'ann', sinceMs: 1 }));
  await inForce('fleet');
  await redis.pause();
  try {
    writeFileSync(join(dir, 'hold'), '');
    await inForce('local');
    rmSync(join(dir, 'hold'));
    await inForce('fleet');
  } finally {
    await redis.resume();
  }
});

test('what stands in the place of a hold and is none holds: doubt means release', async () => {
  holds.start();
  await connection.rpush('hobbler:hold', 'a', 'list');
  await inForce('fleet');
  expect(gate).toBe('hold: held (fleet): the record of the hold cannot be read');
  await connection.del('hobbler:hold');
  await inForce(null);
});

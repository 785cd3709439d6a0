/**
 * The desired state (invariant 3): whatever order messages come in, however often and from whomever, the highest
 * version stands in the end. On a real Redis and on the demo's embedded one.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import type { Order } from '../../../shared/order.ts';
import {
  forgetEnded,
  putAllDesired,
  putDesired,
  readDesired,
  readFleetChanges,
  readVersion,
} from '../../../shared/redis/desired.ts';
import { loadScript, runScript } from '../../../shared/redis/scripts.ts';
import { describeOnEveryServer } from '../../support/every-server.ts';
import { ISSUED_AT_MS, tarpitExample, untarpitExample } from '../../support/orders.ts';
import { connectTest, startRedis } from '../../support/redis.ts';

const HOUR_MS = 3_600_000;
const TOMBSTONE_ENDS_MS = ISSUED_AT_MS + 25 * HOUR_MS;
const version = (n: number, changes: Partial<Order> = {}): Order =>
  n % 2 === 0
    ? tarpitExample({ version: ISSUED_AT_MS + n, ...(changes as object) })
    : untarpitExample({ version: ISSUED_AT_MS + n, ...(changes as object) });

describeOnEveryServer('the desired state', (on) => {
  describe.each([
    ['a host', 'web-1'],
    ['the fleet', '*'],
  ])('of %s', (_, host) => {
    const key = host === '*' ? fleetKeys.desired : hostKeys.desired(host);
    const put = (n: number) => putDesired(on.redis, version(n, { host }));
    const standing = async () => JSON.parse((await on.redis.hget(key, 'user:alice')) ?? 'null') as Order | null;

    it('ends at the highest version under every permutation of four orders, each sent twice', async () => {
      for (const permutation of permutationsOf([1, 2, 3, 4])) {
        await on.redis.del(key);
        let highest = 0;
        for (const n of permutation.flatMap((each) => [each, each])) {
          const { status } = await put(n);
          expect([n, status]).toEqual([n, n > highest ? 'written' : n === highest ? 'same' : 'stale']);
          highest = Math.max(highest, n);
        }
        expect(await standing()).toEqual(version(4, { host }));
      }
    });

    it('ends at the highest version with eight writers at once', async () => {
      const writers = Array.from({ length: 8 }, () => connectTest(on));
      const orders = Array.from({ length: 25 }, (__, n) => n + 1);
      await Promise.all(
        writers.map(async (writer, seed) => {
          for (const n of fc.sample(fc.shuffledSubarray(orders, { minLength: 25 }), { numRuns: 1, seed })[0]!)
            await putDesired(writer, version(n, { host }));
        }),
      );
      for (const writer of writers) writer.disconnect();
      expect(await standing()).toEqual(version(25, { host }));
    });

    it('keeps the first of two different orders of one version, and tells the second which stands', async () => {
      const first = version(2, { host, reason: 'first' });
      await putDesired(on.redis, first);
      expect(await putDesired(on.redis, version(2, { host, reason: 'second' }))).toEqual({
        status: 'stale',
        currentVersion: ISSUED_AT_MS + 2,
      });
      expect(await standing()).toEqual(first);
    });

    it('keeps an untarpit as a tombstone: an older order that comes late changes nothing', async () => {
      await put(2);
      await put(3);
      expect(await put(2)).toEqual({ status: 'stale', currentVersion: ISSUED_AT_MS + 3 });
      expect(await standing()).toMatchObject({ action: 'untarpit' });
      const state = await readDesired(on.redis, 'web-1');
      expect(await forgetEnded(on.redis, host, state, TOMBSTONE_ENDS_MS)).toBe(0);
    });

    it('counts a record that cannot be read as less than any order', async () => {
      for (const broken of ['{', 'null', '7', '[]', '{"version":"x"}', '{"version":{}}']) {
        await on.redis.hset(key, 'user:alice', broken);
        expect(await readVersion(on.redis, host, 'user:alice')).toBe(0);
        expect(await put(1)).toEqual({ status: 'written' });
      }
    });

    it('refuses a new target when it is full, and still takes what changes an old one', async () => {
      const isFleet = host === '*';
      const script = loadScript(isFleet ? 'put-fleet-order' : 'put-orders');
      const keys = isFleet ? [fleetKeys.desired, fleetKeys.revisions, fleetKeys.revision] : [key];
      const putBounded = async (target: string, n: number) => {
        const write = [target, n, `{"version":${n}}`];
        if (isFleet) return runScript(on.redis, script, keys, [...write, 2]);
        return ((await runScript(on.redis, script, keys, [2, ...write])) as string[][])[0];
      };
      expect(await putBounded('uid:1', 1)).toEqual(['written']);
      expect(await putBounded('uid:2', 1)).toEqual(['written']);
      expect(await putBounded('uid:3', 1)).toEqual(['full', '2']);
      expect(await putBounded('uid:2', 2)).toEqual(['written']);
    });

    it('keeps the text exactly as it came: the signature covers fields that we do not know', async () => {
      const raw = { zebra: 1, ...version(2, { host }), ticket: { id: 'ü "7"' } };
      await putDesired(on.redis, version(2, { host }), raw);
      expect(await on.redis.hget(key, 'user:alice')).toBe(JSON.stringify(raw));
    });
  });

  it('is read whole, also where that takes more than one reply', async () => {
    const targets = Array.from({ length: 2_345 }, (_, n) => `uid:${n}`);
    await putAllDesired(
      on.redis,
      'web-1',
      targets.map((target) => ({ order: version(2, { target }), text: JSON.stringify(version(2, { target })) })),
    );
    const { records, broken } = await readDesired(on.redis, 'web-1');
    expect([...records.keys()].sort()).toEqual(targets.toSorted());
    expect(broken).toEqual([]);
  });

  it('takes many orders by one call, in the order given, each by its own version', async () => {
    await putDesired(on.redis, version(3, { target: 'uid:1' }));
    const orders = [
      version(2, { target: 'uid:1' }),
      version(2, { target: 'uid:2' }),
      version(4, { target: 'uid:1' }),
      version(2, { target: 'uid:2' }),
      version(1, { target: 'uid:2' }),
    ];
    const writes = orders.map((order) => ({ order, text: JSON.stringify(order) }));
    expect(await putAllDesired(on.redis, 'web-1', writes)).toEqual([
      { status: 'stale', currentVersion: ISSUED_AT_MS + 3 },
      { status: 'written' },
      { status: 'written' },
      { status: 'same' },
      { status: 'stale', currentVersion: ISSUED_AT_MS + 2 },
    ]);
    const { records } = await readDesired(on.redis, 'web-1');
    // A hash gives them in any order.
    const versions = [...records.values()].map(({ order }) => [order.target, order.version - ISSUED_AT_MS]);
    expect(Object.fromEntries(versions)).toEqual({ 'uid:1': 4, 'uid:2': 2 });
  });

  it('is read whole although one record is broken, and the broken one is named with its fault', async () => {
    await putDesired(on.redis, tarpitExample());
    await on.redis.hset(
      hostKeys.desired('web-1'),
      'uid:1',
      '{',
      'uid:2',
      JSON.stringify(tarpitExample({ target: 'uid:3' })),
    );
    const { records, broken } = await readDesired(on.redis, 'web-1');
    expect([...records.keys()]).toEqual(['user:alice']);
    expect(records.get('user:alice')).toEqual({
      text: JSON.stringify(tarpitExample()),
      raw: tarpitExample(),
      order: tarpitExample(),
    });
    expect(broken.sort((a, b) => (a.target < b.target ? -1 : 1))).toEqual([
      { target: 'uid:1', why: expect.stringContaining('desired uid:1: not JSON') },
      { target: 'uid:2', why: expect.stringContaining('desired uid:2: record under another target; got "uid:3"') },
    ]);
  });

  it('leaves out what the reader knows, by its exact text, and reads all the rest', async () => {
    await putDesired(on.redis, version(2, { target: 'uid:1' }));
    await putDesired(on.redis, version(2, { target: 'uid:2' }));
    await on.redis.hset(hostKeys.desired('web-1'), 'uid:3', '{');
    const known = await on.redis.hgetall(hostKeys.desired('web-1'));
    await putDesired(on.redis, version(4, { target: 'uid:2' }));
    const { records, broken } = await readDesired(on.redis, 'web-1', (target, text) => known[target] === text);
    expect([...records.values()].map(({ order }) => order.version)).toEqual([ISSUED_AT_MS + 4]);
    expect(broken).toEqual([]);
  });

  it('forgets records past their end, unless they changed since they were read', async () => {
    await putDesired(on.redis, version(2, { target: 'uid:1' }));
    await putDesired(on.redis, version(2, { target: 'uid:2' }));
    const read = await readDesired(on.redis, 'web-1');
    await putDesired(on.redis, version(4, { target: 'uid:2' }));
    expect(await forgetEnded(on.redis, 'web-1', read, TOMBSTONE_ENDS_MS + 10)).toBe(1);
    expect([...(await readDesired(on.redis, 'web-1')).records.keys()]).toEqual(['uid:2']);
  });

  describe('fleet orders by revision', () => {
    const putFleet = (target: string, n: number) => putDesired(on.redis, version(n, { host: '*', target }));
    const changed = async (since: number) => {
      const { records, revision, isWhole } = await readFleetChanges(on.redis, since);
      return { targets: [...records.keys()].sort(), revision, isWhole };
    };

    it('gives everything to who knows nothing, and then only what changed', async () => {
      expect(await changed(0)).toEqual({ targets: [], revision: 0, isWhole: true });
      await putFleet('uid:1', 2);
      await putFleet('uid:2', 2);
      const first = await changed(0);
      expect(first).toMatchObject({ targets: ['uid:1', 'uid:2'], isWhole: true });
      expect(await changed(first.revision)).toEqual({ targets: [], revision: first.revision, isWhole: false });
      await putFleet('uid:2', 4);
      await putFleet('uid:3', 2);
      await putFleet('uid:1', 2); // the same again is no change
      const second = await changed(first.revision);
      expect(second).toMatchObject({ targets: ['uid:2', 'uid:3'], isWhole: false });
      expect(second.revision).toBeGreaterThan(first.revision);
    });

    it('gives everything again after Redis lost all', async () => {
      await putFleet('uid:1', 2);
      const { revision } = await changed(0);
      await on.flush();
      expect(await changed(revision)).toEqual({ targets: [], revision: 0, isWhole: true });
    });

    it('hides nothing from who did not look between a loss and as many new orders', async () => {
      await putFleet('uid:1', 2);
      await putFleet('uid:2', 2);
      const { revision } = await changed(0);
      await on.flush();
      await putFleet('uid:3', 2);
      await putFleet('uid:4', 2);
      expect((await changed(revision)).targets).toEqual(['uid:3', 'uid:4']);
    });

    it('does not name what was forgotten', async () => {
      await putFleet('uid:1', 2);
      await putFleet('uid:2', 2);
      const state = await readFleetChanges(on.redis, 0);
      expect(await forgetEnded(on.redis, '*', state, TOMBSTONE_ENDS_MS + 10)).toBe(2);
      expect(await on.redis.zcard(fleetKeys.revisions)).toBe(0);
      expect(await changed(state.revision - 1)).toMatchObject({ targets: [] });
    });
  });
});

it('forgets more records at once than a call can have arguments', async () => {
  const server = await startRedis();
  const redis = connectTest(server);
  const count = 70_000;
  const state = { records: new Map(), broken: [] } as Awaited<ReturnType<typeof readDesired>>;
  for (let n = 0; n < count; n++) {
    const order = untarpitExample({ target: `uid:${n}` });
    state.records.set(order.target, { text: JSON.stringify(order), raw: order, order });
  }
  const fields = [...state.records].map(([target, { text }]) => [target, text] as const);
  for (let at = 0; at < count; at += 5_000)
    await redis.hset(hostKeys.desired('web-1'), new Map(fields.slice(at, at + 5_000)));
  expect(await forgetEnded(redis, 'web-1', state, TOMBSTONE_ENDS_MS + 1)).toBe(count);
  expect(await redis.exists(hostKeys.desired('web-1'))).toBe(0);
  redis.disconnect();
  await server.stop();
});

function permutationsOf<T>(values: readonly T[]): T[][] {
  if (values.length <= 1) return [[...values]];
  return values.flatMap((value, at) => permutationsOf(values.toSpliced(at, 1)).map((rest) => [value, ...rest]));
}

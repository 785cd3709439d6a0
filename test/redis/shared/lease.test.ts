/** The lease scripts: one worker per host, and an epoch that tells a worker when somebody else was it in between. */
import { expect, it } from 'vitest';
import { hostKeys } from '../../../shared/keys.ts';
import { loadScript, runScript } from '../../../shared/redis/scripts.ts';
import { describeOnEveryServer } from '../../support/every-server.ts';
import { until } from '../../support/processes.ts';

const takeLease = loadScript('take-lease');
const giveLease = loadScript('give-lease');
const LEASE = hostKeys.lease('web-1');
const LONG_MS = 30_000;

describeOnEveryServer('the lease of a host', (on) => {
  const take = (owner: string, heldEpoch = 0, ttlMs = LONG_MS) =>
    runScript(on.redis, takeLease, [LEASE, hostKeys.epoch('web-1')], [owner, ttlMs, heldEpoch]) as Promise<string[]>;
  const give = (owner: string) => runScript(on.redis, giveLease, [LEASE], [owner]);
  const runOut = () =>
    until(async () => (await on.redis.exists(LEASE)) === 0, { deadlineMs: 2_000, what: 'its expiry' });

  it('goes to the first who asks, and the others are told whose epoch stands and for how long', async () => {
    expect(await take('a')).toEqual(['held', '1']);
    const [status, epoch, leftMs] = await take('b');
    expect([status, epoch]).toEqual(['other', '1']);
    expect(Number(leftMs)).toBeGreaterThan(LONG_MS - 5_000);
    expect(Number(leftMs)).toBeLessThanOrEqual(LONG_MS);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['that is no lease', () => on.redis.set(LEASE, 'mine')],
    ['without a name', () => on.redis.set(LEASE, '7')],
    ['that never ends', () => on.redis.set(LEASE, '7 another')],
    ['of another type', () => on.redis.hset(LEASE, 'a', 'b')],
  ])('a record %s keeps no worker out', async (__, put) => {
    await put();
    expect((await take('a'))[0]).toBe('held');
    expect((await take('b'))[0]).toBe('other');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['is no number', () => on.redis.set(hostKeys.epoch('web-1'), 'one')],
    ['cannot be counted on', () => on.redis.set(hostKeys.epoch('web-1'), '9223372036854775807')],
    ['is of another type', () => on.redis.hset(hostKeys.epoch('web-1'), 'a', 'b')],
  ])('an epoch that %s is begun anew, above all that were', async (__, put) => {
    await put();
    const [status, epoch] = await take('a');
    expect([status, Number(epoch) > 1_700_000_000, Number.isSafeInteger(Number(epoch))]).toEqual(['held', true, true]);
    expect(await take('a', Number(epoch))).toEqual(['held', epoch]);
  });

  it('goes to exactly one of many who ask at once', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, (__, n) => take(`worker ${n}`)));
    expect(replies.filter(([status]) => status === 'held')).toHaveLength(1);
    expect(new Set(replies.map(([, epoch]) => epoch))).toEqual(new Set(['1']));
  });

  it('is renewed by its owner under the same epoch, and lives on', async () => {
    await take('a', 0, 1_000);
    expect(await take('a', 1, LONG_MS)).toEqual(['held', '1']);
    expect(await on.redis.pttl(LEASE)).toBeGreaterThan(1_000);
  });

  it('is had back by its owner under the same epoch when it ran out and nobody held it in between', async () => {
    await take('a', 0, 20);
    await runOut();
    expect(await take('a', 1)).toEqual(['held', '1']);
  });

  it('has a new epoch when somebody held it in between', async () => {
    await take('a', 0, 20);
    await runOut();
    expect(await take('b', 0, 20)).toEqual(['held', '2']);
    await runOut();
    expect(await take('a', 1)).toEqual(['held', '3']);
  });

  it('has a new epoch for a worker that starts anew, also after itself', async () => {
    await take('a', 0, 20);
    await runOut();
    expect(await take('a', 0)).toEqual(['held', '2']);
  });

  it('has another epoch after Redis lost all: its owner notices', async () => {
    await take('a');
    await take('b');
    await on.redis.set(hostKeys.epoch('web-1'), 7);
    await on.redis.del(LEASE);
    expect(await take('a', 7)).toEqual(['held', '7']);
    await on.flush();
    expect(await take('a', 7)).toEqual(['held', '1']);
  });

  it('is given back by its owner alone, and then free at once', async () => {
    await take('a');
    expect(await give('b')).toBe(0);
    expect(await take('b')).toMatchObject(['other', '1', expect.any(String)]);
    expect(await give('a')).toBe(1);
    expect(await give('a')).toBe(0);
    expect(await take('b')).toEqual(['held', '2']);
  });

  it('is not mistaken for another’s when names hold spaces or pattern signs', async () => {
    await take('web-1 4242 %d+ (x)');
    expect(await give('web-1 4242')).toBe(0);
    expect(await give('4242 %d+ (x)')).toBe(0);
    expect(await take('web-1 4242 %d+ (x)', 1)).toEqual(['held', '1']);
    expect(await give('web-1 4242 %d+ (x)')).toBe(1);
  });
});

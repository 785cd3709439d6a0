/** What the producer writes down of accounts for people: changes and readings near a limit, with the words; nothing of the rest. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AccountReading, readAccount } from '../../../admin/fleet/account.ts';
import { HISTORY_ENTRIES } from '../../../shared/history.ts';
import { explainedKey, historyKey } from '../../../shared/keys.ts';
import { until } from '../../support/until.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

let fixture: ProducerFixture;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.close());

const read = (account: string): Promise<AccountReading> => readAccount(fixture.redis, account);
/** Waits until the account's history has so many entries. */
const written = (account: string, count: number): Promise<AccountReading> =>
  until(
    async () => {
      const reading = await read(account);
      return reading.history.length >= count ? reading : undefined;
    },
    { deadlineMs: 5_000, what: `${count} entries of ${account}` },
  ) as Promise<AccountReading>;

describe('the history of an account', () => {
  it('has the reading that put it in, the change with its reason, and what explain says', async () => {
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', { account: 'alice', used: 2104, window: 'monday' });
    const { history, explained, unreadable } = await written('alice', 2);
    expect(history).toEqual([
      {
        atMs: expect.any(Number),
        kind: 'reading',
        subject: 'account',
        limit: 'default',
        used: 2104,
        of: 2000,
        unit: 's',
        resource: 'cpu',
      },
      {
        ...{ atMs: expect.any(Number), kind: 'change', subject: 'account', change: 'in' },
        ...{
          hobble: { runMs: 10, stopMs: 200 },
          limit: 'default',
          level: 1,
          why: expect.stringContaining('cpu 2104 s'),
        },
      },
    ]);
    expect(explained?.subjects[0]).toMatchObject({ subject: 'account', isSlowed: true });
    expect(explained!.subjects[0]!.summary).toContain('alice is slowed down to 10 ms of every 210 ms');
    expect(unreadable).toBe(0);
    expect(await fixture.redis.pttl(historyKey('alice'))).toBeGreaterThan(0);
    expect(await fixture.redis.pttl(explainedKey('alice'))).toBeGreaterThan(0);

    await ask(producer, '/v1/readings', { account: 'alice', used: 3, window: 'tuesday' });
    const later = await written('alice', 4);
    expect(later.history.at(-1)).toMatchObject({ kind: 'change', change: 'out', hobble: null, level: null });
    expect(later.explained?.subjects[0]?.isSlowed).toBe(false);
  });

  it('has readings near a limit now and then, and none of who comes near none', async () => {
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', [
      { account: 'near', used: 1500 },
      { account: 'far', used: 20 },
    ]);
    await ask(producer, '/v1/readings', { account: 'near', used: 1501 });
    await ask(producer, '/v1/readings', { account: 'last', used: 1501 });
    await written('last', 1);
    expect((await read('near')).history.map((entry) => entry.kind === 'reading' && entry.used)).toEqual([1500]);
    expect(await read('far')).toEqual({ history: [], explained: null, pin: null, unreadable: 0 });
  });

  it('is bounded, and what cannot be read in it hides nothing else', async () => {
    const producer = await fixture.start();
    for (let n = 0; n < HISTORY_ENTRIES * 3; n++) await fixture.redis.xadd(historyKey('alice'), '*', 'entry', '{}');
    await ask(producer, '/v1/readings', { account: 'alice', used: 2104 });
    const { history, unreadable } = await written('alice', 2);
    expect(history).toHaveLength(2);
    expect(unreadable).toBeGreaterThan(0);
    // Redis trims whole blocks of a hundred.
    expect(await fixture.redis.xlen(historyKey('alice'))).toBeLessThan(HISTORY_ENTRIES + 200);
  });

  it('is never waited for: a history that Redis refuses changes nothing', async () => {
    await fixture.redis.set(historyKey('alice'), 'no stream');
    const producer = await fixture.start();
    expect(await ask(producer, '/v1/readings', { account: 'alice', used: 2104 })).toMatchObject({ status: 200 });
    await until(async () => (await fixture.standing('*', 'user:alice'))?.action === 'tarpit', {
      deadlineMs: 5_000,
      what: 'the order',
    });
  });
});

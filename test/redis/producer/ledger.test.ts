/** The ledger on a real Redis: what is written comes back, and of two writers upon the same memory one is told. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Ledger, type LedgerEntry, type SubjectChange } from '../../../producer/ledger.ts';
import { emptyState } from '../../../producer/policy/state.ts';
import { ledgerKey, ledgerKeys } from '../../../shared/keys.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

let server: TestRedis;
let redis: Redis;
let ledger: Ledger;
beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  ledger = new Ledger(redis);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const PLACES = [{ host: '*', target: 'user:alice' }];
const read = async (account = 'alice'): Promise<LedgerEntry> => (await ledger.read([account])).get(account)!;
const change = (parts: Partial<SubjectChange> = {}): SubjectChange => ({
  state: emptyState('alice', 'account'),
  places: PLACES,
  owed: null,
  ...parts,
});
const save = (entry: LedgerEntry, subject = change(), forget: string[] = []) =>
  ledger.save([{ entry, subjects: [subject], forget }]);

describe('the ledger', () => {
  it('gives back what it was given, and grows its revision with each write', async () => {
    expect(await read()).toMatchObject({ revision: 0, unreadable: new Map() });
    expect(await save(await read())).toEqual(new Set());
    expect(await read()).toMatchObject({
      revision: 1,
      states: new Map([['account', emptyState('alice', 'account')]]),
      places: new Map([['account', PLACES]]),
      owed: new Map(),
    });
    await save(await read(), change({ places: [], owed: { sinceMs: 5, places: PLACES } }));
    expect(await read()).toMatchObject({
      revision: 2,
      places: new Map(),
      owed: new Map([['account', { sinceMs: 5 }]]),
    });
    expect(await redis.pttl(ledgerKey('alice'))).toBeGreaterThan(0);
  });

  it('tells who judged upon what is no longer there, and writes nothing of his', async () => {
    const [mine, theirs] = [await read(), await read()];
    expect(await save(mine)).toEqual(new Set());
    expect(await save(theirs, change({ places: [] }))).toEqual(new Set(['alice']));
    expect((await read()).places.get('account')).toEqual(PLACES);
    expect(await save(await read(), change({ places: [] }))).toEqual(new Set());
  });

  it('settles a debt, and leaves a later one of the same subject', async () => {
    await save(await read(), change({ places: [], owed: { sinceMs: 7, places: PLACES } }));
    await ledger.settle([{ account: 'alice', subject: 'account', sinceMs: 6 }]);
    expect((await read()).owed.size).toBe(1);
    await ledger.settle([{ account: 'alice', subject: 'account', sinceMs: 7 }]);
    expect((await read()).owed.size).toBe(0);
  });

  it('forgets subjects', async () => {
    await save(await read());
    await save(await read(), change({ state: emptyState('alice', 'web-1 -') }), ['account']);
    expect([...(await read()).states.keys()]).toEqual(['web-1 -']);
    expect([...(await read()).places.keys()]).toEqual(['web-1 -']);
  });

  it('owes the places of an older record, and drops that with the next write', async () => {
    await redis.hset(ledgerKey('alice'), 'record:account', JSON.stringify({ v: 1, verdict: 'tarpit', places: PLACES }));
    const entry = await read();
    expect(entry).toMatchObject({ revision: 0, owed: new Map([['account', { sinceMs: 0, places: PLACES }]]) });
    await ledger.settle([{ account: 'alice', subject: 'account', sinceMs: 0 }]);
    expect(await redis.hkeys(ledgerKey('alice'))).toEqual(['revision']);
  });

  it('says field by field what cannot be read', async () => {
    await redis.hset(ledgerKey('alice'), { 'state:account': '{', 'places:x': '7', meter: 'x', 'owed:account': '[]' });
    expect([...(await read()).unreadable.keys()].sort()).toEqual([
      'meter',
      'owed:account',
      'places:x',
      'state:account',
    ]);
  });

  it('replaces a key that is no hash', async () => {
    await redis.set(ledgerKey('alice'), 'surprise');
    expect(await save(await read())).toEqual(new Set());
    expect((await read()).revision).toBe(1);
  });

  it('finds every account, and nothing else', async () => {
    for (const account of ['alice', '}{', 'a b', 'ü']) await save(await read(account));
    await redis.hset(ledgerKeys.pins, 'x', 'y');
    await redis.set(ledgerKeys.brake, '{}');
    const found: string[] = [];
    for await (const accounts of ledger.accounts()) found.push(...accounts);
    expect(found.sort()).toEqual(['a b', 'alice', '}{', 'ü']);
  });
});

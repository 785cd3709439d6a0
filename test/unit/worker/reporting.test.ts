/** What a worker writes to Redis about itself: it ends at the truth, however slow Redis is, and a bad record hides nothing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import type { Engine } from '../../../worker/engine/engine.ts';
import type { Entry, OrderBook } from '../../../worker/order-book.ts';
import { Reconciler } from '../../../worker/reconciler.ts';
import { Reporter } from '../../../worker/reporter.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { tarpitExample } from '../../support/orders.ts';

/** A Redis of one hash whose answers wait for the test. */
class SlowRedis {
  readonly fields = new Map<string, string>();
  readonly answers: (() => void)[] = [];
  /** Fields in the order in which they were written, each as often as it was. */
  readonly written: string[] = [];

  pipeline() {
    const commands: (() => void)[] = [];
    return {
      get length() {
        return commands.length;
      },
      del: () => commands.push(() => this.fields.clear()),
      hset: (_: string, ...pairs: string[]) =>
        commands.push(() => {
          for (let at = 0; at < pairs.length; at += 2) this.#write(pairs[at]!, pairs[at + 1]!);
        }),
      hdel: (_: string, ...fields: string[]) =>
        commands.push(() => {
          for (const field of fields) this.fields.delete(field);
        }),
      exec: () => {
        for (const command of commands) command();
        return new Promise((resolve) => this.answers.push(() => resolve([])));
      },
    };
  }

  #write(field: string, value: string): void {
    this.fields.set(field, value);
    this.written.push(field);
  }

  async answerAll(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) {
      for (const answer of this.answers.splice(0)) answer();
      await settle();
    }
  }
}

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => expect(clock.pendingTimers).toBe(0));

function createReporter(redis: SlowRedis) {
  const entries = new Map<string, Entry>();
  const reporter = new Reporter({
    redis: redis as unknown as Redis,
    host: 'web-1',
    engine: { loops: new Map(), closedGate: undefined } as unknown as Engine,
    book: { entries } as unknown as OrderBook,
    clock,
    redisNowMs: () => clock.wallMs(),
    cores: 2,
    log: silentLogger(),
  });
  return { entries, reporter };
}

function entryOf(target: string, version = 1): Entry {
  return {
    order: tarpitExample({ target, version }),
    deadlineBootMs: 1e9,
    sinceMs: 0,
    result: { status: 'applied', processes: 1 },
    mechanismWhy: null,
  };
}

describe('the reporter', () => {
  /** What is written after a change of this target, or of all. */
  const written = async (redis: SlowRedis, reporter: Reporter, target?: string) => {
    reporter.changed(target);
    await clock.advance(20);
    await settle();
    await redis.answerAll();
    return redis.written.splice(0);
  };

  it('looks at the target that changed, and not at all the others', async () => {
    const redis = new SlowRedis();
    const { entries, reporter } = createReporter(redis);
    for (let uid = 1; uid <= 1_200; uid++) entries.set(`uid:${uid}`, entryOf(`uid:${uid}`));
    expect(await written(redis, reporter)).toHaveLength(1_200);
    for (const target of ['uid:7', 'uid:8']) entries.set(target, entryOf(target, 2));
    expect(await written(redis, reporter, 'uid:7')).toEqual(['uid:7']);
    expect(await written(redis, reporter)).toEqual(['uid:8']);
    entries.delete('uid:9');
    await written(redis, reporter, 'uid:9');
    expect(redis.fields.size).toBe(1_199);
    expect(redis.fields.has('uid:9')).toBe(false);
  });

  it('writes everything anew when it is to forget what it has written, whatever changed', async () => {
    const redis = new SlowRedis();
    const { entries, reporter } = createReporter(redis);
    for (const target of ['uid:1', 'uid:2']) entries.set(target, entryOf(target));
    await written(redis, reporter);
    redis.fields.set('uid:99', 'of an earlier worker');
    reporter.forget();
    expect(await written(redis, reporter, 'uid:1')).toEqual(['uid:1', 'uid:2']);
    expect([...redis.fields.keys()]).toEqual(['uid:1', 'uid:2']);
  });

  it('leaves no report of a target that was let go while Redis was slow', async () => {
    const redis = new SlowRedis();
    const { entries, reporter } = createReporter(redis);
    await Promise.all([reporter.flush(), settle().then(() => redis.answerAll())]);
    entries.set('user:alice', entryOf('user:alice'));
    const first = reporter.flush();
    await settle();
    entries.clear();
    entries.set('uid:7', entryOf('uid:7'));
    const second = reporter.flush();
    await settle();
    await redis.answerAll();
    await Promise.all([first, second]);
    await Promise.all([reporter.flush(), settle().then(() => redis.answerAll())]);
    expect([...redis.fields.keys()]).toEqual(['uid:7']);
  });
});

describe('the reconciler', () => {
  const readable = (records: Record<string, unknown>, forgotten: string[]) => ({
    hscan: async () => [
      '0',
      Object.entries(records).flatMap(([target, record]) => [
        target,
        typeof record === 'string' ? record : JSON.stringify(record),
      ]),
    ],
    get: async () => null,
    evalsha: async (_sha: string, _keys: number, _key: string, ...pairs: string[]) => {
      forgotten.push(...pairs.filter((_pair, index) => index % 2 === 0));
      return pairs.length / 2;
    },
  });

  function createReconciler(records: Record<string, unknown>, apply: (target: string) => Promise<unknown>) {
    const applied: string[] = [];
    const forgotten: string[] = [];
    const entries = new Map<string, Entry>();
    const book = {
      entries,
      check: () => undefined,
      apply: async ({ target }: { target: string }) => {
        applied.push(target);
        return apply(target);
      },
    } as unknown as OrderBook;
    const redis = readable(records, forgotten) as unknown as Redis;
    const reconciler = new Reconciler(redis, 'web-1', book, () => clock.wallMs(), silentLogger());
    return { reconciler, applied, entries, forgotten };
  }

  it('takes the good records beside any number of bad ones', async () => {
    const { reconciler, applied } = createReconciler(
      {
        'uid:1': 'not JSON',
        'uid:2': '{}',
        'uid:3': 'null',
        'uid:4': tarpitExample({ target: 'uid:99' }),
        'uid:5': { ...tarpitExample({ target: 'uid:5' }), v: 2 },
        'uid:6': 'x'.repeat(100_000),
        'uid:7': tarpitExample({ target: 'uid:7' }),
      },
      async () => ({}),
    );
    await reconciler.run();
    expect(applied).toEqual(['uid:7']);
  });

  it('does not let one target whose user cannot be looked up soon hold up the others', async () => {
    const { reconciler, applied } = createReconciler(
      { 'user:slow': tarpitExample({ target: 'user:slow' }), 'uid:7': tarpitExample({ target: 'uid:7' }) },
      (target) => (target === 'user:slow' ? new Promise(() => {}) : Promise.resolve({})),
    );
    void reconciler.run();
    await settle();
    expect(applied).toEqual(['user:slow', 'uid:7']);
  });

  it('takes a record again that is as it was as long as it does not stand, and when it stands no more', async () => {
    const records = { 'uid:7': tarpitExample({ target: 'uid:7' }) };
    const { reconciler, applied, entries, forgotten } = createReconciler(records, async () => ({}));
    const takenAfter = async (result: Entry['result']) => {
      entries.set('uid:7', { ...entryOf('uid:7', tarpitExample().version), result });
      applied.length = 0;
      await reconciler.run();
      return applied.length;
    };
    await reconciler.run();
    expect(await takenAfter({ status: 'gone', why: 'no such user' })).toBe(1);
    expect(await takenAfter({ status: 'applied', processes: 1 })).toBe(0);
    expect(await takenAfter({ status: 'applied', processes: 1 })).toBe(0);
    expect(await takenAfter({ status: 'gone', why: 'its last process has ended' })).toBe(1);
    records['uid:7'] = tarpitExample({ target: 'uid:7', version: tarpitExample().version + 1 });
    expect(await takenAfter({ status: 'applied', processes: 1 })).toBe(1);
    expect(forgotten).toEqual([]);
  });

  it('forgets a record that has ended, also one that is as it was', async () => {
    const order = tarpitExample({ target: 'uid:7', version: clock.wallMs(), issuedAt: clock.wallMs() });
    const { reconciler, entries, forgotten } = createReconciler({ 'uid:7': order }, async () => ({}));
    entries.set('uid:7', { ...entryOf('uid:7', order.version), result: { status: 'expired', lateMs: 0 } });
    for (let turn = 0; turn < 2; turn++) await reconciler.run();
    expect(forgotten).toEqual([]);
    clock.stall(26 * 3_600_000);
    await reconciler.run();
    expect(forgotten).toEqual(['uid:7']);
  });

  it('one order that cannot be applied at all does not keep the others from it', async () => {
    const { reconciler, applied } = createReconciler(
      { 'uid:5': tarpitExample({ target: 'uid:5' }), 'uid:7': tarpitExample({ target: 'uid:7' }) },
      (target) => (target === 'uid:5' ? Promise.reject(new Error('EMFILE')) : Promise.resolve({})),
    );
    await reconciler.run().catch(() => {});
    expect(applied).toEqual(['uid:5', 'uid:7']);
  });
});

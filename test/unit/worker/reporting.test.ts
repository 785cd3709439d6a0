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

  pipeline() {
    const commands: (() => void)[] = [];
    return {
      get length() {
        return commands.length;
      },
      del: () => commands.push(() => this.fields.clear()),
      hset: (_: string, field: string, value: string) => commands.push(() => this.fields.set(field, value)),
      hdel: (_: string, field: string) => commands.push(() => this.fields.delete(field)),
      exec: () => {
        for (const command of commands) command();
        return new Promise((resolve) => this.answers.push(() => resolve([])));
      },
    };
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

describe('the reporter', () => {
  it('leaves no report of a target that was let go while Redis was slow', async () => {
    const redis = new SlowRedis();
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
    await Promise.all([reporter.flush(), settle().then(() => redis.answerAll())]);
    const order = tarpitExample();
    entries.set(order.target, {
      order,
      deadlineBootMs: 1e9,
      sinceMs: 0,
      result: { status: 'applied', processes: 1 },
      mechanismWhy: null,
    });
    const first = reporter.flush();
    await settle();
    entries.clear();
    const other = tarpitExample({ target: 'uid:7' });
    entries.set(other.target, {
      order: other,
      deadlineBootMs: 1e9,
      sinceMs: 0,
      result: { status: 'applied', processes: 1 },
      mechanismWhy: null,
    });
    const second = reporter.flush();
    await settle();
    await redis.answerAll();
    await Promise.all([first, second]);
    await Promise.all([reporter.flush(), settle().then(() => redis.answerAll())]);
    expect([...redis.fields.keys()]).toEqual(['uid:7']);
  });
});

describe('the reconciler', () => {
  const readable = (records: Record<string, unknown>) => ({
    hgetall: async (key: string) =>
      key === 'hobbler:fleet'
        ? {}
        : Object.fromEntries(
            Object.entries(records).map(([target, record]) => [
              target,
              typeof record === 'string' ? record : JSON.stringify(record),
            ]),
          ),
    get: async () => null,
    evalsha: async () => 0,
  });

  function createReconciler(records: Record<string, unknown>, apply: (target: string) => Promise<unknown>) {
    const applied: string[] = [];
    const book = {
      entries: new Map(),
      check: () => undefined,
      apply: async ({ target }: { target: string }) => {
        applied.push(target);
        return apply(target);
      },
    } as unknown as OrderBook;
    const redis = readable(records) as unknown as Redis;
    return { reconciler: new Reconciler(redis, 'web-1', book, () => clock.wallMs(), silentLogger()), applied };
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

  it('one order that cannot be applied at all does not keep the others from it', async () => {
    const { reconciler, applied } = createReconciler(
      { 'uid:5': tarpitExample({ target: 'uid:5' }), 'uid:7': tarpitExample({ target: 'uid:7' }) },
      (target) => (target === 'uid:5' ? Promise.reject(new Error('EMFILE')) : Promise.resolve({})),
    );
    await reconciler.run().catch(() => {});
    expect(applied).toEqual(['uid:5', 'uid:7']);
  });
});

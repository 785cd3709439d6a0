/** Invariants 2 and 3 on the host: which order stands, how long, and what nobody's clock or restart can change of it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Logger } from '../../../shared/log.ts';
import { silentLogger } from '../../../shared/log.ts';
import { MAX_LEASE_MS, type Order } from '../../../shared/order.ts';
import { Verifier } from '../../../shared/signature.ts';
import { formatTarget, type Target } from '../../../shared/target.ts';
import { Deadlines } from '../../../worker/deadlines.ts';
import type { Engine, TarpitOutcome } from '../../../worker/engine/engine.ts';
import type { LoopSettings } from '../../../worker/engine/loop.ts';
import { OrderBook } from '../../../worker/order-book.ts';
import type { UserLookup, Users } from '../../../worker/users.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tarpitExample, untarpitExample } from '../../support/orders.ts';

/** The engine as the book sees it: which targets are in, and with which cycle. */
class FakeEngine {
  readonly loops = new Map<string, { runMs: number; processes: number }>();
  outcome: TarpitOutcome | undefined;
  calls = 0;

  tarpit(target: Target, { cycle: { runMs }, mechanism }: LoopSettings, uid?: number): TarpitOutcome {
    this.calls++;
    const key = formatTarget(target);
    if (this.outcome) return this.outcome;
    if (target.kind === 'user' && uid === undefined && !this.loops.has(key)) return { status: 'gone', why: 'no user' };
    const loop = {
      runMs,
      processes: 3,
      inForce: { mechanism: mechanism === 'auto' ? 'signal' : mechanism, why: 'a test' },
    };
    this.loops.set(key, loop);
    return { status: 'applied', loop } as unknown as TarpitOutcome;
  }

  untarpit(key: string) {
    return { released: this.loops.delete(key) ? 3 : 0, heldBy: null };
  }
}

let dir: string;
let clock: FakeClock;
/** Redis's clock against the boot clock. */
let redisOffsetMs: number;
let engine: FakeEngine;
let lookup: UserLookup | Promise<UserLookup>;
let logged: string[];
const redisNowMs = () => Math.round(clock.bootMs() + redisOffsetMs);
const deadlinesPath = () => join(dir, 'orders.json');

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-book-'));
  clock = new FakeClock();
  redisOffsetMs = clock.wallMs() - clock.bootMs();
  engine = new FakeEngine();
  lookup = { status: 'found', uid: 1_001 };
  logged = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A worker's book; another one on the same directory is the worker after a restart. */
function openBook(bootId = 'boot-1') {
  const write = (_: unknown, text: string) => logged.push(text);
  const log = { ...silentLogger(), info: write, warn: write, isLevelEnabled: () => false } as unknown as Logger;
  return new OrderBook({
    host: 'web-1',
    engine: engine as unknown as Engine,
    users: { uidOf: async () => lookup } as unknown as Users,
    verifier: new Verifier([]),
    deadlines: new Deadlines(deadlinesPath(), bootId, log),
    clock,
    redisNowMs,
    onChange: () => {},
    log,
  });
}

let lastVersion = 0;
function tarpit(changes: Partial<ReturnType<typeof tarpitExample>> = {}, forMs = 900_000): Order {
  const now = redisNowMs();
  lastVersion = Math.max(lastVersion + 1, now);
  return tarpitExample({ version: lastVersion, issuedAt: now, expiresAt: now + forMs, ...changes });
}
function untarpit(changes: Partial<ReturnType<typeof untarpitExample>> = {}): Order {
  const now = redisNowMs();
  lastVersion = Math.max(lastVersion + 1, now);
  return untarpitExample({ version: lastVersion, issuedAt: now, ...changes });
}

describe('the newest version stands', () => {
  it('in whatever order orders come, doubled or late', async () => {
    const orders = fc
      .array(fc.record({ isTarpit: fc.boolean(), runMs: fc.integer({ min: 1, max: 100 }) }), {
        minLength: 1,
        maxLength: 8,
      })
      .chain((list) => {
        const made = list.map(({ isTarpit, runMs }, index) => ({
          version: 1_764_000_000_000 + index,
          isTarpit,
          runMs,
        }));
        const times = fc.array(fc.constantFrom(...made), { maxLength: 16 });
        return times.chain((again) =>
          fc.shuffledSubarray([...made, ...again], { minLength: made.length + again.length }),
        );
      });
    await fc.assert(
      fc.asyncProperty(orders, async (list) => {
        engine = new FakeEngine();
        const book = openBook();
        const apply = ({ version, isTarpit, runMs }: (typeof list)[number]) =>
          book.apply(
            isTarpit ? tarpit({ version, hobble: { runMs, stopMs: 200, mechanism: 'auto' } }) : untarpit({ version }),
          );
        await Promise.all(list.map(apply));
        const newest = list.reduce((a, b) => (b.version > a.version ? b : a));
        expect(engine.loops.get('user:alice')?.runMs).toBe(newest.isTarpit ? newest.runMs : undefined);
      }),
      { numRuns: 200 },
    );
  });

  it('an older order is stale and says which one stands', async () => {
    const book = openBook();
    const old = tarpit();
    const newer = untarpit();
    await book.apply(newer);
    expect(await book.apply(old)).toEqual({ status: 'stale', currentVersion: newer.version });
    expect(engine.loops.size).toBe(0);
  });

  it('the same order again gives the same answer and begins nothing', async () => {
    const book = openBook();
    const order = tarpit();
    const first = await book.apply(order);
    expect(await book.apply(order)).toEqual(first);
    expect(engine.calls).toBe(1);
  });

  it('another order under the same version is stale', async () => {
    const book = openBook();
    const order = tarpit();
    await book.apply(order);
    const forged = tarpit({ version: order.version, hobble: { runMs: 9_000, stopMs: 1, mechanism: 'auto' } });
    expect(await book.apply(forged)).toEqual({ status: 'stale', currentVersion: order.version });
    expect(engine.loops.get('user:alice')!.runMs).toBe(10);
  });

  it('a slow look-up of a user lets no older order overtake', async () => {
    const book = openBook();
    let answer: (found: UserLookup) => void = () => {};
    lookup = new Promise((resolve) => {
      answer = resolve;
    });
    const first = book.apply(tarpit());
    const second = book.apply(untarpit());
    answer({ status: 'found', uid: 1_001 });
    await Promise.all([first, second]);
    expect(engine.loops.size).toBe(0);
  });

  it('a tombstone outlives every order that it overtakes, and then goes', async () => {
    const book = openBook();
    const old = tarpit({}, MAX_LEASE_MS);
    await book.apply(untarpit());
    clock.stall(MAX_LEASE_MS + 3_500_000);
    book.expire();
    expect(await book.apply(old)).toMatchObject({ status: 'stale' });
    clock.stall(200_000);
    book.expire();
    expect(book.entries.size).toBe(0);
    // A replay after that is over by its own time.
    expect(await book.apply(old)).toMatchObject({ status: 'expired' });
    expect(engine.loops.size).toBe(0);
  });
});

describe('an order ends', () => {
  it('at its expiry, with nobody telling', async () => {
    const book = openBook();
    await book.apply(tarpit({}, 60_000));
    clock.stall(59_999);
    expect(book.expire()).toEqual([]);
    clock.stall(1);
    expect(book.expire()).toEqual(['user:alice']);
    expect(engine.loops.size).toBe(0);
  });

  it('at its expiry also when the machine slept in between', async () => {
    const book = openBook();
    await book.apply(tarpit({}, 60_000));
    clock.suspend(60_000);
    expect(book.expire()).toEqual(['user:alice']);
  });

  it('no later when Redis’s clock or the machine’s jumps back', async () => {
    const book = openBook();
    await book.apply(tarpit({}, 60_000));
    redisOffsetMs -= 3_600_000;
    clock.jumpWall(-3_600_000);
    clock.stall(60_000);
    expect(book.expire()).toEqual(['user:alice']);
  });

  it('after 24 h, whatever it says', async () => {
    const book = openBook();
    await book.apply(tarpit({}, 365 * 86_400_000));
    clock.stall(MAX_LEASE_MS - 1);
    expect(book.expire()).toEqual([]);
    clock.stall(1);
    expect(book.expire()).toHaveLength(1);
  });

  it('after the time it was given, when the clock of who gave it was ahead', async () => {
    const book = openBook();
    const ahead = redisNowMs() + 3_600_000;
    await book.apply(tarpit({ issuedAt: ahead, expiresAt: ahead + 60_000 }));
    clock.stall(60_000);
    expect(book.expire()).toHaveLength(1);
  });

  it('at once, when it comes too late', async () => {
    const book = openBook();
    const order = tarpit({}, 60_000);
    clock.stall(61_000);
    expect(await book.apply(order)).toEqual({ status: 'expired', lateMs: 1_000 });
    expect(engine.calls).toBe(0);
  });

  it('a renewal lengthens it, and keeps since when', async () => {
    const book = openBook();
    await book.apply(tarpit({}, 60_000));
    const { sinceMs } = book.entries.get('user:alice')!;
    clock.stall(30_000);
    await book.apply(tarpit({}, 60_000));
    clock.stall(59_000);
    expect(book.expire()).toEqual([]);
    expect(book.entries.get('user:alice')!.sinceMs).toBe(sinceMs);
  });
});

describe('over a restart', () => {
  it('an order has no more time than it had left, even when Redis’s clock was set back', async () => {
    const order = tarpit({}, 60_000);
    const first = openBook();
    await first.apply(order);
    first.expire();
    clock.stall(50_000);
    redisOffsetMs -= 3_600_000;
    const book = openBook();
    await book.apply(order);
    clock.stall(10_000);
    expect(book.expire()).toHaveLength(1);
  });

  it('an untarpit stands, also when Redis was restored from before it', async () => {
    const order = tarpit({}, MAX_LEASE_MS);
    const release = untarpit();
    const first = openBook();
    await first.apply(order);
    await first.apply(release);
    first.expire();
    const book = openBook();
    expect(await book.apply(order)).toEqual({ status: 'stale', currentVersion: release.version });
    expect(engine.loops.size).toBe(0);
    expect(await book.apply(tarpit())).toMatchObject({ status: 'applied' });
  });

  it('of the machine the memory is worth nothing: boot clocks begin anew', async () => {
    const order = tarpit({}, 60_000);
    const first = openBook();
    await first.apply(order);
    first.expire();
    const book = openBook('boot-2');
    await book.apply(order);
    expect(book.expire()).toEqual([]);
  });

  it.each(['', '{', '[]', '{"bootId":"boot-1","deadlines":{"a":1}}', '\0\0'])(
    'a memory of %j costs only the memory',
    async (text) => {
      writeFileSync(deadlinesPath(), text);
      expect(await openBook().apply(tarpit())).toMatchObject({ status: 'applied' });
    },
  );

  it('a memory that cannot be written costs only the memory', async () => {
    rmSync(dir, { recursive: true });
    const book = openBook();
    expect(await book.apply(tarpit())).toMatchObject({ status: 'applied' });
    book.expire();
    dir = mkdtempSync(join(tmpdir(), 'hobbler-book-'));
  });

  it('costs little to remember: 5,000 orders are not 5,000 times the whole file', async () => {
    const book = openBook();
    for (let uid = 0; uid < 5_000; uid++) await book.apply(tarpit({ target: `uid:${uid + 1_000}` }));
    expect(existsSync(deadlinesPath())).toBe(false);
    book.expire();
    expect(existsSync(deadlinesPath())).toBe(true);
  });
});

describe('a version far ahead of Redis’s clock', () => {
  it('is invalid', () => {
    const order = tarpit({ version: redisNowMs() + 61_000 });
    expect(openBook().check(order, order)).toMatchObject({ status: 'invalid' });
  });

  it('is sound when it follows what stands: a clock that was set back keeps nobody in', async () => {
    const book = openBook();
    const standing = tarpit({ version: redisNowMs() });
    await book.apply(standing);
    redisOffsetMs -= 7_200_000;
    const release = untarpit({ version: standing.version + 1 });
    expect(book.check(release, release)).toBeUndefined();
    expect(await book.apply(release)).toMatchObject({ status: 'applied' });
  });
});

describe('what cannot be carried out', () => {
  it('an unknown user is gone, and is tarpitted once he exists', async () => {
    const book = openBook();
    const order = tarpit();
    lookup = { status: 'unknown' };
    expect(await book.apply(order)).toMatchObject({ status: 'gone' });
    lookup = { status: 'found', uid: 1_001 };
    expect(await book.apply(order)).toMatchObject({ status: 'applied' });
  });

  it('a directory of users that does not answer lets nobody go whose loop runs, nor hides that it does', async () => {
    const book = openBook();
    await book.apply(tarpit());
    lookup = new Promise(() => {}); // a loop that runs is not even asked about: each look-up starts a process
    expect(await book.apply(tarpit({ hobble: { runMs: 20, stopMs: 200, mechanism: 'auto' } }))).toMatchObject({
      status: 'applied',
    });
    expect(engine.loops.get('user:alice')!.runMs).toBe(20);
    expect(book.entries.get('user:alice')!.result.status).toBe('applied');
  });

  it('a mechanism that is not to be had is unsupported, and nothing else is done instead', async () => {
    const book = openBook();
    await book.apply(tarpit());
    engine.outcome = { status: 'unsupported', why: 'mechanism quota: no cpu controller' };
    expect(await book.apply(tarpit({ hobble: { runMs: 10, stopMs: 200, mechanism: 'quota' } }))).toEqual(
      engine.outcome,
    );
    expect(engine.loops.size).toBe(0);
  });

  it('the answer says by which mechanism, and the entry why', async () => {
    const book = openBook();
    const order = tarpit({ hobble: { runMs: 10, stopMs: 200, mechanism: 'freezer' } });
    expect(await book.apply(order)).toMatchObject({ status: 'applied', mechanism: 'freezer' });
    expect(book.entries.get('user:alice')!.mechanismWhy).toBe('a test');
  });

  it.each(['gone', 'denied', 'refused', 'unsupported'] as const)(
    '%s by the engine is the answer, and nothing runs',
    async (status) => {
      const book = openBook();
      await book.apply(tarpit());
      engine.outcome = { status, why: 'because' };
      expect(await book.apply(tarpit())).toEqual({ status, why: 'because' });
      expect(engine.loops.size).toBe(0);
    },
  );

  it('is said once, not at every reconcile', async () => {
    const book = openBook();
    lookup = { status: 'unknown' };
    const order = tarpit();
    for (let turn = 0; turn < 20; turn++) await book.apply(order);
    expect(logged.filter((text) => text === 'order')).toHaveLength(1);
  });
});

describe('check', () => {
  const check = (order: Order) => openBook().check(order, { ...order });

  it('takes orders for this host and for the fleet, and no other’s', () => {
    expect(check(tarpit())).toBeUndefined();
    expect(check(tarpit({ host: '*' }))).toBeUndefined();
    expect(check(tarpit({ host: 'web-2' }))).toMatchObject({ status: 'invalid' });
  });

  it('refuses versions from the future by Redis’s clock, not by this machine’s', () => {
    clock.jumpWall(7_200_000);
    expect(check(tarpit({ version: redisNowMs() + 59_000 }))).toBeUndefined();
    expect(check(tarpit({ version: redisNowMs() + 61_000 }))).toMatchObject({ status: 'invalid' });
  });
});

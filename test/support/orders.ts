/** Sound orders for tests, and fast-check arbitraries that make every sound target and order. No opinions of their own. */
import fc from 'fast-check';
import { MAX_RUN_MS, MAX_STOP_MS, MECHANISMS, type TarpitOrder, type UntarpitOrder } from '../../shared/order.ts';
import type { Target } from '../../shared/target.ts';

/** 2025-11-24; the version and the time of issue of the orders below. */
export const ISSUED_AT_MS = 1_764_000_000_000;

/** The design's example, without a signature. */
export function tarpitExample(changes: Partial<TarpitOrder> = {}): TarpitOrder {
  return {
    v: 1,
    action: 'tarpit',
    host: 'web-1',
    target: 'user:alice',
    account: 'alice',
    version: ISSUED_AT_MS,
    issuedAt: ISSUED_AT_MS,
    expiresAt: ISSUED_AT_MS + 900_000,
    hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' },
    reason: 'cpu 2104 s of 2000 s today',
    by: 'policy',
    ...changes,
  };
}

export function untarpitExample(changes: Partial<UntarpitOrder> = {}): UntarpitOrder {
  return {
    v: 1,
    action: 'untarpit',
    host: 'web-1',
    target: 'user:alice',
    version: ISSUED_AT_MS,
    issuedAt: ISSUED_AT_MS,
    reason: 'reset',
    by: 'policy',
    ...changes,
  };
}

const userName = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]{0,30}\$?$/);
const cgroupPart = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((part) => !/[/\p{Cc}]/u.test(part) && part !== '.' && part !== '..');

/** Every kind of target, up to its bounds. */
export const anyTarget: fc.Arbitrary<Target> = fc.oneof(
  userName.map((name) => ({ kind: 'user' as const, name })),
  fc.integer({ min: 0, max: 4_294_967_294 }).map((uid) => ({ kind: 'uid' as const, uid })),
  fc
    .record({ pid: fc.integer({ min: 1, max: 4_194_304 }), startTicks: fc.maxSafeNat() })
    .filter(({ startTicks }) => String(startTicks).length <= 16)
    .map((id) => ({ kind: 'pid' as const, ...id })),
  fc
    .array(cgroupPart, { minLength: 1, maxLength: 6 })
    .map((parts) => ({ kind: 'cgroup' as const, path: `/${parts.join('/')}` })),
);

/** Sound tarpit orders whose fields all vary. */
export const anyTarpitOrder: fc.Arbitrary<TarpitOrder> = fc
  .record({
    account: fc.stringMatching(/^[a-z]{1,12}$/),
    host: fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?$/),
    uid: fc.integer({ min: 0, max: 4_294_967_294 }),
    version: fc.integer({ min: 1, max: ISSUED_AT_MS }),
    issuedAt: fc.integer({ min: 0, max: ISSUED_AT_MS }),
    lifeMs: fc.integer({ min: 1, max: 86_400_000 }),
    runMs: fc.integer({ min: 1, max: MAX_RUN_MS }),
    stopMs: fc.integer({ min: 1, max: MAX_STOP_MS }),
    mechanism: fc.constantFrom('auto' as const, ...MECHANISMS),
    reason: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/\p{Cc}/u.test(text)),
    by: fc.constantFrom('policy', 'billing', 'operator:ann'),
  })
  .map(({ uid, lifeMs, runMs, stopMs, mechanism, ...rest }) =>
    tarpitExample({
      ...rest,
      target: `uid:${uid}`,
      expiresAt: rest.issuedAt + lifeMs,
      hobble: { runMs, stopMs, mechanism },
    }),
  );

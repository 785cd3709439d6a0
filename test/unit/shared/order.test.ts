/** The order schema, the public contract: what is taken, what is refused and how that is said, and how long it counts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HobblerError } from '../../../shared/errors.ts';
import {
  MAX_LEASE_MS,
  MAX_ORDER_BYTES,
  parseOrder,
  parseOrderText,
  recordEndsAtMs,
  runRatio,
} from '../../../shared/order.ts';
import { anyTarpitOrder, ISSUED_AT_MS, tarpitExample, untarpitExample } from '../../support/orders.ts';

const without = (field: string, order: Record<string, unknown> = tarpitExample()) => {
  const { [field]: _, ...rest } = order;
  return rest;
};

describe('an order', () => {
  it('is taken as it stands in the contract', () => {
    expect(parseOrder(tarpitExample())).toEqual(tarpitExample());
    expect(parseOrder(untarpitExample())).toEqual(untarpitExample());
  });

  it('may leave out what has a default: 10 of 210 ms by any mechanism, no reason, by unknown', () => {
    const { hobble: _, reason: __, by: ___, account: ____, ...least } = tarpitExample();
    expect(parseOrder(least)).toMatchObject({
      hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' },
      reason: '',
      by: 'unknown',
    });
  });

  it('keeps fields that this version does not know, for the signature covers them', () => {
    expect(parseOrder({ ...tarpitExample(), ticket: { id: 7 } })).toMatchObject({ ticket: { id: 7 } });
  });

  it('may be for the whole fleet', () => {
    expect(parseOrder(tarpitExample({ host: '*' })).host).toBe('*');
  });

  it.each<[string, unknown, RegExp]>([
    ['is nothing', undefined, /^order: .*expected object.*got nothing/],
    ['is a list', [], /^order: .*expected object/],
    ['is of a newer schema', { ...tarpitExample(), v: 2 }, /newer schema; expected 1; got 2; upgrade workers before/],
    ['is of no schema', without('v'), /order\.v: .*got nothing/],
    ['has its schema as text', { ...tarpitExample(), v: '1' }, /order\.v: .*got "1"/],
    ['asks for something else', { ...tarpitExample(), action: 'kill' }, /order\.action: .*got "kill"/],
    ['names no target', without('target'), /order\.target: .*got nothing/],
    ['names a broken target', tarpitExample({ target: 'pid:1' }), /order\.target: .*with its start time.*got "pid:1"/],
    ['names no host', without('host'), /order\.host: /],
    ['names a host in capitals', tarpitExample({ host: 'Web-1' }), /order\.host: .*got "Web-1"/],
    ['has a host that breaks out of its key', tarpitExample({ host: 'a}:b' }), /order\.host: /],
    ['has no version', without('version'), /order\.version: /],
    ['has version 0', tarpitExample({ version: 0 }), /order\.version: .*got 0/],
    ['has a version past what a number holds', tarpitExample({ version: 2 ** 53 }), /order\.version: /],
    ['has a fraction as its version', tarpitExample({ version: 1.5 }), /order\.version: /],
    ['never expires', without('expiresAt'), /order\.expiresAt: .*got nothing/],
    ['expires when it is issued', tarpitExample({ expiresAt: ISSUED_AT_MS }), /order\.expiresAt: expected later than/],
    ['stops for nothing', withHobble({ stopMs: 0 }), /order\.hobble\.stopMs: .*got 0/],
    ['stops for too long', withHobble({ stopMs: 10_001 }), /order\.hobble\.stopMs: .*got 10001/],
    ['never runs', withHobble({ runMs: 0 }), /order\.hobble\.runMs: /],
    ['asks for an unknown mechanism', withHobble({ mechanism: 'renice' }), /order\.hobble\.mechanism: .*got "renice"/],
    ['has a reason of two lines', tarpitExample({ reason: 'a\nb' }), /order\.reason: expected no control characters/],
    ['has too long a reason', tarpitExample({ reason: 'x'.repeat(501) }), /order\.reason: .*500/],
    ['is by nobody', tarpitExample({ by: '' }), /order\.by: /],
    ['is large', { ...tarpitExample(), note: 'x'.repeat(MAX_ORDER_BYTES) }, /order too large; expected at most 16384/],
    ['is nested deep', { ...tarpitExample(), note: nested(100_000) }, /nested too deep; expected at most 8 levels/],
  ])('that %s is refused', (_, raw, message) => {
    expect(() => parseOrder(raw)).toThrow(HobblerError);
    expect(() => parseOrder(raw)).toThrow(message);
  });

  it('that has many faults is refused in one bounded message that names each', () => {
    const message = messageOf(() =>
      parseOrder({ v: 1, action: 'tarpit', host: 'x'.repeat(5_000), hobble: { runMs: -1 } }),
    );
    for (const path of ['host', 'target', 'version', 'issuedAt', 'expiresAt', 'hobble.runMs', 'hobble.stopMs'])
      expect(message).toContain(`order.${path}: `);
    expect(message.length).toBeLessThan(1_500);
    expect(message).not.toContain('\n');
  });
});

describe('an order as text', () => {
  it.each<[string, string, RegExp]>([
    ['is not JSON', '{', /^job 7: not JSON/],
    ['is empty', '', /^job 7: not JSON/],
    [
      'is too large',
      `"${'ü'.repeat(MAX_ORDER_BYTES / 2)}"`,
      /order too large; expected at most 16384 bytes; got 16386/,
    ],
    ['is nested deep', `{"v":1,"action":${'['.repeat(8_000)}${']'.repeat(8_000)}}`, /nested too deep/],
  ])('that %s is refused', (_, text, message) => {
    expect(() => parseOrderText(text, 'job 7')).toThrow(HobblerError);
    expect(() => parseOrderText(text, 'job 7')).toThrow(message);
  });

  it('gives the order again, whatever it holds', () => {
    fc.assert(
      fc.property(anyTarpitOrder, (order) => {
        expect(parseOrderText(JSON.stringify(order))).toEqual(order);
      }),
    );
  });

  it('is refused by a HobblerError and nothing else, whatever it is', () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.json({ maxDepth: 12 }),
      // an order of which one field is anything at all
      fc
        .tuple(fc.constantFrom(...Object.keys(tarpitExample()), 'signature', '__proto__', 'constructor'), fc.json())
        .map(([field, json]) => JSON.stringify(tarpitExample()).replace('{', `{${JSON.stringify(field)}:${json},`)),
      fc
        .tuple(fc.constantFrom(...Object.keys(tarpitExample())), fc.jsonValue())
        .map(([field, value]) => JSON.stringify({ ...tarpitExample(), [field]: value })),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        try {
          parseOrderText(text);
        } catch (error) {
          expect(error).toBeInstanceOf(HobblerError);
          expect((error as Error).message).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a record of an order', () => {
  it('outlives every order that it overtook: maxLease and an hour past its version (invariant 3)', () => {
    expect(recordEndsAtMs(untarpitExample())).toBe(ISSUED_AT_MS + MAX_LEASE_MS + 3_600_000);
    fc.assert(
      fc.property(anyTarpitOrder, (order) => {
        const elder = { ...order, version: order.version - 1, expiresAt: order.version - 1 + MAX_LEASE_MS };
        expect(recordEndsAtMs(order)).toBeGreaterThan(elder.expiresAt);
        expect(recordEndsAtMs(order)).toBeGreaterThanOrEqual(order.expiresAt);
      }),
    );
  });
});

it('a duty cycle of 10 of 210 ms leaves 4.8 % of the time', () => {
  expect(runRatio({ runMs: 10, stopMs: 200 })).toBeCloseTo(0.0476, 4);
});

function withHobble(changes: Record<string, unknown>): Record<string, unknown> {
  return { ...tarpitExample(), hobble: { runMs: 10, stopMs: 200, ...changes } };
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

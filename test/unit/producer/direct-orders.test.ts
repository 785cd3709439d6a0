/** Orders by HTTP: what a sender may say, and whose word it cannot take. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDirectOrder } from '../../../producer/direct-orders.ts';
import { HobblerError } from '../../../shared/errors.ts';

const good = { action: 'tarpit', host: 'web-1', target: 'user:alice', reason: 'over', by: 'billing' };

describe('an order by HTTP', () => {
  it('lives for 15 minutes unless it says otherwise', () => {
    expect(parseDirectOrder(good)).toEqual({ ...good, forMs: 900_000, hobble: {} });
    expect(parseDirectOrder({ ...good, for: '30m', hobble: { stopMs: 400 } })).toMatchObject({
      forMs: 1_800_000,
      hobble: { stopMs: 400 },
    });
  });

  it.each([
    [{ by: 'policy' }, "order.by: expected the sender's own name"],
    [{ by: ' Policy ' }, "order.by: expected the sender's own name"],
    [{ by: 'operator:eve' }, "order.by: expected the sender's own name"],
    [{ by: 'OPERATOR :eve' }, "order.by: expected the sender's own name"],
    [{ by: undefined }, 'order.by'],
    [{ reason: 'a\u0000b' }, 'order.reason: expected no control characters'],
    [{ for: '25h' }, 'order.for: expected 1s to 24h; got "25h"'],
    [{ for: 30 }, 'order.for'],
    [{ target: 'user:a b' }, 'order.target: not a user name'],
    [{ target: 'pid:1@2', host: '*' }, 'a pid target needs the host it is on'],
    [{ host: 'Web 1' }, 'order.host: expected a host name'],
    [{ action: 'kill' }, 'order.action'],
    [{ action: 'untarpit', for: '5m' }, 'order.for: expected only with action tarpit'],
    [{ hobble: { runMs: 0 } }, 'order.hobble.runMs'],
    [{ hobble: { runMs: 10, speed: 1 } }, 'order.hobble: Unrecognized key'],
    [{ version: 5 }, 'Unrecognized key: "version"'],
    [{ signature: 'x' }, 'Unrecognized key: "signature"'],
  ])('%j is refused', (parts, why) => {
    expect(() => parseDirectOrder({ ...good, ...parts })).toThrow(why);
  });

  it('is refused in one clear error, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), (raw) => {
        expect(() => parseDirectOrder(raw)).toThrow(HobblerError);
      }),
    );
  });
});

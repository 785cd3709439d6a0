/** Redis Cluster would refuse a script or transaction across slots: what is used together must share one. */
import { describe, expect, it } from 'vitest';
import {
  fleetKeys,
  hostKeys,
  LEDGER_PATTERN,
  ledgerKey,
  ledgerKeys,
  ORDERS_QUEUE,
  queuePrefix,
} from '../../../shared/keys.ts';

describe('the slot computed here', () => {
  it('is Redis’s own (values of the cluster specification and of CLUSTER KEYSLOT)', () => {
    expect(crc16('123456789')).toBe(0x31c3);
    expect(slotOf('foo')).toBe(12_182);
    expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'));
    expect(slotOf('foo{}{bar}')).toBe(crc16('foo{}{bar}') % 16_384);
  });
});

describe('keys', () => {
  it.each(['web-1', 'a', '10.0.0.1', 'x'.repeat(253)])('of host %s share one slot, its queue included', (host) => {
    const own = Object.values(hostKeys).map((key) => key(host));
    // BullMQ builds its keys as PREFIX:QUEUE:PART
    const queue = ['wait', 'active', 'meta', '1'].map((part) => `${queuePrefix(host)}:${ORDERS_QUEUE}:${part}`);
    expect(new Set([...own, ...queue].map(slotOf)).size).toBe(1);
    expect(new Set(own).size).toBe(own.length);
  });

  it('of different hosts spread over slots', () => {
    const slots = Array.from({ length: 100 }, (_, n) => slotOf(hostKeys.desired(`web-${n}`)));
    expect(new Set(slots).size).toBeGreaterThan(90);
  });

  it('of the fleet’s orders share one slot: one script writes all three', () => {
    expect(new Set([fleetKeys.desired, fleetKeys.revisions, fleetKeys.revision].map(slotOf)).size).toBe(1);
  });

  it('of different hosts are different, and none is a key of the fleet', () => {
    const all = ['a', 'b', 'hosts', 'fleet', 'audit', 'hold'].flatMap((host) =>
      Object.values(hostKeys).map((key) => key(host)),
    );
    expect(new Set([...all, ...Object.values(fleetKeys)]).size).toBe(all.length + Object.keys(fleetKeys).length);
  });

  it('of ledgers are found by their pattern, and no other key is', () => {
    const glob = new RegExp(`^${LEDGER_PATTERN.replace(/[{}]/g, '\\$&').replace('*', '.*')}$`);
    expect(ledgerKey('alice')).toMatch(glob);
    // What concerns all accounts lies beside them, under no account's name.
    const others = [fleetKeys, ledgerKeys].flatMap((keys) => Object.values(keys));
    for (const key of [...others, ...Object.values(hostKeys).map((of) => of('ledger'))]) expect(key).not.toMatch(glob);
  });
});

/** CRC-16/XMODEM, as https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ gives it. */
function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** The slot of a key: of what stands in its first non-empty pair of braces, else of the whole. */
function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  const isTagged = open >= 0 && close > open + 1;
  return crc16(isTagged ? key.slice(open + 1, close) : key) % 16_384;
}

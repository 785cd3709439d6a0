/** A host kept from one reading to the next: what did not change is the same object, so that nothing is worked out twice. */
import { describe, expect, test } from 'vitest';
import { HostMirror, type RawHost } from '../../../admin/fleet/mirror.ts';
import { LATE_AFTER_MS, LOST_AFTER_MS } from '../../../shared/report.ts';
import { tarpitExample } from '../../support/orders.ts';
import { NOW_MS, reportExample, statusExample } from './examples.ts';

const alice = JSON.stringify(reportExample());
const bob = JSON.stringify(reportExample({ target: 'user:bob' }));

function raw(changes: Partial<RawHost> = {}): RawHost {
  return {
    status: JSON.stringify(statusExample()),
    hold: null,
    observed: { 'user:alice': alice, 'user:bob': bob },
    desired: { 'user:alice': JSON.stringify(tarpitExample()) },
    ...changes,
  };
}

function mirrorOf(changes: Partial<RawHost> = {}): HostMirror {
  const mirror = new HostMirror('web-1');
  mirror.take(raw(changes));
  return mirror;
}

describe('a mirror of a host', () => {
  test('shows what Redis holds of it', () => {
    const mirror = mirrorOf({ hold: '{"reason":"r","by":"operator:ann","sinceMs":1}' });
    const { liveness, status, hold, reports } = mirror.viewAt(NOW_MS);
    expect({ liveness, status, hold }).toMatchObject({
      liveness: 'alive',
      status: { host: 'web-1' },
      hold: { reason: 'r' },
    });
    expect(reports.map(({ target }) => target)).toEqual(['user:alice', 'user:bob']);
    expect([...mirror.orders.records.keys()]).toEqual(['user:alice']);
  });

  test('gives the same objects for as long as the texts are the same', () => {
    const mirror = mirrorOf();
    const [view, orders] = [mirror.viewAt(NOW_MS), mirror.orders];
    mirror.take(raw());
    expect(mirror.viewAt(NOW_MS)).toBe(view);
    expect(mirror.orders).toBe(orders);
  });

  test('makes anew only what has another text', () => {
    const mirror = mirrorOf();
    const before = mirror.viewAt(NOW_MS);
    const observed = { 'user:alice': JSON.stringify(reportExample({ processes: 9 })), 'user:bob': bob };
    mirror.take(raw({ observed }));
    const after = mirror.viewAt(NOW_MS);
    expect(after.reports.map(({ processes }) => processes)).toEqual([9, 7]);
    expect(after.reports[1]).toBe(before.reports[1]);
    expect(after.status).toBe(before.status);
    expect(before.reports[0]!.processes).toBe(7);
  });

  test.each([
    ['report', { observed: { 'user:alice': alice } }, (mirror: HostMirror) => mirror.viewAt(NOW_MS).reports.length, 1],
    ['order', { desired: {} }, (mirror: HostMirror) => mirror.orders.records.size, 0],
    ['status', { status: null }, (mirror: HostMirror) => mirror.viewAt(NOW_MS).status, null],
  ] as const)('forgets a %s that is gone', (_, changes, read, expected) => {
    const mirror = mirrorOf();
    mirror.take(raw(changes));
    expect(read(mirror)).toBe(expected);
  });

  test('names what cannot be read, and takes it up again once it can', () => {
    const mirror = mirrorOf({ observed: { 'user:alice': '{', 'user:bob': bob }, status: 'x', desired: { x: '{}' } });
    const view = mirror.viewAt(NOW_MS);
    expect(view.reports).toHaveLength(1);
    expect(view.brokenReports.map(({ target }) => target)).toEqual(['user:alice']);
    expect(view.broken).not.toBeNull();
    expect(mirror.orders.broken).toHaveLength(1);
    mirror.take(raw());
    expect(mirror.viewAt(NOW_MS)).toMatchObject({ broken: null, brokenReports: [] });
    expect(mirror.orders.broken).toEqual([]);
  });

  test('grows late and then lost by time alone', () => {
    const mirror = mirrorOf();
    const beatAtMs = statusExample().beatAtMs;
    const at = (ageMs: number) => mirror.viewAt(beatAtMs + ageMs).liveness;
    expect([at(0), at(LATE_AFTER_MS + 1), at(LOST_AFTER_MS + 1)]).toEqual(['alive', 'late', 'lost']);
    mirror.take(raw({ status: JSON.stringify(statusExample({ beatAtMs: beatAtMs + LOST_AFTER_MS })) }));
    expect(at(LOST_AFTER_MS + 1)).toBe('alive');
  });
});

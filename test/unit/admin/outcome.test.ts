/** What came of an order, told by what its host reports and answered: never done because it was sent. */
import { describe, expect, test } from 'vitest';
import { type Known, type Outcome, outcomesOf, rowsByTarget, standingKey, tally } from '../../../admin/act/outcome.ts';
import { type AuditEntry, answerKey } from '../../../admin/audit.ts';
import type { Fleet } from '../../../admin/fleet/model.ts';
import { entryPage, entryTitle } from '../../../admin/views/entry-page.ts';
import type { Order, OrderResult } from '../../../shared/order.ts';
import type { HostView } from '../../../shared/redis/fleet.ts';
import { ISSUED_AT_MS, tarpitExample, untarpitExample } from '../../support/orders.ts';
import { desired, fleetExample, HOSTILE, hostExample, NOW_MS, reportExample, statusExample } from './examples.ts';

const LATER = ISSUED_AT_MS + 5_000;

function entry(fields: Record<string, string>): AuditEntry {
  return { id: `${LATER}-0`, atMs: LATER, fields: { host: 'web-1', reason: 'why', by: 'operator:ann', ...fields } };
}
const release = entry({ action: 'untarpit', target: 'user:alice', version: String(LATER) });
const slow = entry({ action: 'tarpit', target: 'user:alice', version: String(LATER) });

interface Given {
  host?: Partial<HostView>;
  orders?: Order[];
  answer?: OrderResult;
  fleet?: Fleet;
}
function tell(what: AuditEntry, { host = {}, orders = [], answer, fleet }: Given = {}): Outcome[] {
  const seen = fleet ?? fleetExample({ hosts: [hostExample(host)], hostOrders: { 'web-1': desired(...orders) } });
  const known: Known = {
    fleet: seen,
    rows: rowsByTarget(seen.targets),
    answers: new Map(
      answer ? [[answerKey('web-1', 'user:alice', LATER), { result: { ...answer }, atMs: LATER + 10 }]] : [],
    ),
    standing: new Map(orders.map((order) => [standingKey('web-1', order.target), order])),
  };
  return outcomesOf(what, known);
}
const state = (what: AuditEntry, given?: Given) => tell(what, given).map((one) => `${one.state}: ${one.words}`)[0]!;
const tombstone = untarpitExample({ version: LATER, issuedAt: LATER });

describe('a release', () => {
  test('is pending while the old report stands, whatever was sent', () => {
    expect(state(release, { orders: [tombstone] })).toMatch(/^pending: its worker has not said/);
  });

  test('is pending against a worker that hangs, and says who lets go there; of a lost host it says that', () => {
    expect(state(release, { host: { liveness: 'late' }, orders: [tombstone] })).toMatch(/^pending: .*guard/);
    expect(state(release, { host: { liveness: 'lost' }, orders: [tombstone] })).toMatch(/^lost: /);
  });

  test('is done when the report is gone, with the worker’s own words where it answered', () => {
    expect(state(release, { host: { reports: [] }, orders: [tombstone] })).toBe('done: nothing of it is slowed');
    const answer: OrderResult = { status: 'applied', processes: 7, heldBy: 'uid:1001' };
    expect(state(release, { host: { reports: [] }, orders: [tombstone], answer })).toBe(
      'done: let go, 7 processes; some still held by uid:1001',
    );
  });

  test('is overtaken when somebody puts the target in again', () => {
    const again = reportExample({ version: LATER + 1, by: 'policy' });
    expect(state(release, { host: { reports: [again] } })).toBe('overtaken: put in again, by policy');
    const ordered = tarpitExample({ version: LATER + 1, by: 'policy' });
    expect(state(release, { host: { reports: [] }, orders: [ordered] })).toBe('overtaken: put in again, by policy');
  });

  test('that the host refused is not done', () => {
    const answer: OrderResult = { status: 'refused', why: 'unknown key' };
    expect(state(release, { orders: [tombstone], answer })).toBe('failed: refused: unknown key');
  });

  test('of the whole fleet is told host by host', () => {
    const everywhere = entry({ action: 'untarpit', host: '*', target: 'user:alice', version: String(LATER) });
    const fleet = fleetExample({
      hosts: [
        hostExample(),
        hostExample({ host: 'web-2', reports: [] }),
        hostExample({ host: 'web-3', liveness: 'lost' }),
      ],
      fleetOrders: desired(untarpitExample({ host: '*', version: LATER, issuedAt: LATER })),
    });
    const outcomes = tell(everywhere, { fleet });
    expect(outcomes.map((one) => `${one.host} ${one.state}`)).toEqual(['web-1 pending', 'web-2 done', 'web-3 lost']);
    expect(tally(outcomes)).toEqual([
      { state: 'pending', count: 1 },
      { state: 'lost', count: 1 },
      { state: 'done', count: 1 },
    ]);
  });
});

describe('a tarpit', () => {
  const order = tarpitExample({ version: LATER, issuedAt: LATER, expiresAt: LATER + 900_000 });
  const report = (changes: object) => ({
    host: { reports: [reportExample({ version: LATER, ...changes })] },
    orders: [order],
  });

  test.each([
    ['hobbling', {}, 'done: hobbling 7 processes by signal'],
    ['spared', { state: 'spared' }, 'done: spared: 7 processes that use less than their share'],
    ['armed', { state: 'armed', processes: 0 }, 'done: armed: no process of it now'],
    ['denied', { state: 'denied', why: 'exempt here' }, 'failed: denied: exempt here'],
    ['unsupported', { state: 'unsupported', why: 'no freezer' }, 'failed: unsupported: no freezer'],
    ['gone', { state: 'gone', why: 'its last process has ended' }, 'over: its last process has ended'],
    ['held', { state: 'held', why: 'held (fleet): x' }, 'done: taken up, and let go by a hold: held (fleet): x'],
  ] as const)('that is reported %s says so', (_, changes, expected) => {
    expect(state(slow, report(changes))).toBe(expected);
  });

  test('is pending until it is reported, and not done where the host answered otherwise', () => {
    expect(state(slow, { host: { reports: [] }, orders: [order] })).toMatch(/^pending: /);
    expect(state(slow, { host: { reports: [reportExample()] }, orders: [order] })).toMatch(/^pending: /);
    const answer: OrderResult = { status: 'gone', why: 'no such process' };
    expect(state(slow, { host: { reports: [] }, orders: [order], answer })).toBe('failed: gone: no such process');
  });

  test('is overtaken by a release, and over when its time has passed or nothing stands', () => {
    const untarpit = untarpitExample({ version: LATER + 1, by: 'operator:bob' });
    expect(state(slow, { host: { reports: [] }, orders: [untarpit] })).toBe(
      'overtaken: released since, by operator:bob',
    );
    expect(state(slow, { host: { reports: [] } })).toBe('over: its time is over');
    const past = { ...order, expiresAt: NOW_MS - 1 };
    expect(state(slow, { host: { reports: [] }, orders: [past] })).toBe('over: its time is over');
  });

  test('for a host that nobody knows stands until it comes', () => {
    expect(state(entry({ action: 'tarpit', host: 'web-9', target: 'user:alice', version: String(LATER) }))).toMatch(
      /^lost: no worker has ever reported under that name/,
    );
  });
});

describe('a hold', () => {
  const hold = entry({ action: 'hold' });
  const unhold = entry({ action: 'unhold' });
  const asked = { reason: 'why', by: 'operator:ann', sinceMs: LATER };
  const held = { scope: 'host' as const, reason: 'why' };

  test('is pending until a beat after it says that the host holds', () => {
    const before = statusExample({ beatAtMs: LATER - 1, hold: held });
    expect(state(hold, { host: { hold: asked, status: before } })).toMatch(/^pending/);
    expect(state(hold, { host: { hold: asked, status: statusExample({ hold: null }) } })).toMatch(/^pending/);
    expect(state(hold, { host: { hold: asked, status: statusExample({ hold: held }) } })).toBe(
      'done: holds: everything runs',
    );
    expect(state(hold, { host: { hold: asked, liveness: 'lost' } })).toMatch(/^lost: .*guard/);
    expect(state(hold)).toBe('overtaken: the hold has been lifted since');
  });

  test('that was lifted is done when the host carries out its orders, and says what still holds it', () => {
    expect(state(unhold)).toBe('done: carries out its orders');
    expect(state(unhold, { host: { status: statusExample({ hold: held }) } })).toMatch(/^pending/);
    const local = statusExample({ hold: { scope: 'local', reason: 'by hand' } });
    expect(state(unhold, { host: { status: local } })).toBe('overtaken: still held (local): by hand');
  });
});

describe('the page of an entry', () => {
  const page = (what: AuditEntry, outcomes: Outcome[], missing = 0, nowMs = NOW_MS) =>
    entryPage({ trace: { entry: what, outcomes, missing }, mayAct: true, nowMs })
      .toString()
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' ');

  test('says what is waited for, then that it is done, never the latter first', () => {
    expect(entryTitle(release)).toBe('Untarpit: user:alice on web-1');
    const pending = page(release, tell(release, { orders: [tombstone] }));
    expect(pending).toContain('1 pending');
    expect(pending).toContain('Waiting for the workers’ word.');
    expect(pending).not.toContain('Done:');
    expect(page(release, tell(release, { host: { reports: [] }, orders: [tombstone] }))).toContain(
      'Done: the workers say so.',
    );
  });

  test('of an act that was cut off says how many orders were never given', () => {
    const act = entry({ action: 'release-host', parts: '3' });
    expect(page(act, [], 2, LATER + 5_000)).toContain('2 of its orders are still being given.');
    expect(page(act, [], 2, LATER + 120_000)).toContain('2 of its orders were never given');
  });

  test('lets no hostile text become markup', () => {
    const hostile = entry({
      action: HOSTILE,
      target: HOSTILE,
      host: HOSTILE,
      reason: HOSTILE,
      by: HOSTILE,
      account: HOSTILE,
    });
    const outcome: Outcome = { host: HOSTILE, target: HOSTILE, state: 'failed', words: HOSTILE, version: 1 };
    const markup = entryPage({
      trace: { entry: hostile, outcomes: [outcome], missing: 0 },
      mayAct: true,
      nowMs: NOW_MS,
    });
    expect(markup.toString()).not.toMatch(/<script>|<img src=x/);
    expect(markup.toString().replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*alert/);
  });
});

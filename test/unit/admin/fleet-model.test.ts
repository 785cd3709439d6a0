/** What the pages show, worked out from records: pending until reported, an unknown as unknown, a broken record hiding nothing. */
import { describe, expect, test } from 'vitest';
import { planReleaseHost } from '../../../admin/act/plan.ts';
import { attentionFor } from '../../../admin/fleet/attention.ts';
import type { Fleet } from '../../../admin/fleet/model.ts';
import {
  countFilters,
  HOSTS_PER_PAGE,
  select,
  TARGETS_PER_PAGE,
  WANT_ALL,
  type Wanted,
} from '../../../admin/fleet/selection.ts';
import { hostGroup, queueName } from '../../../admin/queues/names.ts';
import type { Report } from '../../../shared/report.ts';
import { ISSUED_AT_MS, tarpitExample, untarpitExample } from '../../support/orders.ts';
import { desired, fleetExample, hostExample, NOW_MS, reportExample, statusExample } from './examples.ts';

const LATER = ISSUED_AT_MS + 10_000;

describe('a target', () => {
  test('stands there as its worker reports it, with the order behind it', () => {
    const order = tarpitExample();
    const [row, ...more] = fleetExample({ hostOrders: { 'web-1': desired(order) } }).targets;
    expect(more).toEqual([]);
    expect(row).toMatchObject({ host: 'web-1', target: 'user:alice', scope: 'host', releasing: null, order });
  });

  test('is under the fleet’s order when that is the one the report carries', () => {
    const fleetOrders = desired(tarpitExample({ host: '*' }));
    expect(fleetExample({ fleetOrders }).targets[0]).toMatchObject({ scope: 'fleet', releasing: null });
  });

  test('is under the fleet’s order also while a renewal of it has not reached the report', () => {
    const fleetOrders = desired(tarpitExample({ host: '*', version: LATER }));
    expect(fleetExample({ fleetOrders }).targets[0]).toMatchObject({ scope: 'fleet', releasing: null });
  });

  test('has an unknown scope when both a host’s and a fleet’s order could be meant', () => {
    const both = {
      fleetOrders: desired(tarpitExample({ host: '*', version: LATER })),
      hostOrders: { 'web-1': desired(tarpitExample({ version: LATER + 1 })) },
    };
    expect(fleetExample(both).targets[0]!.scope).toBe('unknown');
  });

  test('is being released from the untarpit until the report is gone', () => {
    const release = untarpitExample({ version: LATER, issuedAt: LATER, by: 'operator:ann' });
    const hostOrders = { 'web-1': desired(release) };
    expect(fleetExample({ hostOrders }).targets[0]!.releasing).toEqual(release);
    expect(fleetExample({ hostOrders }).releases[0]!.pendingOn).toEqual([{ host: 'web-1', liveness: 'alive' }]);

    const done = fleetExample({ hosts: [hostExample({ reports: [] })], hostOrders });
    expect(done.targets).toEqual([]);
    expect(done.releases).toEqual([{ order: release, pendingOn: [] }]);
  });

  test('is not being released by an untarpit that a newer order overtook', () => {
    const fleet = fleetExample({
      hosts: [hostExample({ reports: [reportExample({ version: LATER })] })],
      fleetOrders: desired(untarpitExample({ host: '*' })),
      hostOrders: { 'web-1': desired(tarpitExample({ version: LATER })) },
    });
    expect(fleet.targets[0]).toMatchObject({ releasing: null, scope: 'host' });
    expect(fleet.releases[0]!.pendingOn).toEqual([]);
  });

  test('released for the fleet is pending on each host that still reports it', () => {
    const release = untarpitExample({ host: '*', version: LATER, issuedAt: LATER });
    const fleet = fleetExample({
      hosts: [
        hostExample(),
        hostExample({ host: 'web-2', reports: [] }),
        hostExample({ host: 'web-3', liveness: 'lost' }),
      ],
      fleetOrders: desired(release),
    });
    expect(fleet.releases[0]!.pendingOn).toEqual([
      { host: 'web-1', liveness: 'alive' },
      { host: 'web-3', liveness: 'lost' },
    ]);
  });

  test('that was ordered and not reported yet stands there too, unless it has expired', () => {
    const orders = desired(
      tarpitExample({ target: 'user:bob', account: 'bob' }),
      tarpitExample({ target: 'user:eve', expiresAt: NOW_MS - 1 }),
      untarpitExample({ target: 'user:kim' }),
    );
    const fleet = fleetExample({ hosts: [hostExample({ reports: [] })], hostOrders: { 'web-1': orders } });
    expect(fleet.targets.map(({ target, report }) => [target, report])).toEqual([['user:bob', null]]);
    expect(fleet.hosts[0]!.targets).toBe(1);
  });

  test('that is being released is not released a second time with its host', () => {
    const fleet = fleetExample({
      hosts: [hostExample({ reports: [reportExample(), reportExample({ target: 'user:bob' })] })],
      hostOrders: { 'web-1': desired(untarpitExample({ version: LATER, issuedAt: LATER })) },
    });
    expect(planReleaseHost(fleet, 'web-1').orders.map(({ target }) => target)).toEqual(['user:bob']);
  });
});

test('a fleet order counts the hosts that took it up and those where it has processes', () => {
  const fleet = fleetExample({
    hosts: [hostExample(), hostExample({ host: 'web-2', reports: [reportExample({ processes: 0, state: 'armed' })] })],
    fleetOrders: desired(
      tarpitExample({ host: '*' }),
      tarpitExample({ host: '*', target: 'user:old', expiresAt: NOW_MS }),
    ),
  });
  expect(fleet.fleetOrders).toEqual([expect.objectContaining({ reportedBy: 2, activeOn: 1 })]);
});

test('broken records of every kind are named, and hide nothing else', () => {
  const fleet = fleetExample({
    hosts: [
      hostExample(),
      hostExample({
        host: 'web-2',
        status: null,
        broken: 'not JSON',
        reports: [],
        brokenReports: [{ target: 'x', why: 'y' }],
      }),
      hostExample({ host: 'NOT A HOST', reports: [] }),
    ],
    fleetOrders: { records: new Map(), broken: [{ target: 'user:z', why: 'too large' }] },
  });
  expect(fleet.targets).toHaveLength(1);
  expect(fleet.hosts).toHaveLength(3);
  expect(fleet.broken.map(({ where, record }) => [where, record])).toEqual([
    ['web-2', 'status'],
    ['web-2', 'report of x'],
    ['NOT A HOST', 'name in hobbler:hosts'],
    ['*', 'order for user:z'],
  ]);
});

test('a hold is pending until the living worker says that it holds', () => {
  const hold = { reason: 'r', by: 'operator:ann', sinceMs: NOW_MS };
  const row = (changes: Parameters<typeof hostExample>[0], fleetHold = null as typeof hold | null) =>
    fleetExample({ hosts: [hostExample(changes)], hold: fleetHold }).hosts[0]!.isHoldPending;
  expect(row({ hold })).toBe(true);
  expect(row({}, hold)).toBe(true);
  expect(row({ hold, status: statusExample({ hold: { scope: 'host', reason: 'r' } }) })).toBe(false);
  expect(row({ hold, liveness: 'lost' })).toBe(false);
  expect(row({})).toBe(false);
});

describe('attention', () => {
  test('is silent when all is well', () => {
    expect(attentionFor(fleetExample())).toEqual([]);
  });

  test('names what is wrong, worst first, and what to do', () => {
    const fleet = fleetExample({
      hosts: [
        hostExample({ liveness: 'late' }),
        hostExample({
          host: 'web-2',
          status: statusExample({ guard: 'dead' }),
          reports: [reportExample({ effective: false })],
        }),
        hostExample({ host: 'web-3', liveness: 'lost', reports: [] }),
        hostExample({ host: 'web-4', reports: [reportExample({ state: 'denied' })] }),
      ],
    });
    const lines = attentionFor(fleet);
    expect(lines.map(({ level, what }) => `${level} ${what}`)).toEqual([
      'bad web-3 is lost: no beat for 30 s or more',
      'bad No guard on web-2',
      'bad No effect on user:alice on web-2',
      'warn Not applied: user:alice on web-4',
      'warn web-1 is late',
    ]);
    expect(lines.every(({ todo }) => todo.length > 10)).toBe(true);
  });

  test('sees an order that a living worker does not act on, after it had its time', () => {
    const given = (issuedAt: number) =>
      attentionFor(
        fleetExample({ hostOrders: { 'web-1': desired(untarpitExample({ version: issuedAt, issuedAt })) } }),
      );
    expect(given(NOW_MS - 5_000)).toEqual([]);
    const old = fleetExample({
      hosts: [hostExample({ reports: [reportExample({ version: NOW_MS - 90_000 })] })],
      hostOrders: { 'web-1': desired(untarpitExample({ version: NOW_MS - 60_000, issuedAt: NOW_MS - 60_000 })) },
    });
    expect(attentionFor(old)[0]!.what).toContain('Order not carried out');
  });

  test('names three of many and counts the rest', () => {
    const hosts = Array.from({ length: 40 }, (_, n) =>
      hostExample({ host: `web-${n + 10}`, liveness: 'lost', reports: [] }),
    );
    expect(attentionFor(fleetExample({ hosts }))[0]!.what).toBe(
      'web-10, web-11, web-12 and 37 more are lost: no beat for 30 s or more',
    );
  });
});

describe('selection', () => {
  const many = fleetExample({
    hosts: [
      hostExample({
        reports: Array.from({ length: 450 }, (_, n) => reportExample({ target: `uid:${n}`, account: `acc${n}` })),
      }),
    ],
  });
  const targets = (query: string, page = 1, fleet = many) => select(fleet, { ...WANT_ALL, query, page }).targets;

  test('shows a page of bounded size, and stays within the pages there are', () => {
    expect(targets('').rows).toHaveLength(TARGETS_PER_PAGE);
    expect(targets('', 3)).toMatchObject({ page: 3, pages: 12, count: 450, first: 81 });
    expect(targets('', 99).page).toBe(12);
    expect(targets('', 1, fleetExample({ hosts: [] }))).toEqual({ page: 1, pages: 1, count: 0, first: 0, rows: [] });
  });

  test('finds by all the words given, in any field, in any case', () => {
    expect(targets('ACC44 web-1').rows.map((row) => row.account)).toContain('acc440');
    expect(targets('uid:7 hobbling 2104').count).toBe(11);
    expect(targets('nobody').count).toBe(0);
  });

  test('puts hosts in trouble on the first page, and shows a bounded number of them', () => {
    const hosts = Array.from({ length: 300 }, (_, n) =>
      hostExample({ host: `web-${n + 100}`, liveness: n === 299 ? 'lost' : n === 298 ? 'late' : 'alive', reports: [] }),
    );
    const first = select(fleetExample({ hosts }), WANT_ALL).hosts;
    expect(first).toMatchObject({ pages: 15, count: 300 });
    expect(first.rows).toHaveLength(HOSTS_PER_PAGE);
    expect(first.rows.slice(0, 3).map(({ host }) => host)).toEqual(['web-399', 'web-398', 'web-100']);
  });

  const of = (...reports: Partial<Report>[]) =>
    fleetExample({ hosts: [hostExample({ reports: reports.map((changes) => reportExample(changes)) })] });
  const found = (fleet: Fleet, wanted: Partial<Wanted>) =>
    select(fleet, { ...WANT_ALL, ...wanted }).targets.rows.map(({ target }) => target);

  test('filters by state, and gathers under trouble what is not done, has no effect, or is on a lost host', () => {
    const fleet = of(
      { target: 'uid:1' },
      { target: 'uid:2', state: 'denied' },
      { target: 'uid:3', effective: false },
      { target: 'uid:4', state: 'spared' },
    );
    expect(found(fleet, { filter: 'spared' })).toEqual(['uid:4']);
    expect(found(fleet, { filter: 'trouble' })).toEqual(['uid:2', 'uid:3']);
    expect(countFilters(fleet.targets, '')).toMatchObject({ all: 4, trouble: 2, pending: 0, hobbling: 2, denied: 1 });
    expect(countFilters(fleet.targets, 'uid:4')).toMatchObject({ all: 1, trouble: 0, spared: 1 });
    const lost = fleetExample({ hosts: [hostExample({ liveness: 'lost' })] });
    expect(found(lost, { filter: 'trouble' })).toEqual(['user:alice']);
  });

  test('sorts by a column either way, the largest share first, with what is not known last both times', () => {
    const fleet = of(
      { target: 'uid:1', account: 'c', gotRatio: 0.2 },
      { target: 'uid:2', account: 'b', gotRatio: null },
      { target: 'uid:3', account: 'a', gotRatio: 0.9 },
    );
    const by = (sort: Wanted['sort']) => found(fleet, { sort });
    expect(by({ by: 'account', isReversed: false })).toEqual(['uid:3', 'uid:2', 'uid:1']);
    expect(by({ by: 'got', isReversed: false })).toEqual(['uid:3', 'uid:1', 'uid:2']);
    expect(by({ by: 'got', isReversed: true })).toEqual(['uid:1', 'uid:3', 'uid:2']);
  });

  test('searches, filters and sorts hosts, too', () => {
    const held = statusExample({ hold: { scope: 'host', reason: 'r' }, load1: 9, cores: 1 });
    const fleet = fleetExample({
      hosts: [hostExample(), hostExample({ host: 'db-1', status: held }), hostExample({ host: 'db-2', status: null })],
    });
    const hosts = (wanted: Partial<Wanted>) =>
      select(fleet, { ...WANT_ALL, ...wanted }).hosts.rows.map((row) => row.host);
    expect(hosts({ hostQuery: 'DB' })).toEqual(['db-2', 'db-1']);
    expect(hosts({ hostFilter: 'held' })).toEqual(['db-1']);
    expect(hosts({ hostSort: { by: 'load', isReversed: false } })).toEqual(['db-1', 'web-1', 'db-2']);
  });
});

test('queues are named by kind of host and host, uniquely', () => {
  expect(['web-1', 'web-12', 'web1', 'db', 'web-1.eu.example.com', '10.0.0.7', 'n-2-a'].map(hostGroup)).toEqual([
    'web',
    'web',
    'web',
    'db',
    'web',
    '10',
    'n-2-a',
  ]);
  expect(queueName('web-1')).toBe('web:web-1');
});

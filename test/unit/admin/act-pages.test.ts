/** The pages that ask why, and what they promise: the plan that is shown is the plan that is carried out. */
import { describe, expect, test } from 'vitest';
import {
  MAX_FLEET_WAKES,
  planExempt,
  planExtend,
  planRelease,
  planReleaseFleet,
  planReleaseHost,
  planTarpit,
  rowOf,
  rowsOf,
  standingTarpit,
} from '../../../admin/act/plan.ts';
import type { Fleet, TargetRow } from '../../../admin/fleet/model.ts';
import {
  exemptPage,
  holdPage,
  releaseFleetPage,
  releaseHostPage,
  releasePage,
  removeHostPage,
  unexemptPage,
} from '../../../admin/views/act-page.ts';
import { extendPage, tarpitFormPage, tarpitPage } from '../../../admin/views/tarpit-page.ts';
import type { Pin } from '../../../shared/redis/pins.ts';
import { ISSUED_AT_MS, tarpitExample } from '../../support/orders.ts';
import {
  desired,
  fleetExample,
  HOSTILE,
  hostExample,
  NOW_MS,
  reportExample,
  sessionExample,
  statusExample,
} from './examples.ts';

const session = sessionExample();
/** The page without its tags, as it is read. */
const words = (markup: { toString(): string }) =>
  markup
    .toString()
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');

/** alice under the fleet's order on two hosts, bob under web-1's own, carol under web-2's own. */
function mixedFleet(): Fleet {
  const host = (name: string, own: string) =>
    hostExample({
      host: name,
      status: statusExample({ host: name }),
      reports: [reportExample(), reportExample({ target: `user:${own}`, account: own, version: ISSUED_AT_MS + 1 })],
    });
  const own = (name: string, user: string) =>
    desired(tarpitExample({ host: name, target: `user:${user}`, account: user, version: ISSUED_AT_MS + 1 }));
  return fleetExample({
    hosts: [host('web-1', 'bob'), host('web-2', 'carol')],
    fleetOrders: desired(tarpitExample({ host: '*' })),
    hostOrders: { 'web-1': own('web-1', 'bob'), 'web-2': own('web-2', 'carol') },
  });
}
const orders = (plan: { orders: { action: string; host: string; target: string }[] }) =>
  plan.orders.map(({ action, host, target }) => `${action} ${host} ${target}`);

describe('a plan', () => {
  test('to release the fleet ends each order where it stands: the fleet’s once, a host’s own there', () => {
    const plan = planReleaseFleet(mixedFleet());
    expect(orders(plan)).toEqual(['untarpit * user:alice', 'untarpit web-1 user:bob', 'untarpit web-2 user:carol']);
    expect(plan.accounts).toEqual(['alice', 'bob', 'carol']);
    expect(plan.wakesFleet).toBe(true);
  });

  test('that would wake every host for very many orders leaves them to be found', () => {
    const fleet = mixedFleet();
    const many = Array.from({ length: MAX_FLEET_WAKES / 2 + 1 }, (_, at) => ({
      ...fleet.fleetOrders[0]!,
      order: tarpitExample({ host: '*', target: `uid:${at}` }),
    }));
    expect(planReleaseFleet({ ...fleet, fleetOrders: many }).wakesFleet).toBe(false);
  });

  test('to release a host names each of its targets, and nothing of another host', () => {
    expect(orders(planReleaseHost(mixedFleet(), 'web-1'))).toEqual([
      'untarpit web-1 user:alice',
      'untarpit web-1 user:bob',
    ]);
  });

  test('to keep an account out lets go of what is in the tarpit of it, and pins it even if that is nothing', () => {
    expect(orders(planExempt(mixedFleet(), 'alice'))).toEqual(['untarpit * user:alice']);
    expect(orders(planExempt(mixedFleet(), 'bob'))).toEqual(['untarpit web-1 user:bob']);
    expect(planExempt(mixedFleet(), 'nobody')).toMatchObject({ orders: [], accounts: ['nobody'] });
  });

  test('to tarpit by hand takes the account from what is known of the target, and pins nobody', () => {
    const wish = { host: 'web-2', target: 'user:bob', account: null, forMs: 60_000 };
    const plan = planTarpit(mixedFleet(), { ...wish, hobble: { runMs: 20, stopMs: 180, mechanism: 'auto' } });
    expect(plan.orders).toEqual([
      expect.objectContaining({ action: 'tarpit', host: 'web-2', account: 'bob', forMs: 60_000 }),
    ]);
    expect(plan.accounts).toEqual([]);
  });

  test('to extend keeps the duty cycle and the reach of the order that stands', () => {
    const fleet = mixedFleet();
    const standing = standingTarpit(fleet, 'web-1', 'user:alice')!;
    expect(planExtend(fleet, standing, 3_600_000).orders).toEqual([
      expect.objectContaining({ action: 'tarpit', host: '*', hobble: standing.hobble, forMs: 3_600_000 }),
    ]);
    expect(standingTarpit(fleet, 'web-1', 'user:nobody')).toBeNull();
  });
});

describe('the release page', () => {
  const row = (changes: Partial<TargetRow>): TargetRow => ({
    ...fleetExample({ hostOrders: { 'web-1': desired(tarpitExample()) } }).targets[0]!,
    ...changes,
  });
  const page = (changes: Partial<TargetRow> = {}, pin: Pin | null = null) =>
    releasePage({
      session,
      host: 'web-1',
      target: 'user:alice',
      row: row(changes),
      rows: [row(changes)],
      account: 'alice',
      pin,
      nowMs: NOW_MS,
    }).toString();

  test('for a host’s own order has one button, and keeps the account out for a day unless told otherwise', () => {
    const markup = page();
    expect(markup.match(/<button/g)).toHaveLength(1);
    expect(markup).toContain('<button name="host" value="web-1" class="primary">');
    expect(words(markup)).toContain('7 processes of account alice are slowed.');
    expect(words(markup)).toContain('Keep alice out of the tarpit, on every host');
    expect(markup).toContain('<option value="24h" selected>');
    expect(markup).toContain('name="csrf" value="csrf-of-this-session"');
  });

  test('for the fleet’s order offers everywhere first, then this host only, and says what each does', () => {
    const markup = page({ scope: 'fleet' });
    expect([...markup.matchAll(/<button name="host" value="([^"]+)"/g)].map(([, value]) => value)).toEqual([
      '*',
      'web-1',
    ]);
    expect(words(markup)).toContain('It stands under an order for the whole fleet.');
  });

  test('everywhere names the hosts that report it', () => {
    const fleet = mixedFleet();
    const markup = releasePage({
      session,
      host: '*',
      target: 'user:alice',
      row: rowOf(fleet, '*', 'user:alice'),
      rows: rowsOf(fleet, '*', 'user:alice'),
      account: 'alice',
      pin: null,
      nowMs: NOW_MS,
    });
    expect(words(markup)).toMatch(/user:alice on web-1 .* 7 processes .*user:alice on web-2/);
  });

  test('says that the host is lost, and that a pin stands already', () => {
    expect(words(page({ liveness: 'lost' }))).toContain('The host is lost.');
    const pin: Pin = { v: 1, kind: 'release', setAtMs: 1, by: 'operator:bob', why: 'thesis', untilMs: NOW_MS + 60_000 };
    expect(words(page({}, pin))).toContain(
      'alice is kept out of the tarpit for another 1m 00s , by operator:bob: thesis.',
    );
  });
});

describe('the other pages that ask', () => {
  test('name what is concerned, and where nothing is, say what to do instead', () => {
    const fleet = mixedFleet();
    expect(words(releaseHostPage(session, fleet.hosts[0]!, planReleaseHost(fleet, 'web-1')))).toContain(
      'user:bob on web-1',
    );
    expect(
      words(releaseHostPage(session, fleet.hosts[0]!, planReleaseHost(fleetExample({ hosts: [] }), 'web-1'))),
    ).toContain('hold the host');
    expect(words(releaseFleetPage(session, planReleaseFleet(fleet), 2))).toContain('3 untarpits, on 2 hosts');
    expect(words(releaseFleetPage(session, planReleaseFleet(fleetExample({ hosts: [] })), 0))).toContain(
      'hold the fleet',
    );
    expect(words(holdPage(session, '*', fleet.hosts))).toContain('2 hosts with 4 targets');
    expect(words(unexemptPage(session, 'alice', null, NOW_MS))).toContain('alice is not pinned');
    const exempt = exemptPage({
      session,
      account: 'alice',
      plan: planExempt(fleet, 'alice'),
      pin: null,
      nowMs: NOW_MS,
    });
    expect(words(exempt)).toContain('And 1 target of it is let go now');
  });

  test('to hold says which hosts do not answer', () => {
    const lost = fleetExample({ hosts: [hostExample({ liveness: 'lost' })] });
    expect(words(holdPage(session, '*', lost.hosts))).toContain('Not answering now: web-1 (lost)');
    expect(words(holdPage(session, 'web-9', []))).toContain('No worker has reported under that name yet.');
  });

  test('to remove a host has a button only for one that is lost', () => {
    const [alive] = fleetExample().hosts;
    expect(removeHostPage(session, alive!, NOW_MS).toString()).not.toContain('<button');
    expect(words(removeHostPage(session, { ...alive!, liveness: 'lost' }, NOW_MS))).toContain('Remove web-1');
  });

  test('to tarpit first asks what, then says what will happen in numbers', () => {
    const form = tarpitFormPage({ host: 'web-1', target: '', account: '', hosts: ['web-1'] }).toString();
    expect(form).toContain('method="get"');
    expect(form).not.toContain('csrf');
    const fleet = mixedFleet();
    const markup = tarpitPage({
      session,
      wish: {
        host: 'web-1',
        target: 'user:bob',
        account: null,
        forMs: 1_800_000,
        level: 'usual',
        hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' },
      },
      account: 'bob',
      rows: rowsOf(fleet, 'web-1', 'user:bob'),
      hosts: [fleet.hosts[0]!],
      pin: null,
      nowMs: NOW_MS,
    });
    expect(words(markup)).toContain('run 10 of 210 ms (4.8 % of the time) for 30m 00s');
    expect(words(markup)).toContain('In the tarpit already, and changed by this');
    expect(markup.toString()).toContain('name="for" value="1800000ms"');
  });

  test('to extend says that the policy’s order becomes the operator’s', () => {
    const markup = extendPage({ session, standing: tarpitExample(), nowMs: NOW_MS });
    expect(words(markup)).toContain('becomes yours');
    expect(words(markup)).toContain('It ends in 14m 40s now.');
  });
});

test('none of them lets hostile text become markup', () => {
  const fleet = fleetExample({
    hosts: [
      hostExample({ host: HOSTILE, liveness: 'lost', reports: [reportExample({ target: HOSTILE, account: HOSTILE })] }),
    ],
  });
  const host = fleet.hosts[0]!;
  const pin: Pin = { v: 1, kind: 'release', setAtMs: 1, by: HOSTILE, why: HOSTILE, untilMs: null };
  const hostile = sessionExample({ user: HOSTILE, csrf: HOSTILE });
  const hobble = { runMs: 10, stopMs: 200, mechanism: 'auto' as const };
  const wish = { host: HOSTILE, target: HOSTILE, account: HOSTILE, forMs: 1, level: HOSTILE, hobble };
  const pages = [
    releaseHostPage(hostile, host, planReleaseHost(fleet, HOSTILE)),
    releaseFleetPage(hostile, planReleaseFleet(fleet), 1),
    exemptPage({ session: hostile, account: HOSTILE, plan: planExempt(fleet, HOSTILE), pin, nowMs: NOW_MS }),
    unexemptPage(hostile, HOSTILE, pin, NOW_MS),
    holdPage(hostile, HOSTILE, fleet.hosts),
    removeHostPage(hostile, host, NOW_MS),
    tarpitFormPage({ host: HOSTILE, target: HOSTILE, account: HOSTILE, hosts: [HOSTILE] }),
    tarpitPage({
      session: hostile,
      wish,
      account: HOSTILE,
      rows: fleet.targets,
      hosts: fleet.hosts,
      pin,
      nowMs: NOW_MS,
    }),
    extendPage({
      session: hostile,
      standing: tarpitExample({ host: HOSTILE, target: HOSTILE, by: HOSTILE }),
      nowMs: NOW_MS,
    }),
    releasePage({
      session: hostile,
      host: HOSTILE,
      target: HOSTILE,
      row: fleet.targets[0]!,
      rows: planRelease(fleet, HOSTILE, HOSTILE).orders.length > 0 ? fleet.targets : [],
      account: HOSTILE,
      pin,
      nowMs: NOW_MS,
    }),
  ];
  for (const markup of pages.map(String)) {
    expect(markup).not.toMatch(/<script>|<img src=x/);
    expect(markup.replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*alert/);
  }
});

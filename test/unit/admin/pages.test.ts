/** The pages as pure functions: each answers its questions, hostile text stays text, and an empty one says what to do next. */
import { describe, expect, test } from 'vitest';
import { HOSTS_PER_PAGE, TARGETS_PER_PAGE, WANT_ALL } from '../../../admin/fleet/selection.ts';
import type { FleetAnswer } from '../../../admin/fleet/source.ts';
import { fleetMetrics } from '../../../admin/metrics.ts';
import { ASSETS } from '../../../admin/static/assets.ts';
import { releasePage } from '../../../admin/views/act-page.ts';
import { auditPage } from '../../../admin/views/audit-page.ts';
import { errorPage } from '../../../admin/views/error-page.ts';
import { fleetPage } from '../../../admin/views/fleet-page.ts';
import { bytes, known, percent, relativeTime, timeLeft } from '../../../admin/views/format.ts';
import { layout } from '../../../admin/views/layout.ts';
import { loginPage } from '../../../admin/views/login-page.ts';
import { ISSUED_AT_MS, tarpitExample, untarpitExample } from '../../support/orders.ts';
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

const LATER = ISSUED_AT_MS + 10_000;

function page(
  options: { fleet?: ReturnType<typeof fleetExample>; answer?: FleetAnswer; mayAct?: boolean; query?: string } = {},
) {
  const answer = options.answer ?? { redis: 'here', fleet: options.fleet ?? fleetExample() };
  return fleetPage({
    answer,
    wanted: { ...WANT_ALL, query: options.query ?? '' },
    mayAct: options.mayAct ?? true,
  }).toString();
}

/** The page without its tags, as it is read. */
const words = (markup: string) => markup.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');

describe('the fleet page', () => {
  test('answers who is slow, where, how much, why, by whom, since when and until when', () => {
    const text = words(page());
    for (const answer of [
      'alice',
      'user:alice',
      'web-1',
      'hobbling',
      '5.1 %',
      'asked 4.8 %',
      'before 98 %',
      'cpu 2104 s of 2000 s today',
      'by policy',
      '20s',
      '14m 40s',
      '7 processes',
    ]) {
      expect(text).toContain(answer);
    }
  });

  test('answers how a host is: liveness, beat, load, cost, guard, mechanisms, version', () => {
    const text = words(page());
    for (const answer of [
      'alive',
      'last beat 2s ago',
      '3.42',
      '8 cores',
      '18 % waiting',
      '1.2 %',
      '96 MiB',
      '33 stops/s',
      'hobbler 0.1.0',
      'does not work: no cpu controller',
    ]) {
      expect(text).toContain(answer);
    }
  });

  test('shows a dash for what is unknown, never a zero', () => {
    const report = reportExample({ gotRatio: null, beforeRatio: null, effective: null });
    const text = words(
      page({ fleet: fleetExample({ hosts: [hostExample({ reports: [report], status: null, liveness: 'lost' })] }) }),
    );
    expect(text).toContain('not measured');
    expect(text).toContain('version unknown');
    expect(text).not.toMatch(/\b0\.0 %|NaN|undefined|null/);
  });

  test('gives a viewer no way to act, and an operator one for each target and host', () => {
    expect(page({ mayAct: false })).not.toMatch(/href="\/(release|hold|unhold)/);
    const markup = page();
    expect(markup).toContain('href="/release?host=web-1&amp;target=user%3Aalice"');
    expect(markup).toContain('aria-label="Release user:alice on web-1"');
    expect(markup).toContain('href="/release-host?host=web-1"');
    expect(markup).toContain('href="/hold?host=web-1"');
    expect(markup).toContain('href="/hold"');
  });

  test('shows a release as pending, not as done, and offers it no second time', () => {
    const release = untarpitExample({ version: LATER, issuedAt: LATER, by: 'operator:ann' });
    const markup = page({ fleet: fleetExample({ hostOrders: { 'web-1': desired(release) } }) });
    expect(words(markup)).toContain('release pending ordered 10s ago by operator:ann');
    expect(markup).not.toContain('href="/release?');
    expect(words(markup)).toContain('waiting for web-1');
  });

  test('says what to do where there is nothing to show', () => {
    const text = words(page({ fleet: fleetExample({ hosts: [] }) }));
    expect(text).toContain('No host has ever reported.');
    expect(text).toContain('hobbler worker');
    expect(text).toContain('Nobody is in the tarpit.');
    expect(text).not.toContain('Nothing needs attention.');
    expect(words(page())).toContain('Nothing needs attention.');
    expect(words(page({ query: 'zzz' }))).toContain('No target matches “zzz”');
  });

  test('with Redis away says so, shows what it saw last with its age, and no button that cannot work', () => {
    const away = page({
      answer: { redis: 'away', why: 'connect ECONNREFUSED', last: { fleet: fleetExample(), ageMs: 65_000 } },
    });
    expect(words(away)).toContain('This is what was seen 1m 05s ago');
    expect(away).toContain('hobbler release-all');
    expect(words(away)).toContain('alice');
    expect(away).not.toMatch(/href="\/(release|hold)/);
    expect(words(page({ answer: { redis: 'away', why: 'x', last: null } }))).toContain(
      'Nothing was seen of the fleet yet.',
    );
  });

  test('says when the fleet or a host is held, by whom and why', () => {
    const hold = { reason: 'incident 12', by: 'operator:ann', sinceMs: NOW_MS - 60_000 };
    const markup = page({
      fleet: fleetExample({
        hold,
        hosts: [hostExample({ hold, status: statusExample({ hold: { scope: 'host', reason: 'incident 12' } }) })],
      }),
    });
    expect(words(markup)).toContain('The fleet is held. Nothing is hobbled anywhere');
    expect(words(markup)).toContain('hold by operator:ann 1m 00s ago : incident 12');
    expect(markup).toContain('href="/unhold"');
    expect(markup).toContain('href="/unhold?host=web-1"');
  });
});

test('no page lets hostile text become markup', () => {
  const report = reportExample({
    target: HOSTILE,
    account: HOSTILE,
    why: HOSTILE,
    reason: HOSTILE,
    by: HOSTILE,
    mechanismWhy: HOSTILE,
  });
  const status = statusExample({
    hobblerVersion: HOSTILE,
    hold: { scope: 'local', reason: HOSTILE },
    mechanisms: { [HOSTILE]: { supported: false, why: HOSTILE } },
  });
  const hold = { reason: HOSTILE, by: HOSTILE, sinceMs: NOW_MS };
  const release = untarpitExample({ target: HOSTILE, reason: HOSTILE, by: HOSTILE, version: LATER, issuedAt: LATER });
  const host = hostExample({
    host: HOSTILE,
    status,
    hold,
    reports: [report, { ...report, target: 'user:x' }],
    broken: HOSTILE,
    brokenReports: [{ target: HOSTILE, why: HOSTILE }],
  });
  const fleet = fleetExample({
    hosts: [host],
    hold,
    hostOrders: { [HOSTILE]: desired(release) },
    fleetOrders: desired(tarpitExample({ host: '*', target: HOSTILE, account: HOSTILE, reason: HOSTILE, by: HOSTILE })),
  });
  const session = sessionExample({ user: HOSTILE, csrf: HOSTILE });
  const pages = [
    page({ fleet, query: HOSTILE }),
    page({ answer: { redis: 'away', why: HOSTILE, last: null } }),
    releasePage({
      session,
      host: HOSTILE,
      target: HOSTILE,
      row: fleet.targets[0]!,
      rows: fleet.targets,
      account: HOSTILE,
      pin: null,
      nowMs: NOW_MS,
    }).toString(),
    auditPage({
      host: HOSTILE,
      hosts: [HOSTILE],
      page: {
        entries: [
          {
            id: HOSTILE,
            atMs: NOW_MS,
            fields: {
              action: HOSTILE,
              host: HOSTILE,
              target: HOSTILE,
              reason: HOSTILE,
              by: HOSTILE,
              [HOSTILE]: HOSTILE,
            },
          },
        ],
        olderThan: HOSTILE,
      },
      filter: { action: HOSTILE, by: HOSTILE, text: HOSTILE },
      outcomes: new Map([[HOSTILE, [{ host: HOSTILE, target: HOSTILE, state: 'failed', words: HOSTILE, version: 1 }]]]),
      isFirst: true,
      nowMs: NOW_MS,
    }).toString(),
    errorPage({ heading: HOSTILE, what: HOSTILE, requestId: HOSTILE }).toString(),
    loginPage({ next: HOSTILE, fault: HOSTILE, name: HOSTILE }).toString(),
    layout({ title: HOSTILE, body: errorPage({ heading: 'x', what: 'y' }), session }),
  ];
  for (const markup of pages) {
    expect(markup).not.toMatch(/<script>|<img src=x|onerror=alert\(2\)>/);
    // Every attribute is closed by the template: outside of quotes no hostile text is left.
    expect(markup.replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*alert/);
  }
});

describe('formats', () => {
  test('times are relative, with the exact time on hover', () => {
    expect(relativeTime(NOW_MS - 12_000, NOW_MS).toString()).toBe(
      '<time datetime="2025-11-24T16:00:08.000Z" title="2025-11-24 16:00:08 UTC" data-in="away">12s ago</time>',
    );
    expect(words(relativeTime(NOW_MS + 250_000, NOW_MS).toString())).toContain('in 4m 10s');
    expect(words(timeLeft(NOW_MS - 1, NOW_MS).toString())).toContain('over');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 9e15])('a time that is none (%d) is a dash', (atMs) => {
    expect(words(relativeTime(atMs, NOW_MS).toString())).toContain('time unknown');
  });

  test('numbers are short', () => {
    expect([0.0476, 0.98, 12.5, 0].map(percent)).toEqual(['4.8 %', '98 %', '1250 %', '0.0 %']);
    expect([96 * 2 ** 20, 3 * 2 ** 30].map(bytes)).toEqual(['96 MiB', '3.0 GiB']);
    expect(known(Number.NaN, percent).toString()).toContain('unknown');
  });
});

describe('metrics', () => {
  test('count hosts and targets by state, and leave out what is unknown', async () => {
    const fleet = fleetExample({
      hosts: [
        hostExample(),
        hostExample({ host: 'web-2', liveness: 'lost', status: statusExample({ ownCpuRatio: null }), reports: [] }),
      ],
    });
    const { text } = await fleetMetrics({ redis: 'here', fleet });
    expect(text).toContain('hobbler_redis_up 1');
    expect(text).toContain('hobbler_hosts{liveness="lost"} 1');
    expect(text).toContain('hobbler_targets{state="hobbling"} 1');
    expect(text).toContain('hobbler_host_beat_age_seconds{host="web-1"} 2');
    expect(text).toContain('hobbler_host_own_cpu_ratio{host="web-1"} 0.012');
    expect(text).not.toContain('hobbler_host_own_cpu_ratio{host="web-2"}');
  });

  test('say nothing but that when Redis is away', async () => {
    const { text } = await fleetMetrics({ redis: 'away', why: 'x', last: { fleet: fleetExample(), ageMs: 1 } });
    expect(text).toContain('hobbler_redis_up 0');
    expect(text).not.toContain('hobbler_hosts');
  });
});

test('the first load of a full fleet page is below 200 KB, styles and script included', () => {
  const hosts = Array.from({ length: 40 }, (_, n) =>
    hostExample({
      host: `host-${1000 + n}.example.com`,
      reports: Array.from({ length: 10 }, (_, m) => reportExample({ target: `user:customer-${n}-${m}` })),
    }),
  );
  const live = { href: '/events/fleet', digest: 'x'.repeat(16), nowMs: NOW_MS };
  const body = page({ fleet: fleetExample({ hosts }) });
  const whole = layout({
    title: 'Fleet',
    body: errorPage({ heading: 'x', what: '' }),
    session: sessionExample(),
    live,
  });
  const assets = Object.values(ASSETS).reduce((sum, { content }) => sum + content.length, 0);
  expect(body.match(/<tr role="row" data-key/g)!.length).toBe(TARGETS_PER_PAGE + HOSTS_PER_PAGE);
  expect(Buffer.byteLength(body) + Buffer.byteLength(whole) + assets).toBeLessThan(200_000);
});

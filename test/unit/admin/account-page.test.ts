/** An account's page: why it is where it is, its course as a plot and as a table, where it is slowed; and nothing hostile as markup. */
import { describe, expect, test } from 'vitest';
import type { AccountReading } from '../../../admin/fleet/account.ts';
import { type AccountPageView, accountPage } from '../../../admin/views/account-page.ts';
import { courseOf, timeline } from '../../../admin/views/timeline.ts';
import { fleetExample, HOSTILE, hostExample, NOW_MS, reportExample } from './examples.ts';

const words = (markup: string) => markup.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');
const MINUTE_MS = 60_000;
type Entry = AccountReading['history'][number];

function reading(minutesAgo: number, used: number, limit = 'cpu'): Entry {
  const atMs = NOW_MS - minutesAgo * MINUTE_MS;
  return { atMs, kind: 'reading', subject: 'account', limit, used, of: 1_000, unit: 's', resource: 'cpu' };
}

function change(minutesAgo: number, what: string, level: number | null): Entry {
  const hobble = level === null ? null : { runMs: 10, stopMs: 200 };
  const limit = level === null ? null : 'cpu';
  return {
    atMs: NOW_MS - minutesAgo * MINUTE_MS,
    kind: 'change',
    subject: 'account',
    change: what,
    hobble,
    limit,
    level,
    why: `because of ${what}`,
  };
}

const HISTORY = [
  reading(60, 900),
  reading(40, 1_100),
  change(40, 'in', 1),
  change(20, 'harsher', 2),
  change(5, 'out', null),
];
const EXPLAINED = {
  v: 1 as const,
  atMs: NOW_MS - 30_000,
  subjects: [
    {
      subject: 'account',
      isSlowed: true,
      summary: 'alice is slowed down to 10 ms of every 210 ms.',
      details: ['cpu: 1100 s of 1000 s'],
    },
  ],
};

function page(changes: Partial<AccountPageView> = {}, known: Partial<AccountReading> = {}): string {
  return accountPage({
    answer: { redis: 'here', fleet: fleetExample() },
    account: 'alice',
    reading: { history: HISTORY, explained: EXPLAINED, pin: null, unreadable: 0, ...known },
    mayAct: true,
    ...changes,
  }).toString();
}

describe('an account’s page', () => {
  test('says why it is where it is, in the words of the policy, and as of when', () => {
    const text = words(page());
    expect(text).toContain('slowed alice is slowed down to 10 ms of every 210 ms.');
    expect(text).toContain('cpu: 1100 s of 1000 s');
    expect(text).toContain('As the policy saw it 30s ago');
  });

  test('tells what happened, newest first, with figures and reasons', () => {
    const text = words(page());
    expect(text.indexOf('let go')).toBeLessThan(text.indexOf('harsher 10 of 210 ms level 2 of cpu because of harsher'));
    expect(text).toContain('cpu 1100 of 1000 s 110 %');
  });

  test('shows where it is slowed now', () => {
    const text = words(page());
    expect(text).toContain('web-1');
    expect(text).toContain('hobbling');
  });

  test('says whose word keeps it out, and until when', () => {
    const pin = {
      v: 1,
      kind: 'release',
      setAtMs: NOW_MS - 5_000,
      by: 'operator:ann',
      why: 'paid',
      untilMs: NOW_MS + 60_000,
    } as const;
    const text = words(page({}, { pin }));
    expect(text).toContain('kept out by operator:ann 5s ago , for another 1m 00s : paid');
    expect(text).toContain('Leave it to the policy');
  });

  test('says what is not known, and what to do', () => {
    const none = { history: [], explained: null };
    expect(words(page({}, none))).toContain('by an order that no policy of this Redis gave');
    const free = { answer: { redis: 'here', fleet: fleetExample({ hosts: [] }) } } as const;
    const text = words(page(free, none));
    expect(text).toContain('The policy has noted nothing of this account');
    expect(text).toContain('No course yet.');
    expect(text).toContain('alice is not slowed anywhere.');
    expect(words(page({}, { unreadable: 3 }))).toContain('3 records cannot be read');
    const away = words(
      page({ answer: { redis: 'away', why: 'x', last: { fleet: fleetExample(), ageMs: 1 } }, reading: null }),
    );
    expect(away).toContain('Redis is away');
    expect(away).not.toMatch(/NaN|undefined|null/);
  });

  test('gives a viewer nothing to press', () => {
    expect(page()).toContain('href="/exempt?account=alice"');
    expect(page({ mayAct: false })).not.toMatch(/href="\/(exempt|unexempt|tarpit|release)/);
  });

  test('lets no hostile text become markup', () => {
    const entry = { ...change(1, HOSTILE, 1), subject: HOSTILE, limit: HOSTILE, why: HOSTILE } as Entry;
    const line = { ...reading(2, 1), subject: HOSTILE, limit: HOSTILE, unit: HOSTILE, resource: HOSTILE } as Entry;
    const subjects = [{ subject: HOSTILE, isSlowed: true, summary: HOSTILE, details: [HOSTILE] }];
    const pin = { v: 1, kind: 'release', setAtMs: 1, by: HOSTILE, why: HOSTILE, untilMs: null } as const;
    const fleet = fleetExample({ hosts: [hostExample({ reports: [reportExample({ account: HOSTILE })] })] });
    const markup = page(
      { account: HOSTILE, answer: { redis: 'here', fleet } },
      { history: [line, entry], explained: { v: 1, atMs: 1, subjects }, pin },
    );
    expect(markup).not.toMatch(/<script>|<img src=x|onerror=alert\(2\)>/);
    expect(markup.replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*alert/);
  });
});

describe('a course', () => {
  test('has a line for each limit and a band for each stretch at one level', () => {
    const course = courseOf(HISTORY, NOW_MS)!;
    expect(course.lines.map(({ name, points }) => [name, points.map(({ ratio }) => ratio)])).toEqual([
      ['cpu', [0.9, 1.1]],
    ]);
    expect(course.bands.map(({ fromMs, toMs, level }) => [(toMs - fromMs) / MINUTE_MS, level])).toEqual([
      [20, 1],
      [15, 2],
    ]);
  });

  test('of who is slowed still, goes on to now', () => {
    const { bands, untilMs } = courseOf(HISTORY.slice(0, -1), NOW_MS)!;
    expect(bands.at(-1)!.toMs).toBe(NOW_MS);
    expect(untilMs).toBe(NOW_MS);
  });

  test('keeps the limit within the plot, and a use of many times the limit at its top', () => {
    expect(courseOf([reading(1, 10)], NOW_MS)!.mostRatio).toBe(1.25);
    const course = courseOf([reading(9, 1e9)], NOW_MS)!;
    expect(course.mostRatio).toBe(4);
    expect(timeline('alice', course).toString()).toContain('points="0,0 1000,0"');
  });

  test('is none without any entry, and one of a moment is drawn all the same', () => {
    expect(courseOf([], NOW_MS)).toBeNull();
    const markup = timeline('alice', courseOf([change(0, 'in', 1)], NOW_MS)!).toString();
    expect(markup).toContain('<rect class="slowed l1" x="0"');
    expect(markup).not.toContain('NaN');
  });

  test('falls at once where a window starts anew, and says in words what it shows', () => {
    const markup = timeline(
      'alice',
      courseOf([reading(30, 1_000), reading(20, 0), reading(10, 500)], NOW_MS)!,
    ).toString();
    expect(markup).toMatch(/points="0,48 333.3,48 333.3,240 666.7,144 1000,144"/);
    expect(markup).toContain('cpu at 50 % of its limit, not slowed');
  });
});

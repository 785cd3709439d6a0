/** What `status` says, what counts as wrong with a fleet, and how a watched screen is redrawn. No process, no Redis. */
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../../cli/exit.ts';
import { columnsOf, createPalette } from '../../../cli/print.ts';
import { exitCodeOfView, formatProblems, problemsOf } from '../../../cli/problems.ts';
import { formatFleet } from '../../../cli/status-words.ts';
import { fitScreen, parseInterval } from '../../../cli/watch.ts';
import type { HostView } from '../../../shared/redis/fleet.ts';
import { statusExample } from '../../support/reports.ts';
import { hostExample, targetExample, VIEW_AT_MS, viewExample } from '../../support/views.ts';

const palette = createPalette(false);
const PIPE = { width: Number.POSITIVE_INFINITY, isOneHost: false };
const hostile = targetExample('user:alice', {
  gotRatio: 0.5,
  effective: false,
  beforeRatio: null,
  costRatio: null,
  mechanismWhy: 'auto: it works',
  periodMs: 840,
  reason: 'mining\u001b[2J',
  by: 'operator:me',
});

describe('status', () => {
  test('an empty Redis says how to begin', () => {
    expect(formatFleet(viewExample([]), palette, PIPE)).toEqual([
      'No worker has ever reported to this Redis. Start one with: hobbler worker',
    ]);
  });

  test('what is not known is a question mark, what does not slow down is marked, and nothing steers the terminal', () => {
    const brokenReports = [{ target: 'uid:7', why: 'not JSON' }];
    const view = viewExample([hostExample('web-1', [hostile], { status: null, liveness: 'lost', brokenReports })]);
    const text = formatFleet(view, palette, PIPE).join('\n');
    expect(text).toContain('web-1  lost       ?');
    expect(text).toMatch(
      /user:alice {2}hobbling\? +signal +3 +\? +4\.8 % +50 %! +\? +840 ms\* +1m 00s +operator:me +auto: it works +mining\uFFFD\[2J/,
    );
    expect(text).toContain('report cannot be read: not JSON');
  });

  test('a hold of the fleet comes first', () => {
    const hold = { reason: 'look', by: 'operator:me', sinceMs: VIEW_AT_MS - 5_000 };
    expect(formatFleet(viewExample([], { hold }), palette, PIPE)[0]).toBe(
      'The fleet is held: look (operator:me, 5s ago)',
    );
  });

  test('of one host its mechanisms are told, and why', () => {
    const mechanisms = {
      signal: { supported: true, why: 'CAP_KILL' },
      freezer: { supported: false, why: 'no cgroup v2\n' },
    };
    const status = statusExample('web-1', VIEW_AT_MS, { mechanisms });
    const lines = formatFleet(viewExample([hostExample('web-1', [], { status })]), palette, {
      ...PIPE,
      isOneHost: true,
    });
    expect(lines.slice(-3)).toEqual([
      'MECHANISM  HERE  WHY',
      'signal     yes   CAP_KILL',
      'freezer    no    no cgroup v2\uFFFD',
    ]);
  });

  test.each([
    [200, ['BEFORE', 'MECHANISM WHY', 'COST', 'BY']],
    [110, ['COST', 'BY', 'LEFT']],
    [70, ['STATE', 'GOT', 'LEFT']],
  ])('a terminal of %i columns has room for %j, and always for the reason', (width, titles) => {
    const short = targetExample('user:alice', { reason: 'over the limit', mechanismWhy: 'as asked' });
    const view = viewExample([hostExample('web-1', [short])]);
    const lines = formatFleet(view, palette, { width, isOneHost: false });
    const title = lines.find((line) => line.includes('STATE'))!;
    for (const each of [...titles, 'REASON']) expect(title).toContain(each);
    expect(lines.filter((line) => line.length > width)).toEqual([]);
    expect(lines.join('\n')).toContain('over the limit');
  });
});

describe('something is wrong', () => {
  const dead = statusExample('web-1', VIEW_AT_MS, { guard: 'dead' });
  test.each<[string, HostView, RegExp]>([
    ['a late host', hostExample('web-1', [], { liveness: 'late' }), /worker is late; last beat 2s ago/],
    ['a lost host', hostExample('web-1', [], { liveness: 'lost', status: null }), /worker is lost/],
    ['a status that cannot be read', hostExample('web-1', [], { status: null, broken: 'not JSON' }), /not JSON/],
    ['a dead guard', hostExample('web-1', [], { status: dead }), /guard is dead/],
    ['no effect', hostExample('web-1', [hostile]), /does not slow down: got 50 % of a core, asked 4.8 %/],
    [
      'a denied order',
      hostExample('web-1', [targetExample('uid:0', { state: 'denied', why: 'below minUid' })]),
      /^denied: below minUid$/,
    ],
    ['a broken report', hostExample('web-1', [], { brokenReports: [{ target: 'uid:1', why: 'x' }] }), /cannot be read/],
  ])('with %s', (_, host, what) => {
    const view = viewExample([hostExample('web-0', [targetExample('uid:5')]), host]);
    expect(problemsOf(view)).toMatchObject([{ host: 'web-1', what: expect.stringMatching(what) }]);
    expect(exitCodeOfView(view)).toBe(EXIT.failed);
    expect(formatFleet(view, palette, PIPE).join('\n')).toContain('1 thing is wrong:\n  web-1');
  });

  test('with nothing of that, nor with a hold: somebody asked for it', () => {
    const hold = { reason: 'x', by: 'y', sinceMs: 0 };
    const held = targetExample('uid:5', { state: 'held', why: 'a hold' });
    const view = viewExample([hostExample('web-1', [held], { hold })], { hold });
    expect(exitCodeOfView(view)).toBe(EXIT.ok);
    expect(formatProblems(problemsOf(view), palette)).toEqual([]);
  });

  test('what a lost host last said of its targets counts for nothing beside that', () => {
    const view = viewExample([hostExample('web-1', [hostile], { liveness: 'lost' })]);
    expect(problemsOf(view)).toHaveLength(1);
  });

  test('nobody who reports is an answer that cannot be given', () => {
    expect(exitCodeOfView(viewExample([]))).toBe(EXIT.unavailable);
  });

  test('a thousand problems are not a thousand lines', () => {
    const hosts = Array.from({ length: 1_000 }, (_, index) => hostExample(`h${index}`, [], { liveness: 'lost' }));
    expect(formatProblems(problemsOf(viewExample(hosts)), palette)).toHaveLength(12);
  });
});

describe('a watched screen', () => {
  test('shows as much as fits and says what does not, from its top and over what was there', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index} ${'x'.repeat(100)}`);
    const written = fitScreen(lines, { columns: 20, rows: 10 });
    const rows = written.replace('\u001b[H', '').replace('\u001b[J', '').split('\u001b[K\n').slice(0, -1);
    expect(rows).toHaveLength(9);
    expect(rows.filter((row) => columnsOf(row) > 20)).toEqual([]);
    expect(rows.at(-1)).toBe('… and 22 more lines…');
  });

  test.each(['0s', '99ms', '2h', 'often', '-1s'])('a look every %s is refused', (text) => {
    expect(() => parseInterval('--every')(text)).toThrow(/--every/);
  });
});

/** How an account is treated in the end: of several claims, under pins and exemptions, with the shortest stay. */
import { describe, expect, it } from 'vitest';
import type { Override } from '../../../../producer/policy/override.ts';
import { type Claim, nextStanding } from '../../../../producer/policy/standing.ts';
import type { Standing } from '../../../../producer/policy/state.ts';
import type { Hobble } from '../../../../shared/order.ts';

const DWELL_MS = 60;
const NOW_MS = 1_000;
const hobble = (runMs: number): Hobble => ({ runMs, stopMs: 100, mechanism: 'auto' });
const claim = (runMs: number, endsByMs: number | null = null, limit = `l${runMs}`): Claim => ({
  hobble: hobble(runMs),
  limit,
  level: 1,
  endsByMs,
});
const free: Standing = { hobble: null, limit: null, level: null, isPinned: false, sinceMs: null };
const inSince = (runMs: number, sinceMs: number): Standing => ({
  hobble: hobble(runMs),
  limit: `l${runMs}`,
  level: 1,
  isPinned: false,
  sinceMs,
});
const keep = (runMs: number): Override => ({
  kind: 'keep',
  pin: { v: 1, kind: 'keep', setAtMs: 0, untilMs: 9_000, by: 'operator:ann', why: '', hobble: hobble(runMs) },
});
const release: Override = {
  kind: 'release',
  pin: { v: 1, kind: 'release', setAtMs: 0, untilMs: null, by: 'operator:ann', why: '' },
};
const exempt: Override = {
  kind: 'exempt',
  exemption: { account: 'alice', group: null, untilMs: null, by: 'config', why: '' },
};

const next = (standing: Standing, claims: Claim[], override: Override | null = null, mayEnter = true) => {
  const { hobble: then, ...rest } = nextStanding(standing, claims, override, {
    dwellMs: DWELL_MS,
    nowMs: NOW_MS,
    mayEnter,
  });
  return { runMs: then?.runMs ?? null, ...rest };
};

describe('of several claims', () => {
  it.each([
    ['nobody wants anything', free, [], null],
    ['one', free, [claim(10)], 10],
    ['the harshest', free, [claim(50), claim(10), claim(20)], 10],
    ['a harsher one beside what stands', inSince(50, 0), [claim(50), claim(10)], 10],
    ['the milder one when the harsher has gone', inSince(10, 0), [claim(50)], 50],
    ['none when all have gone', inSince(10, 0), [], null],
    ['one that ends before the shortest stay would be over is not begun', free, [claim(10, NOW_MS + 59)], null],
    ['one that just lasts so long is', free, [claim(10, NOW_MS + 60)], 10],
    ['the milder one that lasts', free, [claim(10, NOW_MS + 59), claim(50)], 50],
    ['what stands may stay to its end', inSince(10, 0), [claim(10, NOW_MS + 5)], 10],
  ])('%s', (_title, standing, claims, runMs) => {
    expect(next(standing, claims).runMs).toBe(runMs);
  });

  it.each([
    ['in', free, [claim(10)]],
    ['out', inSince(10, 0), []],
  ])('a change %s is dated now', (_title, standing, claims) => {
    expect(next(standing, claims).sinceMs).toBe(NOW_MS);
  });

  it('another limit of the same duty cycle is no change of state', () => {
    expect(next(inSince(10, 0), [claim(10, null, 'other')])).toEqual({
      runMs: 10,
      limit: 'other',
      level: 1,
      isPinned: false,
      sinceMs: 0,
    });
  });
});

it('of two that are equally harsh, what stands stays', () => {
  const twice: Claim = { ...claim(20), hobble: { runMs: 20, stopMs: 200, mechanism: 'auto' } };
  expect(next(inSince(10, 0), [twice, claim(10, NOW_MS + 900)])).toMatchObject({ runMs: 10, sinceMs: 0 });
});

describe('the shortest stay', () => {
  it.each([
    ['out again', inSince(10, NOW_MS - 59), [], 10],
    ['out when it is over', inSince(10, NOW_MS - 60), [], null],
    ['in again', { ...free, sinceMs: NOW_MS - 59 }, [claim(10)], null],
    ['harsher', inSince(50, NOW_MS - 59), [claim(10), claim(50)], 50],
    ['milder', inSince(10, NOW_MS - 59), [claim(50)], 10],
  ])('%s', (_title, standing, claims, runMs) => {
    expect(next(standing, claims).runMs).toBe(runMs);
  });
});

describe('what beats the policy', () => {
  it.each([
    ['an exemption lets go at once', inSince(10, NOW_MS - 1), [claim(10)], exempt, null],
    ['so does a release', inSince(10, NOW_MS - 1), [claim(10)], release, null],
    ['who is kept in is in at once', { ...free, sinceMs: NOW_MS - 1 }, [], keep(30), 30],
    ['who is kept in harsher than he was, too', inSince(50, NOW_MS - 1), [claim(50)], keep(30), 30],
    ['the policy may be harsher', inSince(30, 0), [claim(10)], keep(30), 10],
    ['but no milder', inSince(30, 0), [claim(50)], keep(30), 30],
    ['at the moment of the pin the harsher of both', free, [claim(10)], keep(30), 10],
  ])('%s', (_title, standing, claims, override, runMs) => {
    expect(next(standing, claims, override).runMs).toBe(runMs);
  });

  it('says that it is the pin', () => {
    expect(next(free, [], keep(30))).toMatchObject({ isPinned: true, limit: null, level: null });
  });
});

it('while nobody may enter, who is out stays out, and who is in may become harsher or milder', () => {
  expect(next(free, [claim(10)], null, false).runMs).toBeNull();
  expect(next(free, [claim(10)], keep(30), false).runMs).toBe(10);
  expect(next(inSince(50, 0), [claim(10)], null, false).runMs).toBe(10);
});

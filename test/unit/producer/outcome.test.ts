/** Which subjects of an account are forgotten: who was not heard of for long, and past the bound the oldest; never who is in. */
import { expect, it } from 'vitest';
import { emptyEntry, type LedgerEntry } from '../../../producer/ledger.ts';
import { forgettable } from '../../../producer/outcome.ts';
import { emptyState, type LedgerState, NO_LIMIT_STATE } from '../../../producer/policy/state.ts';
import { LEVEL, NOW_MS } from './support.ts';

const DAY_MS = 86_400_000;
const figure = { used: 1, limit: 9, unit: '', resource: '', window: null, resetsAtMs: null, isRolling: false };

/** A subject that was last heard of so many days ago. */
function state(
  subject: string,
  daysAgo: number,
  parts: Partial<LedgerState> = {},
  endedAtMs: number[] = [],
): LedgerState {
  const heardAtMs = NOW_MS - daysAgo * DAY_MS;
  const limits = { a: { ...NO_LIMIT_STATE, endedAtMs, figure: { ...figure, readAtMs: heardAtMs, heardAtMs } } };
  return { ...emptyState('alice', subject), limits, ...parts };
}
const entry = (...states: LedgerState[]): LedgerEntry => ({
  ...emptyEntry('alice'),
  states: new Map(states.map((one) => [one.subject, one])),
});
const standing = { hobble: LEVEL, limit: 'a', level: 1, isPinned: false, sinceMs: 1 };

it('who was not heard of for forgetAfter, or for a month where there were penalties', () => {
  const before = entry(
    state('new', 0),
    state('old', 2),
    state('in', 2, { standing }),
    state('offender', 2, {}, [NOW_MS - 3 * DAY_MS]),
    state('offender of old', 40, {}, [NOW_MS - 41 * DAY_MS]),
    state('judged now', 2),
    state('owed', 2),
  );
  before.owed.set('owed', { sinceMs: 1, places: [] });
  expect(forgettable(before, new Set(['judged now']), DAY_MS, NOW_MS)).toEqual(['old', 'offender of old']);
});

it('past a thousand the oldest, and nobody before', () => {
  const many = Array.from({ length: 1_000 }, (_, n) => state(`pid ${n}`, n / 2_000));
  const known = new Set(many.slice(0, 400).map(({ subject }) => subject));
  expect(forgettable(entry(...many), known, DAY_MS, NOW_MS)).toEqual([]);
  expect(forgettable(entry(...many), new Set([...known, 'one', 'two']), DAY_MS, NOW_MS)).toEqual([
    'pid 999',
    'pid 998',
  ]);
});

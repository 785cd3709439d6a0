/**
 * Takes readings into what is remembered. Pure. Owns that a reading which comes twice, late or out of order does no
 * harm: each is known by its id and placed by its time. What it says of the account is judged elsewhere.
 */
import { hash } from 'node:crypto';
import { clockTime, quantity } from '../words.ts';
import type { FigureReading, PolicyReading, TotalReading } from './attribute.ts';
import type { AccountRules } from './rules.ts';
import { type Figure, type LedgerState, MAX_IDS, NO_LIMIT_STATE } from './state.ts';
import { addSample, NO_TOTAL, seriesOf, thin } from './totals.ts';

/** What is to be said of one reading. */
export interface Note {
  /** By position in what was given. */
  index: number;
  /** `late`: it came after its window, or after a newer figure, and changed nothing. `placed`: late, and put in its place. */
  kind: 'repeated' | 'late' | 'placed' | 'reset' | 'refused';
  text: string;
}

/** Limits that readings may bring themselves, for one account. */
const MAX_OWN_LIMITS = 16;
/** What no limit asks for any more is remembered for so long, so that one taken out of the config by mistake can come back. */
const FORGET_AFTER_MS = 31 * 86_400_000;

/** Takes them in by their time, whatever their order. The same state when nothing has changed. */
export function receive(
  state: LedgerState,
  readings: readonly PolicyReading[],
  rules: AccountRules,
  nowMs: number,
): { state: LedgerState; notes: Note[] } {
  if (readings.length === 0) return { state, notes: NO_NOTES };
  const notes: Note[] = [];
  const inTime = readings.map((reading, index) => ({ reading, index }));
  if (readings.length > 1) inTime.sort((a, b) => a.reading.readAtMs - b.reading.readAtMs);
  let next = state;
  for (const { reading, index } of inTime) {
    const note = (kind: Note['kind'], text: string) => notes.push({ index, kind, text });
    const digest = reading.id === null ? null : digestOf(reading.id);
    if (digest !== null && next.ids.includes(digest)) {
      note('repeated', 'a reading of this id is known');
      continue;
    }
    const taken =
      reading.kind === 'figure' ? takeFigure(next, reading, nowMs, note) : takeTotal(next, reading, rules, nowMs, note);
    next = digest === null ? taken : { ...taken, ids: [...taken.ids, digest].slice(-MAX_IDS) };
  }
  return { state: next === state ? state : forgetOld(next, rules, nowMs), notes };
}

const NO_NOTES: Note[] = [];
type AddNote = (kind: Note['kind'], text: string) => void;

/** 66 bits: two of 32 ids do not meet by chance. */
function digestOf(id: string): string {
  return hash('sha256', id, 'base64url').slice(0, 11);
}

function takeFigure(state: LedgerState, reading: FigureReading, nowMs: number, note: AddNote): LedgerState {
  const { kind: _, id: __, limitName, ...figures } = reading;
  const known = Object.hasOwn(state.limits, limitName) ? state.limits[limitName]! : null;
  const late = whyLate(known?.figure ?? null, reading, nowMs);
  if (late !== null) {
    note('late', late);
    return state;
  }
  if (!known && limitName.startsWith('*') && ownLimits(state) >= MAX_OWN_LIMITS) {
    note('refused', `more than ${MAX_OWN_LIMITS} limits that are not in the config`);
    return state;
  }
  if (known?.figure && isBackwards(known.figure, reading)) {
    const { used, unit } = known.figure;
    note('reset', `the counter went backwards from ${quantity(used, unit)}, taken as a new window`);
  }
  const limit = { ...(known ?? NO_LIMIT_STATE), figure: { ...figures, heardAtMs: nowMs } };
  return { ...state, limits: { ...state.limits, [limitName]: limit } };
}

function whyLate(
  known: Figure | null,
  { resetsAtMs, readAtMs, isRolling }: FigureReading,
  nowMs: number,
): string | null {
  if (resetsAtMs !== null && resetsAtMs <= nowMs) {
    return isRolling ? 'late: older than its window' : `late: its window was over at ${clockTime(resetsAtMs, nowMs)}`;
  }
  if (known && readAtMs < known.readAtMs)
    return `late: a newer reading of ${clockTime(known.readAtMs, nowMs)} is known`;
  return null;
}

/** A figure that falls in what nobody calls another window, and that does not roll. */
function isBackwards(known: Figure, { used, window, isRolling, readAtMs }: FigureReading): boolean {
  if (isRolling || known.isRolling || window !== null || used >= known.used) return false;
  return known.resetsAtMs === null || known.resetsAtMs > readAtMs;
}

function takeTotal(
  state: LedgerState,
  { resource, unit, readAtMs, total: counter }: TotalReading,
  { limits }: AccountRules,
  nowMs: number,
  note: AddNote,
): LedgerState {
  const series = seriesOf({ resource, unit });
  const known = Object.hasOwn(state.totals, series) ? state.totals[series]! : NO_TOTAL;
  const { total, reset, isLate } = addSample(known, readAtMs, counter, nowMs);
  const own = limits.filter((limit) => seriesOf(limit) === series);
  if (reset) {
    note(
      'reset',
      `the counter went backwards from ${quantity(reset.from, unit)} to ${quantity(reset.to, unit)}, taken as a reset`,
    );
  }
  if (isLate) note('placed', 'late: newer readings are known; placed before them');
  const thinned = thin(
    total,
    own.flatMap(({ window }) => window ?? []),
    nowMs,
  );
  return { ...state, totals: { ...state.totals, [series]: thinned } };
}

function ownLimits({ limits }: LedgerState): number {
  return Object.keys(limits).filter((name) => name.startsWith('*')).length;
}

function forgetOld(state: LedgerState, { limits }: AccountRules, nowMs: number): LedgerState {
  const isOld = (atMs: number) => atMs < nowMs - FORGET_AFTER_MS;
  const oldLimits = Object.entries(state.limits).filter(
    ([name, { figure, penalty, released }]) =>
      !penalty &&
      isOld(figure?.heardAtMs ?? 0) &&
      isOld(released?.atMs ?? 0) &&
      !limits.some((limit) => limit.name === name),
  );
  const oldTotals = Object.entries(state.totals).filter(
    ([series, { heardAtMs }]) => isOld(heardAtMs) && !limits.some((limit) => seriesOf(limit) === series),
  );
  if (oldLimits.length === 0 && oldTotals.length === 0) return state;
  return { ...state, limits: without(state.limits, oldLimits), totals: without(state.totals, oldTotals) };
}

function without<T>(all: Record<string, T>, some: readonly (readonly [string, T])[]): Record<string, T> {
  const names = new Set(some.map(([name]) => name));
  return Object.fromEntries(Object.entries(all).filter(([name]) => !names.has(name)));
}

/**
 * What the demo promises, and whether it came about. Pure: from samples of work and CPU, taken while the greedy account
 * was free, in the tarpit and free again, to rates and verdicts.
 */
import { formatRatio } from '../cli/print.ts';

export const PHASES = ['before', 'under', 'after'] as const;
export type Phase = (typeof PHASES)[number];

export interface Sample {
  atMs: number;
  /** Whether the greedy account is in the tarpit, as its worker reports it. */
  isHobbled: boolean;
  /** By account: units of work and CPU seconds since the start. */
  units: Record<string, number>;
  cpuSeconds: Record<string, number>;
  /** CPU seconds that this machine spent on anything else since the start. */
  otherSeconds: number;
}

export interface Rate {
  unitsPerSecond: number;
  /** Share of one core. */
  cpuRatio: number;
  overMs: number;
}

/** Null: too little was seen of that phase to say anything. */
export type Rates = Record<Phase, Rate | null>;

export interface Promised {
  promise: string;
  isKept: boolean;
  detail: string;
}

/** The first part of each phase is left out: an order is on its way, a first scan, a window that just began. */
const SETTLE_MS = 1_000;
const MIN_PHASE_MS = 2_000;
/** The rate of a tarpitted account falls to about a twentieth; between these it is believed. */
const FALL = { min: 1 / 100, max: 1 / 10 };
/** What is left alone, or let go, keeps or regains at least this share of its rate before. */
const KEPT = 0.7;

/** The phase that each sample belongs to, in order; samples after a second tarpit are of no phase. */
export function phaseOf(samples: readonly Sample[]): (Phase | null)[] {
  let phase: Phase | null = 'before';
  return samples.map(({ isHobbled }) => {
    if (phase === 'before' && isHobbled) phase = 'under';
    else if (phase === 'under' && !isHobbled) phase = 'after';
    else if (phase === 'after' && isHobbled) phase = null;
    return phase;
  });
}

/** How long a phase has lasted so far, milliseconds. */
export function phaseMs(samples: readonly Sample[], phase: Phase): number {
  const phases = phaseOf(samples);
  const own = samples.filter((_, index) => phases[index] === phase);
  return own.length === 0 ? 0 : own.at(-1)!.atMs - own[0]!.atMs;
}

/** An account's rates in the three phases. */
export function ratesOf(samples: readonly Sample[], account: string): Rates {
  const phases = phaseOf(samples);
  const rate = (phase: Phase): Rate | null => {
    const all = samples.filter((_, index) => phases[index] === phase);
    const first = all.find(({ atMs }) => atMs - all[0]!.atMs >= SETTLE_MS);
    const last = all.at(-1);
    if (!first || !last || last.atMs - first.atMs < MIN_PHASE_MS) return null;
    const seconds = (last.atMs - first.atMs) / 1000;
    const grown = (what: 'units' | 'cpuSeconds') => (last[what][account] ?? 0) - (first[what][account] ?? 0);
    return {
      unitsPerSecond: grown('units') / seconds,
      cpuRatio: grown('cpuSeconds') / seconds,
      overMs: last.atMs - first.atMs,
    };
  };
  return { before: rate('before'), under: rate('under'), after: rate('after') };
}

/** The promises about rates. What could not be measured is not kept (invariant 9). */
export function judgeRates(greedy: string, others: readonly string[], rates: Record<string, Rates>): Promised[] {
  const own = rates[greedy]!;
  const fall = quotient(own.under, own.before);
  const back = quotient(own.after, own.before);
  const kept = others.map((account) => {
    const { before, under, after } = rates[account]!;
    return { account, lowest: lower(quotient(under, before), quotient(after, before)) };
  });
  return [
    {
      promise: `${greedy} slowed down to about a twentieth (between 1/10 and 1/100)`,
      isKept: fall !== null && fall >= FALL.min && fall <= FALL.max,
      detail:
        fall === null ? 'not measured' : fall > 0 ? `to 1/${(1 / fall).toFixed(fall > 0.1 ? 1 : 0)}` : 'to nothing',
    },
    {
      promise: `${others.join(' and ')} kept at least ${formatRatio(KEPT)} of their rate`,
      isKept: kept.every(({ lowest }) => lowest !== null && lowest >= KEPT),
      detail: kept.map(({ account, lowest }) => `${account} ${formatRatio(lowest)}`).join(', '),
    },
    {
      promise: `${greedy} came back to at least ${formatRatio(KEPT)} of its rate when its window reset`,
      isKept: back !== null && back >= KEPT,
      detail: back === null ? 'not measured' : `to ${formatRatio(back)}`,
    },
  ];
}

function quotient(part: Rate | null, whole: Rate | null): number | null {
  return part === null || whole === null || whole.unitsPerSecond <= 0
    ? null
    : part.unitsPerSecond / whole.unitsPerSecond;
}

function lower(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b);
}

/** With more than this share of a core at work for others, a rate that fell says nothing of hobbler. */
const BUSY_RATIO = 0.2;

/** A CPU second that is worth less than this share of what it was: the machine is not steady enough to judge by. */
const STEADY = 0.85;

/**
 * Why a cycle is worth playing again rather than judging; null: it is to be judged as it is. The machine's other work
 * may take from anybody, at any time.
 */
export function whyAgain(samples: readonly Sample[], promises: readonly Promised[]): string | null {
  if (promises.every(({ isKept }) => isKept)) return null;
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.atMs <= first.atMs) return null;
  const otherRatio = ((last.otherSeconds - first.otherSeconds) * 1000) / (last.atMs - first.atMs);
  if (otherRatio > BUSY_RATIO) return `other work took ${otherRatio.toFixed(1)} cores of this machine`;
  const speed = speedChange(samples);
  return speed !== null && (speed < STEADY || speed > 1 / STEADY)
    ? `a CPU second of this machine did ${formatRatio(speed)} of the work that it did before`
    : null;
}

/**
 * How much work a CPU second does after the tarpit, against before it; null: not known. A hobble takes CPU time and
 * not what CPU time is worth, so a change is the machine's own: a clock that is throttled, a neighbour on the same host.
 */
function speedChange(samples: readonly Sample[]): number | null {
  const changes = Object.keys(samples[0]?.units ?? {}).flatMap((account) => {
    const { before, after } = ratesOf(samples, account);
    if (!before || !after || before.cpuRatio <= 0 || after.cpuRatio <= 0 || before.unitsPerSecond <= 0) return [];
    return [after.unitsPerSecond / after.cpuRatio / (before.unitsPerSecond / before.cpuRatio)];
  });
  return changes.length === 0 ? null : Math.min(...changes);
}

/**
 * The policy: from readings, what is remembered, the rules and the time, who is put in the tarpit and who is let go.
 * Pure: no clock, no I/O, no Redis. It knows nothing of processes, and hosts know nothing of it.
 *
 *             used >= limit
 *   leave ──────────────────────► tarpit
 *         ◄──────────────────────
 *           the window reset; a reading of a new window is below the limit; in the same window used fell below
 *           leaveRatio × limit, or the limit was raised above it; exempt; nothing heard for `forgetAfterMs`
 *
 * Entering and leaving at different figures is what keeps an account near its limit from flapping. What is not known
 * never leads into the tarpit: doubt means release (invariant 1).
 */
import type { Level } from './config.ts';
import type { Usage } from './reading.ts';
import { type AccountRecord, recordKey } from './record.ts';
import { clockTime, percent, quantity, usedOfLimit } from './words.ts';

export interface PolicyRules {
  leaveRatio: number;
  level: Level;
  /** A tarpitted account of which nothing was heard for so long is let go, milliseconds. */
  forgetAfterMs: number;
  exempt: ReadonlySet<string>;
}

/** What is remembered: a record, nothing yet, or something that cannot be read. */
export type Prior = AccountRecord | 'none' | 'unreadable';

export type Verdict =
  | { verdict: 'leave'; reason: string }
  | { verdict: 'tarpit'; level: Level; reason: string }
  /** Was in the tarpit, or may have been, and is let go now. */
  | { verdict: 'untarpit'; reason: string };

export interface Judgement {
  verdict: Verdict;
  /** What to remember; null: nothing is known, and nothing to remember. */
  record: AccountRecord | null;
  /** Why the reading changed nothing, where it is late. */
  ignored?: string;
}

/**
 * Judges readings in the order in which they came, each upon what the one before left. `ledger` holds what is
 * remembered by recordKey; what is missing in it is 'none'. Times in milliseconds since 1970.
 */
export function judge(
  usages: readonly Usage[],
  ledger: ReadonlyMap<string, Prior>,
  rules: PolicyRules,
  nowMs: number,
): Judgement[] {
  const priors = new Map(ledger);
  return usages.map((usage) => {
    const key = recordKey(usage);
    const judgement = judgeUsage(priors.get(key) ?? 'none', usage, rules, nowMs);
    if (judgement.record) priors.set(key, judgement.record);
    return judgement;
  });
}

/** Judges one reading. */
export function judgeUsage(prior: Prior, usage: Usage, rules: PolicyRules, nowMs: number): Judgement {
  const known = typeof prior === 'string' ? null : prior;
  const late = whyLate(known, usage, nowMs);
  if (late !== null) {
    const judgement = known
      ? judgeTime(known, rules, nowMs)
      : { verdict: { verdict: 'leave' as const, reason: late }, record: null };
    return { ...judgement, ignored: late };
  }
  const verdict = weigh(prior, usage, rules, nowMs);
  const wasIn = known?.verdict === 'tarpit';
  const isIn = verdict.verdict === 'tarpit';
  const { isWindowNamed: _, ...figures } = usage;
  const record: AccountRecord = {
    v: 1,
    ...figures,
    verdict: isIn ? 'tarpit' : 'leave',
    level: isIn ? verdict.level : null,
    reason: verdict.reason,
    sinceMs: known && wasIn === isIn ? known.sinceMs : nowMs,
    receivedAtMs: nowMs,
  };
  return { verdict, record };
}

/** Judges an account of which no reading came: whether time alone lets it go. */
export function judgeTime(record: AccountRecord, rules: PolicyRules, nowMs: number): Judgement {
  if (record.verdict === 'leave') return { verdict: { verdict: 'leave', reason: record.reason }, record };
  const reason = whyTimeReleases(record, rules, nowMs);
  if (reason === null) return { verdict: { verdict: 'tarpit', level: record.level!, reason: record.reason }, record };
  const released: AccountRecord = { ...record, verdict: 'leave', level: null, reason, sinceMs: nowMs };
  return { verdict: { verdict: 'untarpit', reason }, record: released };
}

function whyTimeReleases(record: AccountRecord, rules: PolicyRules, nowMs: number): string | null {
  if (rules.exempt.has(record.account)) return 'exempt';
  if (record.resetsAtMs !== null && record.resetsAtMs <= nowMs) {
    return `the window reset at ${clockTime(record.resetsAtMs, nowMs)} (${usedOfLimit(record)} before)`;
  }
  // A wall clock set back makes the age negative; that is no reason to keep anybody.
  if (Math.abs(nowMs - record.receivedAtMs) > rules.forgetAfterMs) {
    return `no reading since ${clockTime(record.receivedAtMs, nowMs)}`;
  }
  return null;
}

/** Why a reading comes too late to change anything; null when it does not. */
function whyLate(known: AccountRecord | null, usage: Usage, nowMs: number): string | null {
  if (usage.resetsAtMs !== null && usage.resetsAtMs <= nowMs) {
    return `late: its window was over at ${clockTime(usage.resetsAtMs, nowMs)}`;
  }
  // Readings never lie ahead of our clock, so one that does says that the clock was set back: then order says nothing.
  if (known && usage.readAtMs < known.readAtMs && known.readAtMs <= nowMs) {
    return `late: a newer reading of ${clockTime(known.readAtMs, nowMs)} is known`;
  }
  return null;
}

function weigh(prior: Prior, usage: Usage, rules: PolicyRules, nowMs: number): Verdict {
  const known = typeof prior === 'string' ? null : prior;
  // Of what cannot be read, it is not known that it was no penalty; untarpitting who is free does no harm.
  const mayBeIn = prior === 'unreadable' || known?.verdict === 'tarpit';
  const out = (reason: string): Verdict => ({ verdict: mayBeIn ? 'untarpit' : 'leave', reason });
  const figures = usedOfLimit(usage);
  if (rules.exempt.has(usage.account)) return out(`exempt (${figures})`);
  if (usage.used >= usage.limit) {
    return {
      verdict: 'tarpit',
      level: rules.level,
      reason: `${backwards(known, usage)}${figures}${until(usage, nowMs)}`,
    };
  }
  if (known?.verdict !== 'tarpit') return out(`${backwards(known, usage)}${figures}`);

  if (isNextWindow(known, usage)) return out(`new window: ${figures}`);
  if (usage.unit === known.unit && usage.limit > known.limit) {
    return out(`limit raised from ${quantity(known.limit, known.unit)}: ${figures}`);
  }
  const leaveBelow = rules.leaveRatio * usage.limit;
  if (usage.used < leaveBelow) {
    const why = backwards(known, usage) || `below ${percent(rules.leaveRatio)} of the limit: `;
    return out(`${why}${figures}`);
  }
  const wayOut = `let go below ${quantity(leaveBelow, usage.unit)}`;
  const reset = usage.resetsAtMs === null ? '' : `, or at ${clockTime(usage.resetsAtMs, nowMs)}`;
  return { verdict: 'tarpit', level: rules.level, reason: `${figures}, was over; ${wayOut}${reset}` };
}

function until({ resetsAtMs }: Usage, nowMs: number): string {
  return resetsAtMs === null ? '' : `, until ${clockTime(resetsAtMs, nowMs)}`;
}

/** Whether the reading belongs to a later window than what is remembered. */
function isNextWindow(known: AccountRecord, usage: Usage): boolean {
  if (known.resetsAtMs !== null && known.resetsAtMs <= usage.readAtMs) return true;
  return known.window !== null && usage.window !== null && known.window !== usage.window;
}

/**
 * A counter that goes backwards has started anew, where the accounting system does not say that it is still the same
 * window (then it is a correction, or a rolling window). Said in the reason. It must still be below the figure for
 * leaving: a rolling window goes backwards by a little all the time, and would flap.
 */
function backwards(known: AccountRecord | null, usage: Usage): string {
  if (!known || usage.isWindowNamed || usage.used >= known.used || isNextWindow(known, usage)) return '';
  return `the counter went backwards from ${quantity(known.used, known.unit)}, taken as a new window: `;
}

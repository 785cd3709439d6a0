/**
 * Which limit a reading speaks of. Pure. A reading brings either `used`, what was used in a window that the accounting
 * system measures itself, or `total`, a counter that only grows, from which every window is measured here. Owns what
 * such a reading may leave out, and why one is refused.
 */

import type { AccountRules, Limit } from './rules.ts';
import { spanAt } from './windows.ts';

/** A reading as it came, parsed; what concerns hosts and targets is somebody else's. Times in ms since 1970. */
export interface RawReading {
  used?: number | undefined;
  total?: number | undefined;
  limit?: number | undefined;
  /** Of the config. */
  limitName?: string | undefined;
  unit?: string | undefined;
  resource?: string | undefined;
  window?: string | undefined;
  resetsAt?: number | undefined;
  at?: number | undefined;
  id?: string | undefined;
}

interface Common {
  id: string | null;
  readAtMs: number;
}
export interface FigureReading extends Common {
  kind: 'figure';
  /** Of the config, or by ownLimitName. */
  limitName: string;
  used: number;
  /** Null: that of the config. */
  limit: number | null;
  unit: string;
  resource: string;
  window: string | null;
  resetsAtMs: number | null;
  isRolling: boolean;
}
export interface TotalReading extends Common {
  kind: 'total';
  resource: string;
  unit: string;
  total: number;
}
/** A reading that can be judged. */
export type PolicyReading = FigureReading | TotalReading;

/** A reading may be stamped by a clock that is this much ahead of ours. */
const MAX_AHEAD_MS = 60_000;

/** The name under which the limit stands that readings bring themselves; no name of the config begins so. */
function ownLimitName(resource: string): string {
  return `*${resource}`;
}

/** Says which limit a reading is for, and fills in what the limit knows of the window; or why that cannot be done. */
export function attribute(
  reading: RawReading,
  rules: AccountRules,
  nowMs: number,
): { reading: PolicyReading } | { refused: string } {
  const { used, total, at = nowMs } = reading;
  if ((used === undefined) === (total === undefined)) {
    return { refused: 'reading: expected either used (in a window) or total (a running total)' };
  }
  if (at > nowMs + MAX_AHEAD_MS) {
    return { refused: `reading.at: lies ${Math.round((at - nowMs) / 1000)} s ahead of this machine's clock` };
  }
  const limits = candidates(reading, rules);
  if ('refused' in limits) return limits;
  const common = { id: reading.id ?? null, readAtMs: Math.min(at, nowMs) };
  return total === undefined
    ? attributeUsed(reading, used!, limits, common)
    : attributeTotal(reading, total, limits, common);
}

function candidates(
  { limitName, resource, unit }: RawReading,
  { limits }: AccountRules,
): Limit[] | { refused: string } {
  const named = limitName === undefined ? limits : limits.filter(({ name }) => name === limitName);
  if (limitName !== undefined && named.length === 0) {
    return { refused: `reading.limitName: expected ${oneOf(limits)}; got ${JSON.stringify(limitName)}` };
  }
  const fitting = named.filter(
    (limit) => (resource === undefined || resource === limit.resource) && (unit === undefined || unit === limit.unit),
  );
  if (limitName !== undefined && fitting.length === 0) {
    const [limit] = named;
    return { refused: `reading: limit ${limitName} counts ${limit!.resource} in ${limit!.unit || 'no unit'}` };
  }
  return fitting;
}

function attributeTotal(
  reading: RawReading,
  total: number,
  limits: readonly Limit[],
  common: Common,
): { reading: PolicyReading } | { refused: string } {
  for (const field of ['limit', 'limitName', 'window', 'resetsAt'] as const) {
    if (reading[field] !== undefined)
      return { refused: `reading.${field}: a running total has none; its windows are in the config` };
  }
  const [first] = limits;
  if (!first) {
    return { refused: 'reading.total: expected a limit on it in the config; there is none for this account' };
  }
  const { resource, unit } = first;
  if (limits.some((limit) => limit.resource !== resource || limit.unit !== unit)) {
    const counted = [...new Set(limits.map((limit) => `${limit.resource} in ${limit.unit}`))];
    return { refused: `reading.resource, reading.unit: expected one of ${counted.join(', ')}` };
  }
  return { reading: { ...common, kind: 'total', resource, unit, total } };
}

function attributeUsed(
  { limit, unit, resource, window, resetsAt }: RawReading,
  used: number,
  limits: readonly Limit[],
  common: Common,
): { reading: PolicyReading } | { refused: string } {
  if (limits.length > 1) {
    return { refused: `reading.limitName: expected ${oneOf(limits)}, as each of them counts this` };
  }
  const [known] = limits;
  if (!known && limit === undefined) {
    return { refused: 'reading.limit: expected a limit, as the config has none for this account; got nothing' };
  }
  const figure = {
    ...common,
    kind: 'figure' as const,
    limitName: known?.name ?? ownLimitName(resource ?? ''),
    used,
    limit: limit ?? null,
    unit: unit ?? known?.unit ?? '',
    resource: resource ?? known?.resource ?? '',
    window: window ?? null,
    resetsAtMs: resetsAt ?? null,
    isRolling: false,
  };
  // Only who says nothing of windows gets ours: our reset time need not be theirs.
  if (!known || window !== undefined || resetsAt !== undefined) return { reading: figure };
  if (known.window?.kind === 'rolling') {
    return { reading: { ...figure, isRolling: true, resetsAtMs: common.readAtMs + known.window.lengthMs } };
  }
  return { reading: { ...figure, resetsAtMs: known.window && spanAt(known.window, common.readAtMs).resetsAtMs } };
}

function oneOf(limits: readonly Limit[]): string {
  return limits.length === 0
    ? 'no limit, as the config has none for this account'
    : limits.map(({ name }) => name).join(' or ');
}

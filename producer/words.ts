/**
 * The words in which verdicts are explained, to the account's owner as much as to the operator: orders, the fleet page
 * and GET /v1/accounts show them as they are. Pure; decides nothing.
 */

import { wallTime } from './policy/zone.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface Amount {
  used: number;
  limit: number;
  unit: string;
  /** What is used up, e.g. `cpu`; empty when the accounting system did not say. */
  resource: string;
}

/** `cpu 2104 s of 2000 s`. */
export function usedOfLimit({ used, limit, unit, resource }: Amount): string {
  return `${resource || 'used'} ${quantity(used, unit)} of ${quantity(limit, unit)}`;
}

/** `2104 s`, `0.25 GB`, `12`: at most two decimals, rounded down, so that 1999.999 is not shown as the limit of 2000. */
export function quantity(value: number, unit: string): string {
  const digits = String(Math.floor(value * 100 + 1e-6) / 100);
  return unit === '' ? digits : `${digits} ${unit}`;
}

/** `00:00 UTC`, with seconds where they count and the date when it is more than a day away. */
export function clockTime(atMs: number, nowMs: number, zone = 'UTC'): string {
  const wall = wallTime(zone, atMs);
  const time = atMs % MINUTE_MS === 0 ? wall.slice(11, 16) : wall.slice(11, 19);
  return Math.abs(atMs - nowMs) > DAY_MS ? `${wall.slice(0, 10)} ${time} ${zone}` : `${time} ${zone}`;
}

/** `1d`, `1h30m`, `500ms`: as the config has it. */
export function lengthOf(durationMs: number): string {
  const parts = [];
  let restMs = Math.round(durationMs);
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) parts.push(`${count}${unit}`);
    restMs -= count * unitMs;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}

const UNITS = [
  ['d', DAY_MS],
  ['h', 3_600_000],
  ['m', MINUTE_MS],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** `90 %` of a ratio of 0.9. */
export function percent(ratio: number): string {
  return `${Number((ratio * 100).toPrecision(6))} %`;
}

/**
 * One limit in words: what is used of it, where its ladder stands, why it lets go. Pure. The figures of a penalty with
 * a length are those of the offence; of one without, those of now, as they decide when it ends.
 */
import { clockTime, lengthOf, percent, quantity, usedOfLimit } from '../words.ts';
import { countingAt, type Obstacle } from './ladder.ts';
import type { Look } from './look.ts';
import type { Limit } from './rules.ts';
import type { LimitState, Penalty, Released } from './state.ts';
import { isOver, type Use } from './use.ts';

/** How moments are written: as of now, in the account's time zone. */
export type Moment = (atMs: number) => string;

export function momentsOf(nowMs: number, zone: string): Moment {
  return (atMs) => clockTime(atMs, nowMs, zone);
}

/** `cpu 700 s of 600 s in the last 1h`. */
function usedWords(use: Pick<Use, 'used' | 'limit'>, { unit, resource, window }: Limit): string {
  const over = window?.kind === 'rolling' ? ` in the last ${lengthOf(window.lengthMs)}` : '';
  return `${usedOfLimit({ used: use.used, limit: use.limit, unit, resource })}${over}`;
}

function levelWords(level: number, { ladder }: Limit): string {
  return ladder.levels.length === 1 ? '' : `, level ${level} of ${ladder.levels.length}`;
}

/** Why it keeps the account in, and until when. */
export function stayReason(look: Look, moment: Moment): string {
  const { limit, state, use, claim } = look;
  const penalty = state.penalty!;
  const level = levelWords(claim!.level!, limit);
  const endMs = endInSight(look);
  const until = endMs === null ? '' : `, until ${moment(endMs)}`;
  if (penalty.endsAtMs !== null || !use) return `${usedWords(penalty, limit)}${level}${until}`;
  if (isOver(use, limit)) return `${usedWords(use, limit)}${level}${until}`;
  const wayOut = `let go below ${quantity(limit.leaveRatio * use.limit, limit.unit)}`;
  return `${usedWords(use, limit)}${level}, was over; ${wayOut}${endMs === null ? '' : `, or at ${moment(endMs)}`}`;
}

/** When a penalty ends if nothing more is used. Not that it would end if the accounting fell silent. */
function endInSight({ state, use, endsAtMs }: Look): number | null {
  if (state.penalty!.endsAtMs !== null) return state.penalty!.endsAtMs;
  return use && !use.isRolling ? use.resetsAtMs : endsAtMs;
}

/** Why it has let go. */
export function releaseReason({ limit, use }: Look, released: Released, moment: Moment): string {
  const figures = usedWords(released, limit);
  switch (released.why) {
    case 'served':
      return `the penalty is served: ${figures}`;
    case 'reset':
      return released.used === 0 ? `the window reset at ${moment(released.atMs)}` : `new window: ${figures}`;
    case 'raised':
      return `limit raised: ${figures}`;
    case 'unheard':
      return use ? `no reading since ${moment(use.heardAtMs)}` : 'nothing is known of its use any more';
    case 'below':
      return released.used === 0
        ? `nothing used any more: ${figures}`
        : `below ${percent(limit.leaveRatio)} of the limit: ${figures}`;
  }
}

/** A line on this limit: what is used, and what follows from it. */
export function describeLimit(look: Look, obstacle: Obstacle | null, nowMs: number, moment: Moment): string {
  const { limit, state, use } = look;
  const name = limit.from === 'readings' ? 'limit of its readings' : limit.name;
  if (!use)
    return `${name}: nothing heard yet of ${limit.resource}, of which ${quantity(limit.used, limit.unit)} may be used`;
  const parts = [`${name}: ${usedWords(use, limit)}`];
  if (use.resetsAtMs !== null && !use.isRolling)
    parts.push(use.hasReset ? `reset at ${moment(use.resetsAtMs)}` : `resets at ${moment(use.resetsAtMs)}`);
  parts.push(`read at ${moment(use.readAtMs)}`);
  if (state.penalty) parts.push(...penaltyWords(look, state.penalty, nowMs, moment));
  else if (isOver(use, limit))
    parts.push(`over, and yet not in: ${obstacle ? obstacleWords(obstacle, use, limit, moment) : 'judged next'}`);
  else parts.push(...pastWords(limit, state, nowMs, moment));
  return parts.join('; ');
}

function penaltyWords(look: Look, penalty: Penalty, nowMs: number, moment: Moment): string[] {
  const { limit, state, use, claim } = look;
  const level = limit.ladder.levels.length === 1 ? '' : ` at level ${claim!.level} of ${limit.ladder.levels.length}`;
  const earlier = countingAt(limit.ladder, state.endedAtMs, Math.min(penalty.sinceMs, nowMs));
  const count = earlier === 0 ? '' : `, the ${ordinal(earlier + 1)} time within ${lengthOf(limit.ladder.lookbackMs)}`;
  const since = `in${level} since ${moment(penalty.sinceMs)}${count}`;
  if (penalty.endsAtMs !== null) return [since, `out at ${moment(penalty.endsAtMs)}, whatever is used`];
  const below = `out below ${quantity(limit.leaveRatio * (use?.limit ?? penalty.limit), limit.unit)}`;
  const endMs = endInSight(look);
  return [since, endMs === null ? below : `${below}, or at ${moment(endMs)} if nothing more is used`];
}

function obstacleWords(obstacle: Obstacle, use: Use, limit: Limit, moment: Moment): string {
  switch (obstacle.kind) {
    case 'grace':
      return `grace until ${moment(obstacle.untilMs)}`;
    case 'paid':
      return `that is paid for; in again at ${quantity(obstacle.beyond, limit.unit)}`;
    case 'window-ends':
      return `the window resets at ${moment(obstacle.atMs)} already`;
    case 'dwell':
      return `its state changed only just; in at ${moment(obstacle.untilMs)}`;
    case 'old-figure':
      return 'waits for a newer figure';
    case 'unheard':
      return `no reading since ${moment(use.heardAtMs)}`;
    case 'not-now':
      return 'nobody is put in now';
  }
}

function pastWords(limit: Limit, state: LimitState, nowMs: number, moment: Moment): string[] {
  const earlier = countingAt(limit.ladder, state.endedAtMs, nowMs);
  const last = state.endedAtMs.at(-1);
  if (earlier === 0 || last === undefined || limit.ladder.levels.length === 1) return [];
  const level = Math.min(earlier + 1, limit.ladder.levels.length);
  const forgivenMs = limit.ladder.forgiveMs;
  const cleanAtMs = Math.min(
    last + limit.ladder.lookbackMs,
    last + forgivenMs * (Math.floor((nowMs - last) / forgivenMs) + earlier),
  );
  return [`the next offence is level ${level} of ${limit.ladder.levels.length}; all forgiven by ${moment(cleanAtMs)}`];
}

function ordinal(count: number): string {
  const ending = ['th', 'st', 'nd', 'rd'];
  const tail = count % 100;
  return `${count}${ending[tail > 10 && tail < 14 ? 0 : tail % 10] ?? 'th'}`;
}

/**
 * The desired state: one hash per host and one for the fleet, target → order or tombstone. Owns the compare-and-set by
 * version that makes late, doubled and reordered orders harmless (invariant 3). Reading never throws on one bad record:
 * it is returned among `broken`, and the rest goes on.
 */
import { HobblerError, messageOf } from '../errors.ts';
import { fleetKeys, hostKeys } from '../keys.ts';
import { FLEET, type Order, parseOrderText, recordEndsAtMs, takeOrderText } from '../order.ts';
import type { Redis } from './connection.ts';
import { loadScript, runScript } from './scripts.ts';

const putOrders = loadScript('put-orders');
const putFleetOrder = loadScript('put-fleet-order');
const forgetOrders = loadScript('forget-orders');

/** The most records a desired hash may hold, tombstones included; past it new targets are refused. */
export const MAX_DESIRED = 100_000;
/** Records one script call removes: a call has a bounded number of arguments, and Redis serves nobody meanwhile. */
const FORGET_AT_ONCE = 500;

export type PutResult =
  | { status: 'written' }
  | { status: 'same' }
  | { status: 'stale'; currentVersion: number }
  | { status: 'full'; size: number };

/** A record as it stands in Redis: its exact text (what a signature and a compare are made on) and its order. */
export interface DesiredRecord {
  text: string;
  raw: Record<string, unknown>;
  order: Order;
}

export interface DesiredState {
  records: Map<string, DesiredRecord>;
  broken: { target: string; why: string }[];
}

/** An order to be written: `text` is what is kept of it, exactly as it came, since a signature covers exactly that. */
export interface DesiredWrite {
  order: Pick<Order, 'target' | 'version'>;
  text: string;
}

/**
 * Writes the order if its version is newer than what stands there. One atomic script. `raw` is the order as it came,
 * where that is not the parsed one.
 */
export async function putDesired(redis: Redis, order: Order, raw: Record<string, unknown> = order): Promise<PutResult> {
  const text = JSON.stringify(raw);
  if (order.host !== FLEET) return (await putAllDesired(redis, order.host, [{ order, text }]))[0]!;
  const keys = [fleetKeys.desired, fleetKeys.revisions, fleetKeys.revision];
  const reply = await runScript(redis, putFleetOrder, keys, [order.target, order.version, text, MAX_DESIRED]);
  return putResult(reply as string[]);
}

/** Writes a host's orders like `putDesired`, in the order given, by one call; each stands or falls by itself. */
export async function putAllDesired(redis: Redis, host: string, writes: readonly DesiredWrite[]): Promise<PutResult[]> {
  const args: (string | number)[] = [MAX_DESIRED];
  for (const { order, text } of writes) args.push(order.target, order.version, text);
  const replies = (await runScript(redis, putOrders, [hostKeys.desired(host)], args)) as string[][];
  return replies.map(putResult);
}

function putResult(reply: readonly string[]): PutResult {
  switch (reply[0]) {
    case 'written':
    case 'same':
      return { status: reply[0] };
    case 'stale':
      return { status: 'stale', currentVersion: Number(reply[1]) };
    case 'full':
      return { status: 'full', size: Number(reply[1]) };
    default:
      throw new HobblerError('internal', 'unknown reply of a script that puts orders', { got: reply });
  }
}

/** The order or tombstone that stands for a target on a host or the fleet; null when none does, or none that can be read. */
export async function readStanding(redis: Redis, host: string, target: string): Promise<Order | null> {
  const text = await redis.hget(host === FLEET ? fleetKeys.desired : hostKeys.desired(host), target);
  if (text === null) return null;
  try {
    return parseOrderText(text);
  } catch {
    return null;
  }
}

/** The version that stands for a target on a host or the fleet; 0 when there is none, or none that can be read. */
export async function readVersion(redis: Redis, host: string, target: string): Promise<number> {
  return (await readStanding(redis, host, target))?.version ?? 0;
}

/** Whether a record's text is one that the caller has read before and needs no second time. */
export type IsKnown = (target: string, text: string) => boolean;

/** Records that one reply brings: neither Redis nor the reader is held up for long, and what is known is soon forgotten. */
const RECORDS_AT_ONCE = 500;

/**
 * Everything that this host is asked to do, tombstones included; not the fleet's. What is known is left out, unparsed. What
 * changes while it is read may be as before or as after.
 */
export async function readDesired(redis: Redis, host: string, isKnown?: IsKnown): Promise<DesiredState> {
  const state: DesiredState = { records: new Map(), broken: [] };
  let cursor = '0';
  do {
    const [next, pairs] = await redis.hscan(hostKeys.desired(host), cursor, 'COUNT', RECORDS_AT_ONCE);
    for (let at = 0; at < pairs.length; at += 2) parseRecord(pairs[at]!, pairs[at + 1]!, state, isKnown);
    cursor = next;
  } while (cursor !== '0');
  return state;
}

export interface FleetChanges extends DesiredState {
  revision: number;
  /** True when these are all fleet orders, not only the changed ones. */
  isWhole: boolean;
}

/** The fleet's orders that changed since `sinceRevision`; all of them when Redis knows less than the caller did. */
export async function readFleetChanges(redis: Redis, sinceRevision: number): Promise<FleetChanges> {
  const revision = Number((await redis.get(fleetKeys.revision)) ?? 0);
  // Every order that was ever written for the fleet has left a revision there.
  if (revision === 0) return { records: new Map(), broken: [], revision, isWhole: true };
  if (sinceRevision === 0 || revision < sinceRevision) {
    return { ...parseRecords(await redis.hgetall(fleetKeys.desired)), revision, isWhole: true };
  }
  if (revision === sinceRevision) return { records: new Map(), broken: [], revision, isWhole: false };
  const targets = await redis.zrangebyscore(fleetKeys.revisions, `(${sinceRevision}`, '+inf');
  const texts = targets.length === 0 ? [] : await redis.hmget(fleetKeys.desired, ...targets);
  const found = targets.flatMap((target, index) => (texts[index] == null ? [] : [[target, texts[index]] as const]));
  return { ...parseRecords(Object.fromEntries(found)), revision, isWhole: false };
}

function parseRecords(hash: Record<string, string>): DesiredState {
  const state: DesiredState = { records: new Map(), broken: [] };
  for (const [target, text] of Object.entries(hash)) parseRecord(target, text, state);
  return state;
}

function parseRecord(target: string, text: string, { records, broken }: DesiredState, isKnown?: IsKnown): void {
  if (isKnown?.(target, text)) return;
  const parsed = parseDesired(target, text);
  if (!('broken' in parsed)) records.set(target, parsed.record);
  else broken.push({ target, why: parsed.broken });
}

/** The record of a target as it stands in Redis, or why it cannot be read. Never throws. */
export function parseDesired(target: string, text: string): { record: DesiredRecord } | { broken: string } {
  try {
    const { order, raw } = takeOrderText(text, `desired ${target}`);
    if (order.target !== target)
      throw new HobblerError('invalid-input', 'record under another target', {
        where: `desired ${target}`,
        got: order.target,
      });
    return { record: { text, raw, order } };
  } catch (error) {
    return { broken: messageOf(error) };
  }
}

/** Removes records whose end has passed, unless they changed meanwhile. Returns how many went. */
export async function forgetEnded(redis: Redis, host: string, state: DesiredState, nowMs: number): Promise<number> {
  const ended = [...state.records.values()].filter(({ order }) => recordEndsAtMs(order) < nowMs);
  const keys = host === FLEET ? [fleetKeys.desired, fleetKeys.revisions] : [hostKeys.desired(host)];
  let removed = 0;
  for (let start = 0; start < ended.length; start += FORGET_AT_ONCE) {
    const args = ended.slice(start, start + FORGET_AT_ONCE).flatMap(({ order, text }) => [order.target, text]);
    removed += (await runScript(redis, forgetOrders, keys, args)) as number;
  }
  return removed;
}

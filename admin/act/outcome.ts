/**
 * What came of what was ordered, host by host: done only when the host says so, never because the order was sent. Pure:
 * entries of the audit and what hosts report and answered in, outcomes out. Against a stopped worker everything is
 * pending, because its reports stand as they were.
 */
import { FLEET, type Order } from '../../shared/order.ts';
import type { Liveness, Report } from '../../shared/report.ts';
import { type AuditEntry, answerKey, type HostAnswer } from '../audit.ts';
import type { Fleet, HostRow, TargetRow } from '../fleet/model.ts';

/** `overtaken`: a newer order stands. `over`: its time has passed. `lost`: the host must come back before it can be said. */
export type OutcomeState = 'done' | 'pending' | 'lost' | 'failed' | 'overtaken' | 'over';

export interface Outcome {
  host: string;
  /** A target, or the account of a pin; null: it is about the host. */
  target: string | null;
  state: OutcomeState;
  words: string;
  /** The order behind it, for the link to its job. */
  version: number | null;
}

/** What is known when outcomes are told. */
export interface Known {
  fleet: Fleet;
  /** Its targets by name, then by host: an order for the fleet is told of a thousand hosts at a time. */
  rows: ReadonlyMap<string, ReadonlyMap<string, TargetRow>>;
  /** What hosts answered, by `answerKey`. */
  answers: ReadonlyMap<string, HostAnswer>;
  /** The order or tombstone of targets that no host reports, by `standingKey`. */
  standing: ReadonlyMap<string, Order>;
}

export function rowsByTarget(targets: readonly TargetRow[]): Map<string, Map<string, TargetRow>> {
  const rows = new Map<string, Map<string, TargetRow>>();
  for (const row of targets) {
    const ofTarget = rows.get(row.target);
    if (ofTarget) ofTarget.set(row.host, row);
    else rows.set(row.target, new Map([[row.host, row]]));
  }
  return rows;
}

export function standingKey(host: string, target: string): string {
  return JSON.stringify([host, target]);
}

/** What came of one entry of the fleet's audit, an outcome for each host it is for. Empty for entries that are not about hosts. */
export function outcomesOf(entry: AuditEntry, known: Known): Outcome[] {
  const { action, host = FLEET, target } = entry.fields;
  switch (action) {
    case 'untarpit':
    case 'tarpit':
      return target === undefined || entry.fields.version === undefined ? [] : ofOrder(entry, host, target, known);
    case 'hold':
    case 'unhold':
      return hostsOf(known.fleet, host).map((row) => ofHold(entry, action, row, known.fleet));
    case 'remove-host':
      return [ofRemoval(host, known.fleet)];
    case 'failed':
      return [
        { host, target: target ?? null, state: 'failed', words: entry.fields.reason ?? 'not given', version: null },
      ];
    case 'pin':
      return [{ host, target: target ?? null, state: 'done', words: 'pinned', version: null }];
    default:
      return [];
  }
}

function hostsOf({ hosts }: Fleet, host: string): HostRow[] {
  return host === FLEET ? hosts : hosts.filter((row) => row.host === host);
}

function ofOrder(entry: AuditEntry, host: string, target: string, known: Known): Outcome[] {
  const { fleet } = known;
  const version = Number(entry.fields.version);
  const isTarpit = entry.fields.action === 'tarpit';
  const seenOn = known.rows.get(target);
  const told = (row: Pick<HostRow, 'host' | 'liveness'>): Outcome => {
    const seen = seenOn?.get(row.host) ?? null;
    const part = { host: row.host, liveness: row.liveness, target, version, isTarpit, seen };
    return { host: row.host, target, version, ...(isTarpit ? ofTarpit(part, known) : ofUntarpit(part, known)) };
  };
  const rows = hostsOf(fleet, host);
  if (rows.length > 0) return rows.map(told);
  const words = host === FLEET ? 'no host has ever reported' : 'no worker has ever reported under that name';
  return [
    { host, target, version, state: 'lost', words: `${words}; the order stands until it comes or the order ends` },
  ];
}

interface Part {
  host: string;
  liveness: Liveness;
  target: string;
  version: number;
  seen: TargetRow | null;
}

type Told = Pick<Outcome, 'state' | 'words'>;

function ofUntarpit(part: Part, known: Known): Told {
  const { seen, version } = part;
  const report = seen?.report ?? null;
  if (report !== null && report.version > version) return overtaken(report.by);
  const answer = answerOf(part, known);
  if (report === null) {
    const newer = newerOrder(part, known);
    if (newer?.action === 'tarpit') return overtaken(newer.by);
    return { state: 'done', words: answer === null ? 'nothing of it is slowed' : letGoWords(answer.result) };
  }
  if (answer !== null && answer.result.status !== 'applied')
    return { state: 'failed', words: resultWords(answer.result) };
  return waiting(part.liveness, 'its worker has not said yet that it runs');
}

function ofTarpit(part: Part, known: Known): Told {
  const { seen, version } = part;
  const report = seen?.report ?? null;
  const newer = newerOrder(part, known);
  if (newer !== null)
    return overtaken(newer.by, newer.action === 'untarpit' ? 'released since' : 'a newer order stands');
  if (report !== null && report.version >= version) return ofReport(report);
  const answer = answerOf(part, known);
  if (answer !== null && answer.result.status !== 'applied')
    return { state: 'failed', words: resultWords(answer.result) };
  if (answer !== null) return { state: 'over', words: 'it was slowed, and is so no more' };
  const order = seen?.order ?? standingOf(part.host, part.target, known.standing);
  if (order === null) return { state: 'over', words: 'its time is over' };
  if (order.action === 'tarpit' && order.expiresAt <= known.fleet.nowMs)
    return { state: 'over', words: 'its time is over' };
  return waiting(part.liveness, 'its worker has not said anything of it yet');
}

function ofReport({ state, why, processes, mechanism }: Report): Told {
  const count = `${processes} ${processes === 1 ? 'process' : 'processes'}`;
  switch (state) {
    case 'hobbling':
      return { state: 'done', words: `hobbling ${count}${mechanism === null ? '' : ` by ${mechanism}`}` };
    case 'spared':
      return { state: 'done', words: `spared: ${count} that use less than their share` };
    case 'armed':
      return { state: 'done', words: 'armed: no process of it now' };
    case 'held':
      return { state: 'done', words: `taken up, and let go by a hold${why === null ? '' : `: ${why}`}` };
    case 'gone':
      return { state: 'over', words: why ?? 'gone' };
    case 'denied':
    case 'unsupported':
    case 'refused':
      return { state: 'failed', words: `${state}: ${why ?? 'the host does not say why'}` };
  }
}

function ofHold(entry: AuditEntry, action: 'hold' | 'unhold', row: HostRow, fleet: Fleet): Outcome {
  const { host, status, liveness } = row;
  const outcome = (state: OutcomeState, words: string): Outcome => ({
    host,
    target: null,
    version: null,
    state,
    words,
  });
  const isAsked = row.hold !== null || fleet.hold !== null;
  if (action === 'hold' && !isAsked) return outcome('overtaken', 'the hold has been lifted since');
  if (liveness === 'lost' && action === 'hold') {
    return outcome('lost', 'lost: its guard lets everything go when its worker dies; it holds when it is back');
  }
  if (liveness === 'lost') return outcome('lost', 'lost: it takes its orders up when it is back');
  const hasBeaten = status !== null && status.beatAtMs >= entry.atMs;
  if (!hasBeaten) return outcome('pending', `${liveness === 'late' ? 'late' : 'alive'}, and has not said yet`);
  if (action === 'hold') {
    return status.hold === null
      ? outcome('pending', 'has not said yet that it holds')
      : outcome('done', 'holds: everything runs');
  }
  if (status.hold === null) return outcome('done', 'carries out its orders');
  if (isAsked || status.hold.scope === 'local') {
    return outcome('overtaken', `still held (${status.hold.scope}): ${status.hold.reason}`);
  }
  return outcome('pending', 'has not said yet that it goes on');
}

function ofRemoval(host: string, fleet: Fleet): Outcome {
  const isBack = fleet.hosts.some((row) => row.host === host);
  const words = isBack ? 'it has come back: a worker beats under that name' : 'it is gone from the list';
  return { host, target: null, version: null, state: isBack ? 'overtaken' : 'done', words };
}

/** An order that overtook this one: the one in force, or what stands where nothing is reported. */
function newerOrder({ host, target, version, seen }: Part, { standing }: Known): Order | null {
  const order = seen?.order ?? standingOf(host, target, standing);
  return order !== null && order.version > version ? order : null;
}

function standingOf(host: string, target: string, standing: Known['standing']): Order | null {
  return standing.size === 0 ? null : (standing.get(standingKey(host, target)) ?? null);
}

function answerOf({ host, target, version }: Part, { answers }: Known): HostAnswer | null {
  if (answers.size === 0) return null;
  return answers.get(answerKey(host, target, version)) ?? null;
}

function overtaken(by: string, what = 'put in again'): Told {
  return { state: 'overtaken', words: `${what}, by ${by}` };
}

function waiting(liveness: Liveness, words: string): Told {
  if (liveness === 'lost') {
    return { state: 'lost', words: 'the host is lost: it does so when it is back, or the order ends there by itself' };
  }
  const late = 'the worker is late; where it hangs, its guard lets everything go within 3 s';
  return { state: 'pending', words: liveness === 'late' ? late : words };
}

function letGoWords(result: Record<string, unknown>): string {
  const count = typeof result.processes === 'number' ? result.processes : null;
  const released = count === null ? 'let go' : `let go, ${count} ${count === 1 ? 'process' : 'processes'}`;
  return result.heldBy === undefined
    ? released
    : `${released}; some still held by ${String(result.heldBy).slice(0, 200)}`;
}

/** A host's answer that is not `applied`, in words. */
export function resultWords({ status, ...details }: Record<string, unknown>): string {
  const rest =
    typeof details.why === 'string'
      ? details.why
      : Object.entries(details)
          .map(([name, value]) => `${name} ${String(value)}`)
          .join(', ');
  return `${String(status)}${rest === '' ? '' : `: ${rest}`}`.slice(0, 500);
}

/** How many of each state, in the order in which they matter. */
export function tally(outcomes: readonly Outcome[]): { state: OutcomeState; count: number }[] {
  const order: OutcomeState[] = ['failed', 'pending', 'lost', 'overtaken', 'over', 'done'];
  return order
    .map((state) => ({ state, count: outcomes.filter((one) => one.state === state).length }))
    .filter(({ count }) => count > 0);
}

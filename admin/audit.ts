/**
 * Reads the audit streams: the fleet's (who ordered what, why) and a host's (what came of it). Read only, and tolerant:
 * an entry with fields unknown to this version is shown with them, not dropped. Searching reads a stream from its newest
 * end, in bounded steps; streams are capped, so that there is an end.
 */
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import { FLEET } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';

export interface AuditEntry {
  /** The stream's id: milliseconds of Redis's clock, then a counter. */
  id: string;
  atMs: number;
  fields: Record<string, string>;
}

/** What of an audit is asked for; an empty text asks for all. */
export interface AuditFilter {
  /** Exactly this action. */
  action: string;
  /** In who gave it. */
  by: string;
  /** In any field. */
  text: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  /** Where the next older page begins; null at the end. */
  olderThan: string | null;
}

export const ENTRIES_PER_PAGE = 100;
/** A stream id as a link may carry it. */
export const STREAM_ID = /^\d{1,16}-\d{1,16}$/;
/** Entries that one look reads, about 200 KB. */
const ENTRIES_PER_READ = 1_000;
/** Answers of one host that one look reads. */
const ANSWERS_PER_HOST = 1_000;
/** A host may answer before the order that woke it is written down. */
const ANSWERED_BEFORE_MS = 5_000;

/** The newest few entries of a host's stream. */
export async function readNewest(redis: Redis, host: string, count: number): Promise<AuditEntry[]> {
  const found = await redis.xrevrange(hostKeys.audit(host), '+', '-', 'COUNT', count);
  return found.map(([id, flat]) => entryOf(id, flat));
}

/** The newest entries that pass, or those older than an id. `host` `*` means the fleet's stream. */
export async function readAudit(
  redis: Redis,
  host: string,
  filter: AuditFilter,
  olderThan?: string,
): Promise<AuditPage> {
  const key = host === FLEET ? fleetKeys.audit : hostKeys.audit(host);
  const passes = filterOf(filter);
  const entries: AuditEntry[] = [];
  let from = olderThan;
  for (;;) {
    const found = await redis.xrevrange(key, from === undefined ? '+' : `(${from}`, '-', 'COUNT', ENTRIES_PER_READ);
    for (const [id, flat] of found) {
      const entry = entryOf(id, flat);
      if (!passes(entry)) continue;
      if (entries.length === ENTRIES_PER_PAGE) return { entries, olderThan: entries.at(-1)!.id };
      entries.push(entry);
    }
    if (found.length < ENTRIES_PER_READ) return { entries, olderThan: null };
    from = found.at(-1)![0];
  }
}

function filterOf({ action, by, text }: AuditFilter): (entry: AuditEntry) => boolean {
  const [who, wanted] = [by.toLowerCase(), text.toLowerCase()];
  return ({ fields }) =>
    (action === '' || fields.action === action) &&
    (who === '' || (fields.by ?? '').toLowerCase().includes(who)) &&
    (wanted === '' || Object.values(fields).some((value) => value.toLowerCase().includes(wanted)));
}

/** One entry of the fleet's audit; null when it is kept no more, or never was. */
export async function readEntry(redis: Redis, id: string): Promise<AuditEntry | null> {
  const [found] = await redis.xrange(fleetKeys.audit, id, id);
  return found ? entryOf(...found) : null;
}

/** The parts of an act, as far as they are written down, and where to go on reading. */
export interface ActParts {
  parts: AuditEntry[];
  readTo: string;
}

/** Reads on for the parts of the act whose entry is `act`, from where the last reading ended. */
export async function readParts(redis: Redis, act: string, soFar?: ActParts): Promise<ActParts> {
  const parts = [...(soFar?.parts ?? [])];
  let readTo = soFar?.readTo ?? act;
  for (;;) {
    const found = await redis.xrange(fleetKeys.audit, `(${readTo}`, '+', 'COUNT', ENTRIES_PER_READ);
    for (const [id, flat] of found) {
      const entry = entryOf(id, flat);
      if (entry.fields.act === act) parts.push(entry);
      readTo = id;
    }
    if (found.length < ENTRIES_PER_READ) return { parts, readTo };
  }
}

/** What a host said of an order, and when. */
export interface HostAnswer {
  result: Record<string, unknown>;
  atMs: number;
}

/** An order as its host's audit knows it. */
export function answerKey(host: string, target: string, version: string | number): string {
  return JSON.stringify([host, target, String(version)]);
}

/** What hosts answered to these orders, by `answerKey`, as far as their audits tell. Orders for the fleet have no one answer. */
export async function readAnswers(redis: Redis, orders: readonly AuditEntry[]): Promise<Map<string, HostAnswer>> {
  const sinceByHost = new Map<string, number>();
  for (const { atMs, fields } of orders) {
    const { host = FLEET, version } = fields;
    if (host === FLEET || version === undefined) continue;
    sinceByHost.set(host, Math.min(sinceByHost.get(host) ?? Number.POSITIVE_INFINITY, atMs));
  }
  const answers = new Map<string, HostAnswer>();
  const readHost = async ([host, sinceMs]: [string, number]) => {
    const from = String(Math.max(0, sinceMs - ANSWERED_BEFORE_MS));
    const found = await redis.xrange(hostKeys.audit(host), from, '+', 'COUNT', ANSWERS_PER_HOST);
    for (const [id, flat] of found) {
      const { atMs, fields } = entryOf(id, flat);
      const result = parseResult(fields.result);
      if (result !== null) answers.set(answerKey(host, fields.target ?? '', fields.version ?? ''), { result, atMs });
    }
  };
  await Promise.all([...sinceByHost].map(readHost));
  return answers;
}

/** A worker writes its result as JSON; null for whatever else stands there. */
export function parseResult(text: string | undefined): Record<string, unknown> | null {
  if (text === undefined) return null;
  try {
    const result: unknown = JSON.parse(text);
    return typeof result === 'object' && result !== null ? (result as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function entryOf(id: string, flat: readonly string[]): AuditEntry {
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!;
  return { id, atMs: Number(id.split('-')[0]), fields };
}

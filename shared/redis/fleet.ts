/** What the fleet looks like: hosts, their status, their targets' reports, holds. Read-only but for holds. */
import type { z } from 'zod';
import { messageOf } from '../errors.ts';
import { fleetKeys, hostKeys } from '../keys.ts';
import { invalid } from '../order.ts';
import { type Liveness, liveness, type Report, reportSchema, type Status, statusSchema } from '../report.ts';
import { appendAudit } from './audit.ts';
import { type Redis, redisNowMs } from './connection.ts';

export interface HostView {
  host: string;
  liveness: Liveness;
  /** Null: never beat, or its record cannot be read (then `broken` says why). */
  status: Status | null;
  broken: string | null;
  hold: Hold | null;
  reports: Report[];
  brokenReports: { target: string; why: string }[];
}

export interface Hold {
  reason: string;
  by: string;
  sinceMs: number;
}

export interface FleetView {
  /** Redis's clock when it was read, milliseconds. */
  nowMs: number;
  hold: Hold | null;
  hosts: HostView[];
}

/** Reads every host's status and reports in two pipelines. */
export async function readFleet(redis: Redis): Promise<FleetView> {
  const [nowMs, names, holdText] = await Promise.all([
    redisNowMs(redis),
    redis.smembers(fleetKeys.hosts),
    redis.get(fleetKeys.hold),
  ]);
  const hosts = await Promise.all(names.sort().map((host) => readHost(redis, host, nowMs)));
  return { nowMs, hold: parseHold(holdText), hosts };
}

/** Reads one host; a record that cannot be read is said so and hides nothing else. */
export async function readHost(redis: Redis, host: string, nowMs: number): Promise<HostView> {
  const [statusText, observed, holdText] = await Promise.all([
    redis.get(hostKeys.status(host)),
    redis.hgetall(hostKeys.observed(host)),
    redis.get(hostKeys.hold(host)),
  ]);
  const { status, broken } = parseStatus(statusText);
  const reports: Report[] = [];
  const brokenReports: HostView['brokenReports'] = [];
  for (const [target, text] of Object.entries(observed)) {
    const report = parseReport(text);
    if ('broken' in report) brokenReports.push({ target, why: report.broken });
    else reports.push(report.report);
  }
  return {
    host,
    liveness: liveness(status?.beatAtMs ?? null, nowMs),
    status,
    broken,
    hold: parseHold(holdText),
    reports,
    brokenReports,
  };
}

/** A status as it stands in Redis. Never throws: `broken` says why it cannot be read. */
export function parseStatus(text: string | null): Pick<HostView, 'status' | 'broken'> {
  if (text === null) return { status: null, broken: null };
  try {
    return { status: parseRecord(statusSchema, text, 'status'), broken: null };
  } catch (error) {
    return { status: null, broken: messageOf(error) };
  }
}

/** A report as it stands in Redis, or why it cannot be read. Never throws. */
export function parseReport(text: string): { report: Report } | { broken: string } {
  try {
    return { report: parseRecord(reportSchema, text, 'report') };
  } catch (error) {
    return { broken: messageOf(error) };
  }
}

/** Throws an error that names each path with what was expected and got: people read it in `broken`. */
function parseRecord<Schema extends z.ZodType>(schema: Schema, text: string, where: string): z.output<Schema> {
  const raw: unknown = JSON.parse(text);
  const parsed = schema.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error, raw, where);
  return parsed.data;
}

/** A hold counts even when its record cannot be read: doubt means release (invariant 1). */
export function parseHold(text: string | null): Hold | null {
  if (text === null) return null;
  try {
    const raw = JSON.parse(text) as Partial<Hold>;
    const { reason = '', by = 'unknown', sinceMs = 0 } = raw;
    return { reason: String(reason).slice(0, 500), by: String(by).slice(0, 200), sinceMs: Number(sinceMs) || 0 };
  } catch {
    return { reason: text.slice(0, 200), by: 'unknown', sinceMs: 0 };
  }
}

function holdKey(host: string | undefined): string {
  return host === undefined ? fleetKeys.hold : hostKeys.hold(host);
}

/** Stops all hobbling on `host`, or on the fleet when undefined, until `unhold`. Survives restarts. Returns its entry in the audit. */
export async function hold(redis: Redis, host: string | undefined, reason: string, by: string): Promise<string> {
  const record: Hold = { reason, by, sinceMs: await redisNowMs(redis) };
  await redis.set(holdKey(host), JSON.stringify(record));
  return auditHold(redis, 'hold', host, reason, by);
}

/** Lifts a hold. Returns whether there was one, and its entry in the audit. */
export async function unhold(
  redis: Redis,
  host: string | undefined,
  reason: string,
  by: string,
): Promise<{ wasHeld: boolean; entry: string }> {
  const removed = await redis.del(holdKey(host));
  return { wasHeld: removed === 1, entry: await auditHold(redis, 'unhold', host, reason, by) };
}

async function auditHold(
  redis: Redis,
  action: string,
  host: string | undefined,
  reason: string,
  by: string,
): Promise<string> {
  return appendAudit(redis, fleetKeys.audit, { action, host: host ?? '*', reason, by });
}

/** What comes in from browsers, parsed at the door: unknown in, a checked value or a clear refusal out. */
import { z } from 'zod';
import { FLEET, hostName, invalid } from '../../shared/order.ts';
import { parseTarget } from '../../shared/target.ts';
import { STREAM_ID } from '../audit.ts';
import { MAX_REASON_CHARS } from '../views/act-page.ts';

const hostOrFleet = z
  .string('expected a host name, or * for the fleet')
  .refine(
    (text) => text === FLEET || hostName.safeParse(text).success,
    'expected a host name of [a-z0-9.-], or * for the fleet',
  );
const target = z
  .string('expected a target')
  .refine(isTarget, 'expected user:NAME, uid:NUMBER, pid:PID@START or cgroup:/PATH');
const reason = z
  .string('expected a reason; it stands in the audit')
  .trim()
  .min(1, 'expected a reason; it stands in the audit')
  .max(MAX_REASON_CHARS)
  .regex(/^\P{Cc}*$/u, 'expected one line without control characters');

const pageNumber = z.coerce.number().int().min(1).max(1_000_000).default(1);

export const fleetQuery = z.object({ q: z.string().max(200).default(''), page: pageNumber, hosts: pageNumber });
export const auditQuery = z.object({
  host: hostOrFleet.default(FLEET),
  before: z.string().regex(STREAM_ID, 'expected the id of an entry').optional(),
});

export const targetQuery = z.object({ host: hostOrFleet, target });
export const hostQuery = z.object({ host: hostName });
export const holdQuery = z.object({ host: hostOrFleet.default(FLEET) });

export const releaseForm = targetQuery.extend({ reason });
export const releaseHostForm = hostQuery.extend({ reason });
export const holdForm = z.object({ host: hostOrFleet, reason });

/** Throws invalid-input naming each field with what was expected and what came. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, raw: unknown): z.output<Schema> {
  const parsed = schema.safeParse(raw ?? {});
  if (!parsed.success) throw invalid(parsed.error, raw, 'request');
  return parsed.data;
}

function isTarget(text: string): boolean {
  try {
    parseTarget(text);
    return true;
  } catch {
    return false;
  }
}

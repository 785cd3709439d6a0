/**
 * Orders of accounting systems that decide by themselves (POST /v1/orders). Owns what such a request may say: it can
 * speak neither as the policy nor as an operator. The order itself is completed, checked and signed by the issuer.
 */
import { z } from 'zod';
import { durationMs } from '../shared/duration.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { FLEET, hobbleSchema, hostName, invalid, MAX_LEASE_MS } from '../shared/order.ts';
import type { OrderRequest } from '../shared/redis/issuer.ts';
import { parseTarget } from '../shared/target.ts';
import { accountName } from './labels.ts';

const line = (maxChars: number) =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^\P{Cc}*$/u, 'expected no control characters');

export const directOrderSchema = z
  .strictObject({
    action: z.enum(['tarpit', 'untarpit']),
    host: z.union([hostName, z.literal(FLEET)], { error: 'expected a host name of [a-z0-9.-], or * for the fleet' }),
    target: line(1_024),
    account: accountName.optional(),
    hobble: hobbleSchema.partial().strict().optional(),
    for: durationMs.refine((ms) => ms >= 1_000 && ms <= MAX_LEASE_MS, 'expected 1s to 24h').optional(),
    reason: line(500),
    // A name that looks like the policy's or an operator's would deceive whoever reads the audit.
    by: line(128).refine((by) => !/^\s*(?:policy\s*$|operator\s*:)/i.test(by), "expected the sender's own name"),
  })
  .superRefine(({ action, hobble, for: forMs }, context) => {
    if (action === 'tarpit') return;
    const extra = hobble !== undefined ? 'hobble' : forMs !== undefined ? 'for' : undefined;
    if (extra) context.addIssue({ code: 'custom', path: [extra], message: 'expected only with action tarpit' });
  });

/** How long a tarpit without `for` lives: as long as the policy's own would without renewal. */
const DEFAULT_FOR_MS = 15 * 60_000;

/** Parses the body of a request. Throws invalid-input naming path, expected and got. */
export function parseDirectOrder(raw: unknown): OrderRequest {
  const parsed = directOrderSchema.safeParse(raw);
  if (!parsed.success) throw refusal(parsed.error, raw);
  const { action, host, target, account, hobble, reason, by, for: forMs } = parsed.data;
  if (parseTarget(target, 'order.target').kind === 'pid' && host === FLEET) {
    throw new HobblerError('invalid-input', 'a pid target needs the host it is on', { where: 'order.host', got: host });
  }
  return {
    action,
    host,
    target,
    ...(account === undefined ? {} : { account }),
    ...(action === 'tarpit' ? { forMs: forMs ?? DEFAULT_FOR_MS, hobble: defined(hobble ?? {}) } : {}),
    reason,
    by,
  };
}

function refusal(error: z.ZodError, raw: unknown): HobblerError {
  try {
    return invalid(error, raw, 'order');
  } catch (fault) {
    return new HobblerError('invalid-input', `order: nested too deep (${messageOf(fault)})`);
  }
}

function defined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

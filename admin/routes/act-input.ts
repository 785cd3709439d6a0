/** What operators send, parsed at the door: which target, for how long, how slow, and why. */
import { z } from 'zod';
import { parseDurationMs } from '../../shared/duration.ts';
import { FLEET, type Hobble, hobbleSchema, hostName, MAX_LEASE_MS, MECHANISMS } from '../../shared/order.ts';
import { parseTarget } from '../../shared/target.ts';
import type { KeepOut } from '../act/actions.ts';
import { KEEP_OUT, LEVELS, MAX_REASON_CHARS } from '../act/choices.ts';

export const hostOrFleet = z
  .string('expected a host name, or * for the fleet')
  .refine(
    (text) => text === FLEET || hostName.safeParse(text).success,
    'expected a host name of [a-z0-9.-], or * for the fleet',
  );
export const target = z
  .string('expected a target')
  .refine(isTarget, 'expected user:NAME, uid:NUMBER, pid:PID@START or cgroup:/PATH');
const account = z
  .string('expected an account')
  .trim()
  .min(1, 'expected an account')
  .max(256)
  .regex(/^\P{Cc}*$/u, 'expected no control characters');
const reason = z
  .string('expected a reason; it stands in the audit')
  .trim()
  .min(1, 'expected a reason; it stands in the audit')
  .max(MAX_REASON_CHARS)
  .regex(/^\P{Cc}*$/u, 'expected one line without control characters');

const keepOut = z
  .string()
  .default('no')
  .transform((text, context): KeepOut => {
    const choice = KEEP_OUT.find(({ value }) => value === text);
    if (choice !== undefined) return choice.keepOut;
    context.addIssue({ code: 'custom', message: `expected ${KEEP_OUT.map(({ value }) => value).join(', ')}` });
    return z.NEVER;
  });

/** How long an order by hand lives, milliseconds (invariant 2). */
const lease = z.string('expected a time such as 30m').transform((text, context) => {
  try {
    const forMs = parseDurationMs(text.trim());
    if (forMs > 0 && forMs <= MAX_LEASE_MS) return forMs;
  } catch {
    // Said below, with what is expected.
  }
  context.addIssue({ code: 'custom', message: 'expected a time such as 45m or 2h, at most 24h' });
  return z.NEVER;
});

const wholeMs = z.coerce.number('expected a whole number of milliseconds');

/** `level` names a duty cycle of the list, or `own`: then `runMs` and `stopMs` say it. */
const hobble = {
  level: z.enum([...LEVELS.map(({ name }) => name), 'own'], 'expected a level of the list, or own'),
  runMs: wholeMs.optional(),
  stopMs: wholeMs.optional(),
  mechanism: z.enum(['auto', ...MECHANISMS]).default('auto'),
};

const place = { host: hostOrFleet, target };
export const targetQuery = z.object(place);
export const hostQuery = z.object({ host: hostName });
export const holdQuery = z.object({ host: hostOrFleet.default(FLEET) });
export const accountQuery = z.object({ account });
/** The form for a tarpit by hand may be opened with nothing known yet. */
export const tarpitQuery = z.object({
  host: z.string().max(253).default(''),
  target: z.string().max(1_000).default(''),
  account: z.string().max(256).default(''),
});

export const releaseForm = z.object({ ...place, reason, keep: keepOut });
export const releaseHostForm = z.object({ host: hostName, reason, keep: keepOut });
export const releaseFleetForm = z.object({ reason, keep: keepOut });
export const exemptForm = z.object({ account, reason, keep: keepOut });
export const reasonForm = { host: z.object({ host: hostName, reason }), account: z.object({ account, reason }) };
export const holdForm = z.object({ host: hostOrFleet, reason });
export const extendForm = z.object({ ...place, reason, for: lease });

const wish = z.object({ ...place, account: account.optional().or(z.literal('')), for: lease, ...hobble });
/** What the tarpit's form asks for, before the reason is asked. */
export const tarpitWish = wish.transform(toWish);
export const tarpitForm = wish.extend({ reason }).transform((form, context) => {
  const wished = toWish(form, context);
  return { ...wished, reason: form.reason };
});

function toWish(
  { level, runMs, stopMs, mechanism, account, for: forMs, ...rest }: z.output<typeof wish>,
  context: z.RefinementCtx,
) {
  const cycle = level === 'own' ? { runMs, stopMs } : LEVELS.find(({ name }) => name === level)!.cycle;
  const parsed = hobbleSchema.safeParse({ ...cycle, mechanism });
  for (const { path, message } of parsed.error?.issues ?? [])
    context.addIssue({ code: 'custom', path: [...path], message });
  const hobbleOf: Hobble = parsed.success ? parsed.data : { ...LEVELS[0]!.cycle, mechanism: 'auto' };
  const { host, target: text } = rest;
  if (host === FLEET && text.startsWith('pid:'))
    context.addIssue({ code: 'custom', path: ['host'], message: 'expected one host: a pid is of one host' });
  return { host, target: text, account: account || null, forMs, level, hobble: hobbleOf };
}

function isTarget(text: string): boolean {
  try {
    parseTarget(text);
    return true;
  } catch {
    return false;
  }
}

/** Where an account is slowed: a target on one host or on all. Owns how that is written in the config. */
import { z } from 'zod';
import { FLEET, hostName } from '../shared/order.ts';
import { parseTarget } from '../shared/target.ts';

const targetText = z.string().transform((text, context) => {
  try {
    parseTarget(text);
    return text;
  } catch {
    context.addIssue({ code: 'custom', message: 'expected user:NAME, uid:NUMBER, pid:PID@START or cgroup:/PATH' });
    return z.NEVER;
  }
});

export const place = z
  .strictObject({ host: z.union([hostName, z.literal(FLEET)]).default(FLEET), target: targetText })
  .refine(({ host, target }) => host !== FLEET || !target.startsWith('pid:'), 'a pid target needs the host it is on');
/** Where an account is slowed: a target on one host, or on every host for `*`. */
export type Place = z.output<typeof place>;

/** The same as the ledger keeps them. */
export const placesSchema = z
  .array(z.object({ host: z.string().min(1).max(253), target: z.string().min(1).max(1024) }))
  .max(128);

/**
 * The policy's part of the `producer` section: limits, ladders, groups, accounts, exemptions, brake. Owns what may be
 * set, the defaults, and that the whole is checked at once: what one setting says of another is checked even where a
 * third is at fault. What an account ends up with is put together in rules.ts.
 */
import { z } from 'zod';
import { durationMs } from '../../shared/duration.ts';
import { DEFAULT_RUN_MS, DEFAULT_STOP_MS, hobbleSchema } from '../../shared/order.ts';
import { accountName, resourceLabel, unitLabel } from '../labels.ts';
import { place } from '../place.ts';
import { checkReferences, NAME, NAME_FORM, NO_LIMIT } from './config-check.ts';
import { isMapping, pickSchema } from './pick-schema.ts';
import { resetTime, windowSchema, zoneName } from './windows.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

const bounded = (minMs: number, maxMs: number, expected: string) =>
  durationMs.refine((ms) => ms >= minMs && ms <= maxMs, `expected ${expected}`);

const name = z.string().regex(NAME, NAME_FORM);
/** Checked by config-check.ts, which says what was expected; a record's own key schema would say `Invalid key`. */
const byName = <Schema extends z.ZodType>(schema: Schema) => z.record(z.string(), schema);

const level = hobbleSchema.strict().extend({
  /** How long it lasts, whatever is used meanwhile. Left out: until use is below the leave ratio, or the window resets. */
  for: bounded(SECOND_MS, 31 * DAY_MS, '1s to 31d').optional(),
});

const ladder = z.strictObject({
  /** From the first offence on; the last one stands for all later ones. */
  levels: z.array(level).min(1).max(16),
  /** For how long a penalty that has ended makes the next one harsher. */
  lookback: bounded(0, 90 * DAY_MS, '0s to 90d').prefault('7d'),
  /** So much time without a penalty brings the next one down by one level. */
  forgive: bounded(SECOND_MS, 90 * DAY_MS, '1s to 90d').prefault('1d'),
  /** For how long after a release the same limit does not put the account in again. */
  grace: bounded(0, DAY_MS, '0s to 1d').prefault('5m'),
});
export type LadderSettings = z.output<typeof ladder>;

/** The ladder named STANDARD_LADDER unless the config has one: a single level, until the limit is kept or starts anew. */
export const standardLadder: LadderSettings = ladder.parse({
  levels: [{ runMs: DEFAULT_RUN_MS, stopMs: DEFAULT_STOP_MS }],
  grace: '0s',
});

const ratio = z.number().min(0).max(10);
const limitSettings = z.strictObject({
  /** How much may be used in one window, in `unit`. */
  used: z.number().positive('expected more than 0').optional(),
  unit: unitLabel.optional(),
  resource: resourceLabel.optional(),
  window: windowSchema.optional(),
  /** Put in at this share of `used` and above. */
  enterRatio: ratio.optional(),
  /** Let go below this share, where the level has no length. */
  leaveRatio: ratio.optional(),
  ladder: name.optional(),
});
export type LimitSettings = z.output<typeof limitSettings>;
const limitForAll = limitSettings.extend({
  used: z.number('expected how much may be used').positive('expected more than 0'),
});

const limitOverride = pickSchema<LimitSettings | typeof NO_LIMIT>(
  'expected what differs from the limit of that name, or none',
  (raw) => (raw === NO_LIMIT ? z.literal(NO_LIMIT) : isMapping(raw) ? limitSettings : undefined),
);
/** Each costs a look at every reading. */
const MAX_LIMITS = 32;
const limitsByName = <Schema extends z.ZodType>(limit: Schema) =>
  byName(limit)
    .refine((limits) => Object.keys(limits).length <= MAX_LIMITS, `expected at most ${MAX_LIMITS} limits`)
    .default({});
const overrides = {
  zone: zoneName.optional(),
  /** The reset time of every daily window. */
  daily: resetTime.optional(),
  limits: limitsByName(limitOverride),
};
export type Overrides = z.output<z.ZodObject<typeof overrides>>;

const member = accountName.refine(
  (text) => !text.slice(0, -1).includes('*'),
  'expected an account, or the beginning of its name and *',
);

const exemptionEntry = {
  until: z.iso
    .datetime({ offset: true, error: 'expected a time such as 2025-11-24T00:00:00Z' })
    .transform((text) => Date.parse(text))
    .optional(),
  by: z.string().min(1).max(128).default('config'),
  why: z.string().max(300).default(''),
};
const exemption = pickSchema<Exemption>(
  'expected an account, or { account or group, until, by, why }',
  (raw): z.ZodType<Exemption> | undefined => {
    if (typeof raw === 'string')
      return accountName.transform((account) => ({ account, group: null, untilMs: null, by: 'config', why: '' }));
    if (!isMapping(raw)) return undefined;
    return Object.hasOwn(raw, 'group')
      ? z
          .strictObject({ group: name, ...exemptionEntry })
          .transform(({ until, ...rest }) => ({ account: null, ...rest, untilMs: until ?? null }))
      : z
          .strictObject({ account: accountName, ...exemptionEntry })
          .transform(({ until, ...rest }) => ({ group: null, ...rest, untilMs: until ?? null }));
  },
);
/** Who is never put in by the policy: an account or a group, for good or until a time. */
export interface Exemption {
  account: string | null;
  group: string | null;
  /** Null: for good. */
  untilMs: number | null;
  by: string;
  why: string;
}

const brake = z.strictObject({
  /** Of all accounts that are known; more than that entering is taken for a broken accounting run. */
  share: z.number().positive().max(1).default(0.2),
  /** So many may always enter: of three accounts, one is a third. */
  atLeast: z.int().min(1).max(1_000_000).default(10),
  /** Over which time entries are counted together, as a run may come in many parts. */
  within: bounded(SECOND_MS, DAY_MS, '1s to 1d').prefault('10m'),
});
export type BrakeSettings = z.output<typeof brake>;

/** The settings, to stand in the section beside others; `checkPolicy` belongs to them. */
export const policyShape = {
  /** In which time zone days begin, where a limit, a group or an account says nothing else. */
  zone: zoneName.default('UTC'),
  limits: limitsByName(limitForAll),
  ladders: byName(ladder).default({}),
  groups: byName(z.strictObject({ members: z.array(member).max(1_000_000), ...overrides })).default({}),
  accounts: byName(
    z.strictObject({
      ...overrides,
      /** What the account stands for; without it, account NAME is user:NAME on every host. */
      targets: z.array(place).min(1).max(64).optional(),
    }),
  ).default({}),
  exempt: z.array(exemption).max(1_000_000).prefault(['root']),
  /** The shortest time between two changes of an account's state. */
  dwell: bounded(0, HOUR_MS, '0s to 1h').prefault('1m'),
  /** An account of which nothing was heard for so long is let go: its accounting may be dead. */
  forgetAfter: bounded(30 * SECOND_MS, 31 * DAY_MS, '30s to 31d').prefault('24h'),
  brake: pickSchema<BrakeSettings | 'off'>('expected { share, atLeast, within } or off', (raw) =>
    raw === 'off' ? z.literal('off') : isMapping(raw) ? brake : undefined,
  ).prefault({}),
};

/** For superRefine, beside `policyShape`: runs whatever else is wrong. */
export const checkPolicy = [checkReferences, { when: () => true }] as const;

export const policySchema = z.strictObject(policyShape).superRefine(...checkPolicy);
export type PolicyConfig = z.output<typeof policySchema>;

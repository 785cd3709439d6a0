/**
 * What the door answers, as schemas: for the OpenAPI document, and for the tests that hold real answers against them.
 * The types in the code are the code's own; test/unit/producer/openapi.test.ts proves that they are the same.
 */
import { z } from 'zod';
import { hobbleSchema, orderSchema } from '../../shared/order.ts';

const isoTime = z.iso.datetime();

export const readingsAnswerSchema = z.strictObject({
  /** @see IntakeResult */
  accepted: z.int().min(0).describe('Readings that are judged and written down'),
  refused: z
    .array(z.strictObject({ index: z.int().min(0).describe('Position in the batch, from 0'), why: z.string() }))
    .describe('The first 1,000 that were not taken'),
  refusedMore: z.int().min(1).optional().describe('How many more were refused'),
});

export const orderAnswerSchema = z.strictObject({
  order: orderSchema.nullable().describe('As it was signed; null in a dry run'),
  jobs: z.record(z.string(), z.string()).describe('Job ids by host, for the hosts that were woken'),
  dryRun: z.literal(true).optional(),
});

const limitSchema = z.strictObject({
  name: z.string().describe('As the config names it; *RESOURCE for one that readings bring themselves'),
  used: z.number().nullable().describe('Null: nothing was heard yet'),
  limit: z.number(),
  unit: z.string(),
  resource: z.string(),
  resetsAt: isoTime.nullable(),
  readAt: isoTime.nullable(),
  level: z.int().nullable().describe('On its ladder, from 1; null: it keeps nobody in'),
});

const verdictSchema = z.strictObject({
  subject: z.string().describe('`account`, or a host and target that readings named'),
  verdict: z.enum(['leave', 'tarpit']),
  reason: z.string(),
  details: z.array(z.string()),
  since: isoTime.nullable(),
  until: isoTime
    .nullable()
    .describe('When it ends if nothing more is used; null: no end is in sight, or nothing to end'),
  level: hobbleSchema.nullable().describe('The duty cycle; null: not slowed'),
  overruledBy: z.string().nullable(),
  places: z.array(z.strictObject({ host: z.string(), target: z.string() })),
  limits: z.array(limitSchema),
});

export const accountAnswerSchema = z.strictObject({
  account: z.string(),
  isSlowed: z.boolean(),
  summary: z.string().describe('One or two sentences for the owner of the account'),
  verdicts: z.array(verdictSchema),
  unreadable: z.array(z.string()).describe('What is remembered and cannot be read'),
});

export const healthSchema = z.strictObject({ status: z.enum(['ok', 'degraded']), redis: z.string() });

export const errorSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string().describe('What, where, expected, got, what to do') }),
});

/** What comes in from browsers, parsed at the door: unknown in, a checked value or a clear refusal out. */
import { z } from 'zod';
import { invalid } from '../../shared/order.ts';

const pageNumber = z.coerce.number().int().min(1).max(1_000_000).default(1);

export const fleetQuery = z.object({ q: z.string().max(200).default(''), page: pageNumber, hosts: pageNumber });

/** Throws invalid-input naming each field with what was expected and what came. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, raw: unknown): z.output<Schema> {
  const parsed = schema.safeParse(raw ?? {});
  if (!parsed.success) throw invalid(parsed.error, raw, 'request');
  return parsed.data;
}

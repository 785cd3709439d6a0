/** What comes in from browsers, parsed at the door: unknown in, a checked value or a clear refusal out. */
import { z } from 'zod';
import { invalid } from '../../shared/order.ts';
import {
  hostFilters,
  hostSorts,
  type Sorting,
  targetFilters,
  targetSorts,
  WANT_ALL,
  type Wanted,
} from '../fleet/selection.ts';

export const pageNumber = z.coerce.number().int().min(1).max(1_000_000).default(1);

const search = z.string().max(200).default('');
/** A column, with a minus for the other way round. */
const sorting = <Key extends string>(keys: readonly Key[], byDefault: Sorting<Key>) =>
  z
    .string()
    .transform((text) => ({ by: text.replace(/^-/, '') as Key, isReversed: text.startsWith('-') }))
    .refine(({ by }) => keys.includes(by), `expected one of ${keys.join(', ')}, with a minus for the other way round`)
    .default(byDefault);

/** What views/paths.ts writes. */
export const fleetQuery = z
  .object({
    q: search,
    state: z.enum(targetFilters).default(WANT_ALL.filter),
    sort: sorting(targetSorts, WANT_ALL.sort),
    page: pageNumber,
    hq: search,
    hstate: z.enum(hostFilters).default(WANT_ALL.hostFilter),
    hsort: sorting(hostSorts, WANT_ALL.hostSort),
    hosts: pageNumber,
  })
  .transform(
    ({ q, state, sort, page, hq, hstate, hsort, hosts }): Wanted => ({
      ...{ query: q, filter: state, sort, page },
      ...{ hostQuery: hq, hostFilter: hstate, hostSort: hsort, hostsPage: hosts },
    }),
  );
/** What an open page says that it shows. */
export const eventsQuery = z.object({ have: z.string().max(64).optional() });

/** Throws invalid-input naming each field with what was expected and what came. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, raw: unknown): z.output<Schema> {
  const parsed = schema.safeParse(raw ?? {});
  if (!parsed.success) throw invalid(parsed.error, raw, 'request');
  return parsed.data;
}

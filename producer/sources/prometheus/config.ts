/**
 * One Prometheus server of the config, or whatever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics), and what it is
 * asked. Owns what may be set, and how a query with parts becomes several.
 */
import { z } from 'zod';
import { durationMs } from '../../../shared/duration.ts';
import { resourceLabel, unitLabel } from '../../labels.ts';
import { NAME, NAME_FORM } from '../../policy/config-check.ts';

const bounded = (minMs: number, maxMs: number, expected: string) =>
  durationMs.refine((ms) => ms >= minMs && ms <= maxMs, `expected ${expected}`);

/** Where a part goes in a query. */
const PART = '$part';

const query = z
  .strictObject({
    /** PromQL that gives an instant vector, one series for each account. */
    query: z.string().min(1).max(8_192),
    /** The label whose value is the account. */
    account: z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'expected the name of a label'),
    /** What the value is: used in the window so far, or a running total, from which every window is measured. */
    gives: z.enum(['used', 'total']).default('used'),
    /** Which of the config's limits it is about. */
    limitName: z.string().regex(NAME, NAME_FORM).optional(),
    unit: unitLabel.optional(),
    resource: resourceLabel.optional(),
    /** Asked once for each of these in place of $part, such as a pattern of names: Prometheus gives an answer whole or not at all. */
    parts: z.array(z.string().min(1).max(1_024)).min(1).max(256).optional(),
  })
  .refine(({ query: text, parts }) => text.includes(PART) === (parts !== undefined), {
    path: ['parts'],
    error: `expected parts where the query has ${PART}, and only there`,
  });
export type PrometheusQuery = z.output<typeof query>;

export const prometheusSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'expected http://HOST:PORT or https://HOST' }).refine((text) => {
    const { username, password, search, hash } = new URL(text);
    return `${username}${password}${search}${hash}` === '';
  }, 'expected no credential (it goes into tokenFile), query or fragment'),
  /** A file with a bearer token, read at each query, so that it may change. */
  tokenFile: z.string().min(1).optional(),
  every: bounded(1_000, 86_400_000, '1s to 24h').prefault('1m'),
  /** How long one query may take. */
  timeout: bounded(100, 600_000, '100ms to 10m').prefault('10s'),
  /** Queries that this server is asked at a time. */
  concurrency: z.int().min(1).max(100).default(10),
  queries: z.array(query).min(1, 'expected a query').max(1_000),
});
export type PrometheusConfig = z.output<typeof prometheusSchema>;

/** The query as it is asked: itself, or once for each part. */
export function textsOf({ query: text, parts }: PrometheusQuery): string[] {
  return parts === undefined ? [text] : parts.map((part) => text.replaceAll(PART, () => part));
}

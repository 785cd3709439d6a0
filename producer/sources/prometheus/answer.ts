/**
 * What a Prometheus server answers to an instant query, made into readings. Pure; owns the part of its HTTP API that is
 * understood (https://prometheus.io/docs/prometheus/latest/querying/api/). Each series stands for itself: one that says
 * nothing usable is refused with the reason, and the rest goes on.
 */
import { z } from 'zod';
import { HobblerError } from '../../../shared/errors.ts';
import { parseReading, type ReadingInput } from '../../reading.ts';
import type { PrometheusQuery } from './config.ts';

const failureSchema = z.object({
  status: z.literal('error'),
  errorType: z.string().default('error'),
  error: z.string().default(''),
});
const series = z.object({
  metric: z.record(z.string(), z.string()),
  /** Seconds since 1970, and the value as text, so that NaN and infinities have a form. */
  value: z.tuple([z.number(), z.string()]),
});
const successSchema = z.object({
  status: z.literal('success'),
  data: z.object({ resultType: z.string(), result: z.unknown() }),
  warnings: z.array(z.string()).default([]),
});

export interface Answer {
  readings: ReadingInput[];
  /** What the server warns of: such as a store of Thanos that did not answer, so that figures may be too small. */
  warnings: string[];
}

/** Throws invalid-input with what the server says of a query that it could not answer. */
export function parseAnswer(body: unknown, query: PrometheusQuery): Answer {
  const failure = failureSchema.safeParse(body);
  if (failure.success) throw new HobblerError('invalid-input', `${failure.data.errorType}: ${failure.data.error}`);
  const success = successSchema.safeParse(body);
  if (!success.success) throw new HobblerError('invalid-input', "not an answer of Prometheus's HTTP API");
  const { data, warnings } = success.data;
  if (data.resultType !== 'vector') {
    throw new HobblerError('invalid-input', 'the query gives no instant vector', {
      expected: 'vector',
      got: data.resultType,
    });
  }
  const vector = z.array(z.unknown()).safeParse(data.result);
  if (!vector.success) throw new HobblerError('invalid-input', 'a vector that is no array');
  const readings = vector.data.map((one) => toReading(one, query));
  return { readings: refuseDoubles(readings), warnings };
}

function toReading(raw: unknown, { account: label, gives, limitName, unit, resource }: PrometheusQuery): ReadingInput {
  const parsed = series.safeParse(raw);
  if (!parsed.success) return { refused: 'series: expected metric and value' };
  const { metric, value } = parsed.data;
  const account = metric[label];
  if (account === undefined || account === '') return { refused: `series: it has no label ${label}` };
  const amount = Number(value[1]);
  // NaN and infinities are what PromQL says of what it cannot know: unknown is no use, and not all use (invariant 9).
  if (value[1] === '' || !Number.isFinite(amount)) return { refused: `series of ${account}: ${value[1]} is no amount` };
  return parseReading({
    account,
    [gives]: amount,
    at: Math.round(value[0] * 1_000),
    ...(limitName === undefined ? {} : { limitName }),
    ...(unit === undefined ? {} : { unit }),
    ...(resource === undefined ? {} : { resource }),
  });
}

/** Two series of one account: neither is what it used, and their sum may not be either. */
function refuseDoubles(readings: ReadingInput[]): ReadingInput[] {
  const count = new Map<string, number>();
  for (const input of readings)
    if ('reading' in input) count.set(input.reading.account, (count.get(input.reading.account) ?? 0) + 1);
  return readings.map((input) =>
    'reading' in input && count.get(input.reading.account)! > 1
      ? { refused: `series of ${input.reading.account}: more than one; put sum by (…) around the query` }
      : input,
  );
}

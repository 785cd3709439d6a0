/** What Prometheus answers, made into readings; and what may be asked. */
import { describe, expect, it } from 'vitest';
import { parseAnswer } from '../../../producer/sources/prometheus/answer.ts';
import { type PrometheusQuery, prometheusSchema, textsOf } from '../../../producer/sources/prometheus/config.ts';

const NOW_S = 1_764_000_000.781;
const query: PrometheusQuery = { query: 'q', account: 'user', gives: 'used' };
const vector = (...result: unknown[]) => ({ status: 'success', data: { resultType: 'vector', result } });
const one = (user: string, value: string) => ({ metric: { user }, value: [NOW_S, value] });

describe('an answer', () => {
  it('gives one reading a series, at its time', () => {
    expect(parseAnswer(vector(one('alice', '2104.5'), one('bob', '0')), query)).toEqual({
      readings: [
        { reading: { account: 'alice', used: 2104.5, at: 1_764_000_000_781 } },
        { reading: { account: 'bob', used: 0, at: 1_764_000_000_781 } },
      ],
      warnings: [],
    });
  });

  it('is of the limit, unit and resource that the config says, and of a total where it says so', () => {
    const of: PrometheusQuery = { ...query, gives: 'total', limitName: 'day', unit: 'GB', resource: 'egress' };
    expect(parseAnswer(vector(one('alice', '1e3')), of).readings).toEqual([
      {
        reading: {
          account: 'alice',
          total: 1000,
          at: 1_764_000_000_781,
          limitName: 'day',
          unit: 'GB',
          resource: 'egress',
        },
      },
    ]);
  });

  it.each([
    ['NaN', one('alice', 'NaN'), 'series of alice: NaN is no amount'],
    ['an infinity', one('alice', '+Inf'), 'series of alice: +Inf is no amount'],
    ['less than nothing', one('alice', '-1'), expect.stringMatching(/used/)],
    ['no such label', { metric: { job: 'x' }, value: [NOW_S, '1'] }, 'series: it has no label user'],
    ['an empty label', one('', '1'), 'series: it has no label user'],
    ['a name that is none', one('a\nb', '1'), expect.stringMatching(/account/)],
    ['no value', { metric: { user: 'alice' } }, 'series: expected metric and value'],
    ['a value that is a number', { metric: { user: 'alice' }, value: [NOW_S, 3] }, 'series: expected metric and value'],
    ['nothing', null, 'series: expected metric and value'],
  ])('with %s refuses that series alone', (_what, broken, refused) => {
    expect(parseAnswer(vector(broken, one('bob', '5')), query).readings).toEqual([
      { refused },
      { reading: expect.objectContaining({ account: 'bob', used: 5 }) },
    ]);
  });

  it('with two series of one account has no reading of it: neither is what it used', () => {
    const { readings } = parseAnswer(vector(one('alice', '1'), one('bob', '5'), one('alice', '2')), query);
    const refused = { refused: expect.stringContaining('series of alice: more than one; put sum by') };
    expect(readings).toEqual([refused, { reading: expect.objectContaining({ account: 'bob' }) }, refused]);
  });

  it('passes warnings on', () => {
    expect(parseAnswer({ ...vector(), warnings: ['a store is away'] }, query)).toEqual({
      readings: [],
      warnings: ['a store is away'],
    });
  });

  it.each([
    ['a refused query', { status: 'error', errorType: 'bad_data', error: 'parse error' }, 'bad_data: parse error'],
    [
      'a scalar',
      { status: 'success', data: { resultType: 'scalar', result: [1, '2'] } },
      'expected vector; got "scalar"',
    ],
    ['a matrix', { status: 'success', data: { resultType: 'matrix', result: [] } }, 'got "matrix"'],
    ['a vector that is none', { status: 'success', data: { resultType: 'vector', result: 5 } }, 'no array'],
    ['something else', { hello: 'world' }, "not an answer of Prometheus's HTTP API"],
    ['nothing', null, "not an answer of Prometheus's HTTP API"],
  ])('is none when it is %s', (_what, body, message) => {
    expect(() => parseAnswer(body, query)).toThrow(message);
  });
});

describe('the config', () => {
  const parse = (server: object) =>
    prometheusSchema.safeParse({ url: 'http://prometheus:9090', queries: [query], ...server });

  it('has a bound on everything by default', () => {
    expect(parse({}).data).toMatchObject({ every: 60_000, timeout: 10_000, concurrency: 10 });
  });

  it.each([
    ['a URL with a password', { url: 'http://me:secret@prometheus:9090' }],
    ['a URL of something else', { url: 'file:///etc/passwd' }],
    ['no query', { queries: [] }],
    ['a label that is none', { queries: [{ ...query, account: 'a-b' }] }],
    ['$part without parts', { queries: [{ ...query, query: 'x{user=~"$part"}' }] }],
    ['parts without $part', { queries: [{ ...query, parts: ['a.*'] }] }],
    ['a query without end', { timeout: '1d' }],
  ])('refuses %s', (_what, server) => {
    expect(parse(server).success).toBe(false);
  });

  it('asks a query with parts once for each, whatever stands in them', () => {
    const parts = ['[a-m].*', '[n-z]$&.*'];
    expect(textsOf({ ...query, query: 'x{user=~"$part"} + y{user=~"$part"}', parts })).toEqual([
      'x{user=~"[a-m].*"} + y{user=~"[a-m].*"}',
      'x{user=~"[n-z]$&.*"} + y{user=~"[n-z]$&.*"}',
    ]);
    expect(textsOf(query)).toEqual(['q']);
  });
});

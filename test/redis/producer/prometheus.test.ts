/**
 * Prometheus servers as sources of readings, over real HTTP: what is over becomes an order; a slow, dead or broken one
 * delays nobody else.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ReadingInput } from '../../../producer/reading.ts';
import { prometheusSchema } from '../../../producer/sources/prometheus/config.ts';
import { PrometheusSource } from '../../../producer/sources/prometheus/server.ts';
import { systemClock } from '../../../shared/clock.ts';
import { createLogger } from '../../../shared/log.ts';
import { type Given, TestPrometheus } from '../../support/prometheus-server.ts';
import { until } from '../../support/until.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

let producers: ProducerFixture;
let dir: string;
const servers: TestPrometheus[] = [];
const sources: PrometheusSource[] = [];
beforeAll(async () => {
  producers = await ProducerFixture.open();
  dir = mkdtempSync(join(tmpdir(), 'hobbler-prometheus-'));
});
afterEach(async () => {
  for (const source of sources.splice(0)) source.stop();
  await producers.clear();
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(async () => {
  await producers.close();
  rmSync(dir, { recursive: true });
});

async function serve(give: (query: string) => Given): Promise<TestPrometheus> {
  const server = await TestPrometheus.start(give);
  servers.push(server);
  return server;
}
const nowS = () => Date.now() / 1_000;
const used = (value: number, user = 'alice'): Given => ({ series: [[{ user }, nowS(), String(value)]] });
const query = (text: string, rest: object = {}) => ({ query: text, account: 'user', ...rest });

/** A source alone, with what it fed and what it logged. */
function sourceOf(server: object) {
  const fed: ReadingInput[] = [];
  const outcomes: string[] = [];
  const lines: string[] = [];
  const source = new PrometheusSource({
    server: prometheusSchema.parse(server),
    accept: async (inputs) => {
      fed.push(...inputs);
      const refused = inputs.flatMap((input, index) => ('refused' in input ? [{ index, why: input.refused }] : []));
      return { accepted: inputs.length - refused.length, refused };
    },
    clock: systemClock,
    log: createLogger('test', 'info', { write: (line: string) => void lines.push(line) }),
    onQuery: (outcome) => outcomes.push(outcome),
  });
  sources.push(source);
  return { source, fed, outcomes, lines };
}

describe('a producer with Prometheus servers', () => {
  it('puts in who is over, and lets go who is not any more', async () => {
    let value = 2_104;
    const server = await serve(() => used(value));
    const service = await producers.start({
      sources: { prometheus: [{ url: server.url, every: '1s', queries: [query('sum by (user) (cpu)')] }] },
    });
    const standing = async (action: string) =>
      until(async () => (await producers.standing('*', 'user:alice'))?.action === action, {
        deadlineMs: 10_000,
        what: action,
      });
    await standing('tarpit');
    value = 3;
    await standing('untarpit');
    expect(server.asked[0]).toEqual({ query: 'sum by (user) (cpu)', authorization: undefined });
    expect((await ask(service, '/metrics')).body).toMatch(/hobbler_producer_queries_total\{outcome="answered"\} \d/);
  });

  it('hears one server while another says nothing, and a third is not there', async () => {
    const dead = await serve(() => ({ isSilent: true }));
    const gone = await serve(() => ({}));
    await gone.stop();
    const well = await serve(() => used(2_104));
    const queries = [query('q')];
    await producers.start({
      sources: { prometheus: [dead, gone, well].map(({ url }) => ({ url, every: '1h', timeout: '60s', queries })) },
    });
    await until(async () => (await producers.standing('*', 'user:alice'))?.action === 'tarpit', {
      deadlineMs: 10_000,
      what: 'an order while the others are silent',
    });
    expect(dead.now).toBe(1);
  });

  it('ends at once with queries that are not answered', async () => {
    const dead = await serve(() => ({ isSilent: true }));
    const service = await producers.start({
      sources: { prometheus: [{ url: dead.url, timeout: '60s', queries: [query('q')] }] },
    });
    await until(() => dead.now === 1, { deadlineMs: 5_000, what: 'the query' });
    await service.stop();
    await until(() => dead.now === 0, { deadlineMs: 5_000, what: 'the query to be taken back' });
  });
});

describe('a server', () => {
  it('is asked so many queries at a time: 20 of 300 ms, 10 at a time, take two rounds', async () => {
    const server = await serve((text) => ({ ...used(1, text), delayMs: 300 }));
    const queries = Array.from({ length: 20 }, (_, n) => query(`user-${n}`));
    const { source, fed } = sourceOf({ url: server.url, concurrency: 10, queries });
    const fromMs = performance.now();
    await source.runOnce();
    // Two rounds take 0.6 s, and all one after the other 6 s: far enough from both for a machine under load.
    expect(performance.now() - fromMs).toBeLessThan(4_000);
    expect(server.mostAtATime).toBe(10);
    expect(fed).toHaveLength(20);
  });

  it('that is slow with one query is heard on the others, and that one is given up in time', async () => {
    const server = await serve((text) => (text === 'slow' ? { isSilent: true } : used(5)));
    const { source, fed, outcomes, lines } = sourceOf({
      url: server.url,
      timeout: '500ms',
      concurrency: 1,
      queries: [query('slow'), query('quick')],
    });
    await source.runOnce();
    expect(fed).toEqual([{ reading: expect.objectContaining({ account: 'alice', used: 5 }) }]);
    expect(outcomes).toEqual(['failed', 'answered']);
    expect(lines.join()).toContain('no answer: none within 500 ms');
    await until(() => server.now === 0, { deadlineMs: 5_000, what: 'the query to be taken back' });
  });

  it.each<[string, Given, string]>([
    [
      'a query that it cannot understand',
      { error: { status: 400, errorType: 'bad_data', error: 'parse error' } },
      'bad_data: parse error',
    ],
    [
      'an overload',
      { error: { status: 503, errorType: 'timeout', error: 'query timed out' } },
      'timeout: query timed out',
    ],
    ['a page of HTML', { raw: '<html>' }, 'not JSON'],
    ['half an answer', { raw: '{"status":"success","data":' }, 'not JSON'],
  ])('that answers with %s is told of once, and asked again', async (_what, given, message) => {
    let answer = given;
    const server = await serve(() => answer);
    const { source, fed, outcomes, lines } = sourceOf({ url: server.url, queries: [query('q')] });
    await source.runOnce();
    await source.runOnce();
    expect(lines.filter((line) => line.includes(message))).toHaveLength(1);
    answer = used(7);
    await source.runOnce();
    expect(fed).toHaveLength(1);
    expect(outcomes).toEqual(['failed', 'failed', 'answered']);
    expect(lines.at(-1)).toContain('all is well again');
  });

  it('gets the token of its file, as that stands at the time, and no other place does', async () => {
    const tokenFile = join(dir, 'token');
    const server = await serve(() => used(1));
    const { source, lines } = sourceOf({ url: server.url, tokenFile, queries: [query('q')] });
    await source.runOnce();
    expect(server.asked).toEqual([]);
    expect(lines.join()).toContain('ENOENT');
    for (const token of ['first-secret', 'second-secret']) {
      writeFileSync(tokenFile, `${token}\n`);
      await source.runOnce();
      expect(server.asked.at(-1)?.authorization).toBe(`Bearer ${token}`);
    }
    expect(lines.join()).not.toContain('secret');
  });

  it('is not asked again what it has not answered yet', async () => {
    const server = await serve(() => ({ ...used(1), delayMs: 2_500 }));
    const { source, fed } = sourceOf({ url: server.url, every: '1s', queries: [query('q')] });
    source.start();
    await until(() => fed.length === 1, { deadlineMs: 20_000, what: 'the first answer' });
    expect(server.asked).toHaveLength(1);
    await until(() => server.asked.length === 2, { deadlineMs: 20_000, what: 'the second query' });
    expect(server.mostAtATime).toBe(1);
  });

  it('is asked in parts', async () => {
    const server = await serve((text) => used(1, text.includes('[a-m]') ? 'alice' : 'zoe'));
    const parts = ['[a-m].*', '[^a-m].*'];
    const { source, fed } = sourceOf({ url: server.url, queries: [query('cpu{user=~"$part"}', { parts })] });
    await source.runOnce();
    expect(server.asked.map((asked) => asked.query).sort()).toEqual(['cpu{user=~"[^a-m].*"}', 'cpu{user=~"[a-m].*"}']);
    expect(fed.map((input) => 'reading' in input && input.reading.account).sort()).toEqual(['alice', 'zoe']);
  });
});

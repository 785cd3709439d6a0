/**
 * Metrics as a scraper gets them, of a worker, a producer and an admin that really run: what they count is so, what is
 * behind a credential stays there, and every name that the dashboard and the alert rules use is one of them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Outside, openOutside } from '../support/outside.ts';
import { expectNothingLeft, signalExactly, spawnSpinner, until } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startService, type TestService } from '../support/service.ts';
import { ROOT } from '../support/sources.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const TOKEN = 'a-token-of-this-test';
let redis: TestRedis;
let worker: TestWorker;
let door: string;
let producer: TestService;
let admin: TestService;
let outside: Outside;

const authorization = `Bearer ${TOKEN}`;
async function scrape(url: string): Promise<string> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization } });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return response.text();
}
/** The value of a sample, written as in the text; undefined: there is none. */
function sample(text: string, name: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}
const doorOf = ({ log }: TestWorker) =>
  until(() => /"address":"127\.0\.0\.1","port":(\d+)/.exec(log())?.[1], {
    deadlineMs: 5_000,
    what: () => `the worker's door; it said:\n${log()}`,
  }).then((port) => `http://127.0.0.1:${port}`);

beforeAll(async () => {
  redis = await startRedis();
  const http = { host: '127.0.0.1', port: 0, tokens: [TOKEN], open: false };
  worker = await startWorker({ redis, config: { http } });
  door = await doorOf(worker);
  producer = await startService('producer', redis, { HOBBLER_PRODUCER_TOKEN: TOKEN });
  const configPath = join(worker.stateDir, 'admin.yaml');
  writeFileSync(configPath, JSON.stringify({ admin: { metricsToken: TOKEN }, producer: {} }));
  admin = await startService('admin', redis, {
    HOBBLER_CONFIG: configPath,
    HOBBLER_ADMIN_USER: 'ann',
    HOBBLER_ADMIN_PASSWORD: 'a password',
  });
  outside = openOutside(redis);
});
afterAll(async () => {
  await outside.close();
  await Promise.all([worker.stop(), producer.stop(), admin.stop()]);
  await redis.stop();
  removeStateDirs();
  await expectNothingLeft();
});

test('a worker keeps its heap small, under the pid that it was started with', () => {
  const line = readFileSync(`/proc/${worker.pid}/cmdline`, 'latin1').split('\0');
  expect(line).toContain('--max-semi-space-size=4');
  expect(worker.log()).toContain(`"pid":${worker.pid}`);
});

test('a worker counts its orders, its stops and the way to the first of them', async () => {
  const before = await scrape(door);
  expect(sample(before, 'hobbler_worker_stops_total')).toBe(0);
  expect(sample(before, 'hobbler_worker_order_to_first_stop_seconds_count')).toBe(0);
  const spinner = await spawnSpinner();
  await outside.order('tarpit', spinner, { hobble: { runMs: 10, stopMs: 200, every: true, mechanism: 'signal' } });
  const text = await until(
    async () => {
      const page = await scrape(door);
      return sample(page, 'hobbler_worker_stops_total')! > 2 ? page : undefined;
    },
    { deadlineMs: 10_000, what: 'stops to be counted' },
  );
  expect(sample(text!, 'hobbler_worker_orders_total{action="tarpit",result="applied"}')).toBe(1);
  expect(sample(text!, 'hobbler_worker_order_to_first_stop_seconds_count')).toBe(1);
  expect(sample(text!, 'hobbler_worker_order_to_first_stop_seconds_sum')).toBeLessThan(30);
  expect(sample(text!, 'hobbler_worker_targets{state="hobbling"}')).toBe(1);
  expect(sample(text!, 'hobbler_worker_processes')).toBe(1);
  expect(sample(text!, 'hobbler_worker_guard_alive')).toBe(1);
  expect(sample(text!, 'hobbler_worker_gate_closed{gate="guard"}')).toBe(0);
  expect(sample(text!, 'hobbler_worker_lease_epoch')).toBe(1);
  expect(sample(text!, 'process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(text, 'no target, user or account is named').not.toMatch(/pid:|user:|account/);
});

test('an order that comes to nothing is counted as that', async () => {
  await outside.order('tarpit', { pid: 1, startTicks: 1 }, {});
  await until(
    async () => sample(await scrape(door), 'hobbler_worker_orders_total{action="tarpit",result="gone"}') === 1,
    { deadlineMs: 5_000, what: 'the order to be counted' },
  );
});

describe("the worker's door", () => {
  test('shows metrics to who has the token, health to everybody, and takes nothing', async () => {
    const status = async (path: string, init: RequestInit = {}) => (await fetch(`${door}${path}`, init)).status;
    expect(await status('/metrics')).toBe(401);
    expect(await status('/metrics', { headers: { authorization: `Bearer ${TOKEN}x` } })).toBe(401);
    expect(await status('/nothing')).toBe(401);
    expect(await status('/nothing', { headers: { authorization } })).toBe(404);
    expect(await status('/metrics', { method: 'POST', headers: { authorization } })).toBe(405);
    const health = await fetch(`${door}/healthz`);
    expect(health.status).toBe(200);
    expect(await health.json()).toEqual({ status: 'ok', guard: 'alive', redis: 'ready', gate: null });
    expect(worker.log()).not.toContain(TOKEN);
  });

  test('says that a worker without a guard is unwell', async () => {
    signalExactly(worker.guard(), 'SIGSTOP');
    await until(async () => (await fetch(`${door}/healthz`)).status === 503, { deadlineMs: 8_000, what: 'a 503' });
    expect(sample(await scrape(door), 'hobbler_worker_gate_closed{gate="guard"}')).toBe(1);
    signalExactly(worker.guard(), 'SIGCONT');
    await until(async () => (await fetch(`${door}/healthz`)).status === 200, { deadlineMs: 8_000, what: 'a 200' });
  });

  test('open to this machine, it takes no request that was sent to another name', async () => {
    const http = { host: '127.0.0.1', port: 0, tokens: [], open: true };
    const open = await startWorker({ redis, host: 'web-2', config: { http } });
    const url = await doorOf(open);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request(`${url}/metrics`, { headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
    await open.stop();
  });

  test('a port that somebody has taken keeps no worker from its work', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const { port } = squatter.address() as { port: number };
    const http = { host: '127.0.0.1', port, tokens: [TOKEN], open: false };
    const third = await startWorker({ redis, host: 'web-3', config: { http } });
    expect(third.log()).toContain(`no metrics: cannot listen on 127.0.0.1:${port}`);
    expect(await third.stop()).toBe(0);
    await new Promise((resolve) => squatter.close(resolve));
  });
});

test('every name that the dashboard and the alert rules use is really exposed', async () => {
  // An order of the policy, so that what is said of those is there.
  const reading = { account: 'acme', used: 99_999, limit: 2_000 };
  const sent = await fetch(`${producer.url}/v1/readings`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(reading),
  });
  expect(sent.status, await sent.text()).toBe(200);
  await until(async () => sample(await scrape(admin.url), 'hobbler_policy_orders') === 1, {
    deadlineMs: 10_000,
    what: 'the order of the policy',
  });
  const pages = await Promise.all([door, producer.url, admin.url].map(scrape));
  const exposed = new Set<string>();
  for (const [, name, type] of pages.join('\n').matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    exposed.add(name!);
    if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) exposed.add(`${name}_${part}`);
  }
  const rules = parse(readFileSync(join(ROOT, 'packaging/prometheus/alerts.yaml'), 'utf8')) as {
    groups: { rules: { expr: string }[] }[];
  };
  const dashboard = readFileSync(join(ROOT, 'packaging/grafana/hobbler.json'), 'utf8');
  const expressions = [
    ...rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr)),
    ...[...dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text!) as string),
  ];
  const used = new Set(expressions.flatMap((expression) => expression.match(/\bhobbler_\w+/g) ?? []));
  expect(used.size).toBeGreaterThan(20);
  expect([...used].filter((name) => !exposed.has(name))).toEqual([]);
});

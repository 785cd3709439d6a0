/**
 * What the producer costs, measured from outside: a producer and a Redis of its own, each a process, and readings by
 * HTTP as an accounting system sends them. Prints the table that stands in docs/policy.md. Apart from the other scenarios,
 * since it hobbles nobody: `node bench/producer.ts [ACCOUNTS]`. Some two minutes, both cores.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from '../shared/clock.ts';
import { fleetKeys } from '../shared/keys.ts';
import { createLogger } from '../shared/log.ts';
import { connectRedis, type Redis } from '../shared/redis/connection.ts';
import { findRedis } from '../shared/redis/server.ts';
import { memoryOf } from './memory.ts';
import { median, percentile } from './statistics.ts';

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const TOKEN = 'a-token-for-this-bench-only';
const BATCH = 5_000;
/** Requests that are under way at a time. */
const SENDERS = 4;
const ORDERS = 1_000;
/** After a burst, until garbage is collected and nothing is under way. */
const SETTLE_MS = 10_000;
/** One in so many accounts is over its limit. */
const ONE_OVER_IN = 100;

const CONFIG = `producer:
  brake: off
  limits:
    day: { used: 2000 }
    hour: { used: 600, window: { rolling: 1h } }
`;

interface Producer {
  pid: number;
  url: string;
  end(): Promise<void>;
}

async function startProducer(redisUrl: string, config: string): Promise<Producer> {
  const child = spawn(
    process.execPath,
    [CLI, '--redis', redisUrl, '--config', config, 'producer', '--listen', '127.0.0.1:0'],
    {
      env: { PATH: '/usr/bin:/bin', HOBBLER_PRODUCER_TOKEN: TOKEN, HOBBLER_LOG_LEVEL: 'info' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const url = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 100_000) said += text;
      const address = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(said)?.[0];
      if (address) resolve(address);
    });
    child.once('exit', (code) => reject(new Error(`the producer ended with ${code}: ${said}`)));
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid: child.pid!,
    url,
    end: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function post(url: string, readings: unknown): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/v1/readings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(readings),
    });
    const text = await response.text();
    if (response.status === 200) return;
    if (response.status !== 429 && response.status !== 503)
      throw new Error(`${response.status}: ${text.slice(0, 300)}`);
    await sleep(systemClock, Number(response.headers.get('retry-after') ?? 1) * 1_000);
  }
}

/** Sends one reading for each account; returns readings per second. */
async function round(url: string, accounts: number, total: (n: number) => number): Promise<number> {
  const fromMs = systemClock.monotonicMs();
  let next = 0;
  const send = async () => {
    while (next < accounts) {
      const first = next;
      next += BATCH;
      const size = Math.min(BATCH, accounts - first);
      await post(
        url,
        Array.from({ length: size }, (_, i) => ({ account: `user-${first + i}`, total: total(first + i) })),
      );
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
  return accounts / ((systemClock.monotonicMs() - fromMs) / 1_000);
}

/** From before a reading is sent until its order stands in Redis, milliseconds, one after the other. */
async function latencies(url: string, redis: Redis): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < ORDERS; n++) {
    const account = `over-${n}`;
    const fromMs = systemClock.monotonicMs();
    const sent = post(url, { account, used: 9_999, limitName: 'day' });
    while ((await redis.hexists(fleetKeys.desired, `user:${account}`)) === 0);
    found.push(systemClock.monotonicMs() - fromMs);
    await sent;
  }
  return found;
}

async function redisMB(redis: Redis): Promise<number> {
  const [, bytes] = /used_memory:(\d+)/.exec(await redis.info('memory')) ?? [];
  return Number(bytes) / 1e6;
}

async function main(accounts: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'hobbler-bench-producer-'));
  const config = join(dir, 'hobbler.yaml');
  writeFileSync(config, CONFIG);
  const log = createLogger('bench', 'error');
  const server = await findRedis({ url: undefined, log });
  const redis = connectRedis({ url: server.url, name: 'bench' }, log);
  const producer = await startProducer(server.url, config);
  try {
    const idle = memoryOf([producer.pid]).rssMB;
    const emptyMB = await redisMB(redis);
    const isOver = (n: number) => n % ONE_OVER_IN === 0;
    const first = await round(producer.url, accounts, () => 1_000);
    await sleep(systemClock, SETTLE_MS);
    const second = await round(producer.url, accounts, (n) => (isOver(n) ? 9_000 : 1_010));
    await sleep(systemClock, SETTLE_MS);
    const third = await round(producer.url, accounts, (n) => (isOver(n) ? 9_001 : 1_020));
    const after = memoryOf([producer.pid]).rssMB;
    await sleep(systemClock, SETTLE_MS);
    const settled = memoryOf([producer.pid]).rssMB;
    const ms = await latencies(producer.url, redis);
    const rows: [string, string][] = [
      ['readings per second by HTTP, accounts that are new', thousands(first)],
      [`the same, one in ${ONE_OVER_IN} put in`, thousands(second)],
      ['the same, nobody changes', thousands(third)],
      [
        'one reading to its order in Redis, p50 and p99',
        `${median(ms).toFixed(1)} ms, ${percentile(ms, 99).toFixed(1)} ms`,
      ],
      ['memory of the producer, no account', `${idle.toFixed(0)} MB`],
      [
        `memory of the producer, ${thousands(accounts)} accounts, under load and after`,
        `${after.toFixed(0)} MB, ${settled.toFixed(0)} MB`,
      ],
      [
        `memory of Redis, ${thousands(accounts)} accounts of two limits`,
        `${((await redisMB(redis)) - emptyMB).toFixed(0)} MB`,
      ],
    ];
    process.stdout.write(`${availableParallelism()} cores, Node ${process.version}, ${server.url.split(':')[0]}\n\n`);
    process.stdout.write('| | |\n| --- | --- |\n');
    for (const [what, figure] of rows) process.stdout.write(`| ${what} | ${figure} |\n`);
  } finally {
    await producer.end();
    redis.disconnect();
    await server.stop();
    rmSync(dir, { recursive: true });
  }
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}

await main(Number(process.argv[2] ?? 100_000));

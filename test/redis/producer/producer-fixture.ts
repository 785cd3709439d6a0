/**
 * A producer on a real Redis for the tests of its doors, with a live host to give orders to. Owns starting and ending
 * both; what it started is gone after each test.
 */

import { type ProducerConfig, producerSchema } from '../../../producer/config.ts';
import { createProducerService, type ProducerService } from '../../../producer/service.ts';
import type { Endpoint } from '../../../producer/webhooks/config.ts';
import { type Clock, systemClock } from '../../../shared/clock.ts';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Order } from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import { type Redis, redisNowMs } from '../../../shared/redis/connection.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { statusExample } from '../../support/reports.ts';

export const TOKEN = 'correct-horse-battery-staple';

export class ProducerFixture {
  readonly server: TestRedis;
  readonly redis: Redis;
  readonly #running = new Set<ProducerService>();

  static async open(): Promise<ProducerFixture> {
    return new ProducerFixture(await startRedis());
  }

  private constructor(server: TestRedis) {
    this.server = server;
    this.redis = connectTest(server);
  }

  /** A started producer with this section of the config. */
  async start(
    section: object = {},
    clock: Clock = systemClock,
    endpoints: readonly Endpoint[] = [],
  ): Promise<ProducerService> {
    const service = createProducerService({
      config: this.config(section),
      redis: { url: this.server.url, name: 'hobbler-producer' },
      clock,
      endpoints,
      log: silentLogger(),
    });
    this.#running.add(service);
    await service.start();
    return service;
  }

  config(section: object = {}): ProducerConfig {
    const { http = {}, leaseMs, ...rest } = section as { http?: object; leaseMs?: number };
    const config = producerSchema.parse({
      limits: { default: { used: 2000 } },
      // Tests need not wait for the shortest stay, nor are their crowds a broken accounting.
      dwell: '0s',
      brake: 'off',
      ...rest,
      http: { port: 0, tokens: [TOKEN], ...http },
    });
    // Shorter than an operator may set it: no worker reads these orders, and tests need not wait.
    return leaseMs === undefined ? config : { ...config, lease: leaseMs };
  }

  /** After a test: no producer, no key. */
  async clear(): Promise<void> {
    for (const service of this.#running) await service.stop();
    this.#running.clear();
    await this.redis.flushall();
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    await this.server.stop();
  }

  /** Makes `host` look alive, as a worker's beat does. */
  async beat(host: string): Promise<void> {
    const status = statusExample(host, await redisNowMs(this.redis), { mechanisms: {} });
    await this.redis.sadd(fleetKeys.hosts, host);
    await this.redis.set(hostKeys.status(host), JSON.stringify(status));
  }

  /** The order that stands for a target; undefined when none does. */
  async standing(host: string, target: string): Promise<Order | undefined> {
    const text = await this.redis.hget(host === '*' ? fleetKeys.desired : hostKeys.desired(host), target);
    return text === null ? undefined : (JSON.parse(text) as Order);
  }

  /** `action target` of the jobs that wait in a host's queue. */
  async jobs(host: string): Promise<string[]> {
    const queue = openQueue(host, this.redis);
    const jobs = await queue.getJobs(['waiting', 'prioritized', 'delayed']);
    return jobs.map(({ name, data }) => `${name} ${(data as Order).target}`).sort();
  }
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by the tests, field by field
  body: any;
}

/** Asks the producer's door; a body that is no text goes as JSON. */
export async function ask(
  { url }: { url: string | null },
  path: string,
  body?: unknown,
  { token = TOKEN, type = 'application/json' }: { token?: string | null; type?: string } = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** What the producer counts of itself, for Prometheus. One registry per producer; nothing global. */
import { Counter } from 'prom-client';
import { addFigure, openRegistry } from '../shared/metrics.ts';
import type { IntakeResult } from './intake.ts';

export class ProducerMetrics {
  readonly registry = openRegistry('producer');
  readonly #readings: Counter;
  readonly #orders: Counter;
  readonly #queries: Counter;
  readonly #webhooks: Counter;

  /** All of `ask` is asked at each scrape. */
  constructor(ask: {
    tarpitted: () => number;
    waiting: () => number;
    isBraked: () => boolean;
    isRedisReady: () => boolean;
  }) {
    const registers = [this.registry];
    this.#readings = new Counter({
      name: 'hobbler_producer_readings_total',
      help: 'Readings, by what became of them',
      labelNames: ['result'],
      registers,
    });
    this.#orders = new Counter({
      name: 'hobbler_producer_orders_total',
      help: 'Orders of the policy, by what became of them',
      labelNames: ['action', 'outcome'],
      registers,
    });
    this.#queries = new Counter({
      name: 'hobbler_producer_queries_total',
      help: 'Queries to Prometheus servers, by what became of them',
      labelNames: ['outcome'],
      registers,
    });
    this.#webhooks = new Counter({
      name: 'hobbler_producer_webhooks_total',
      help: 'Webhooks, by endpoint and by what became of each try',
      labelNames: ['endpoint', 'outcome'],
      registers,
    });
    addFigure(
      this.registry,
      'hobbler_producer_tarpitted',
      'Accounts that the policy has in the tarpit now',
      ask.tarpitted,
    );
    addFigure(
      this.registry,
      'hobbler_producer_readings_waiting',
      'Readings that are taken and not judged yet; past a bound senders are told to come back',
      ask.waiting,
    );
    addFigure(this.registry, 'hobbler_producer_brake_holds', '1 while the brake lets nobody in', () =>
      ask.isBraked() ? 1 : 0,
    );
    addFigure(this.registry, 'hobbler_producer_redis_ready', '1 while Redis can be used', () =>
      ask.isRedisReady() ? 1 : 0,
    );
  }

  readings({ accepted, refused }: IntakeResult): void {
    this.#readings.inc({ result: 'accepted' }, accepted);
    this.#readings.inc({ result: 'refused' }, refused.length);
  }

  query(outcome: string): void {
    this.#queries.inc({ outcome });
  }

  order(action: string, outcome: string): void {
    this.#orders.inc({ action, outcome });
  }

  webhook(endpoint: string, outcome: string): void {
    this.#webhooks.inc({ endpoint, outcome });
  }
}

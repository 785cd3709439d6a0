/** Wires the webhooks of a producer: teller, queue, and the carrier that empties it. Decides nothing. */
import { within } from '../../shared/clock.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import type { ProducerMetrics } from '../metrics.ts';
import type { ProducerOptions } from '../service.ts';
import type { News } from './message.ts';
import { openCarrier, WebhookQueue } from './queue.ts';
import { Teller } from './teller.ts';

export interface Webhooks {
  start(): void;
  /** Within half a second; never rejects. What is not told yet stands in Redis, for the next producer. */
  stop(): Promise<void>;
  tell(news: News): void;
}

/** What was under way then is told again by the next producer. */
const STOP_LIMIT_MS = 500;

/** Undefined where nobody is to be told, and in a dry run: who is slowed by no order is told of none. */
export function openWebhooks(
  { config, endpoints = [], redis: settings, clock, log }: ProducerOptions,
  redis: Redis,
  metrics: Pick<ProducerMetrics, 'webhook'>,
): Webhooks | undefined {
  if (endpoints.length === 0 || config.dryRun) return undefined;
  const teller = new Teller({
    endpoints,
    perAccountMs: config.webhooks.perAccount,
    redis,
    queue: new WebhookQueue(redis),
    clock,
    log,
    onOutcome: (endpoint, outcome) => metrics.webhook(endpoint, outcome),
  });
  let lastTrouble = '';
  const carrier = openCarrier({
    settings: { ...settings, name: `${settings.name}-webhooks` },
    carry: (attempt) => teller.carry(attempt),
    onError: ({ message }) => {
      if (message !== lastTrouble) log.warn(`webhooks: ${message}`);
      lastTrouble = message;
    },
  });
  return {
    start: () => {
      teller.start();
      carrier.start();
    },
    stop: async () => {
      teller.stop();
      await within(clock, STOP_LIMIT_MS, carrier.stop());
    },
    tell: (news) => teller.tell(news),
  };
}

/**
 * Tells people: who has entered the tarpit, climbed or left, and that the brake holds. Owns that at most one message goes
 * out per account and endpoint in the set time, and that what was not told in it is told at its end, as it stands then.
 * Like orders: state decides (the news of an account), jobs wake.
 *
 *   verdict changed ──► news of the account, the latest alone ──► job ──► told within the time? ──no──► POST ──► forgotten
 *                                                                            └──yes──► later
 *
 * The judging never waits for any of this: what Redis does not take at once is kept here, bounded, and tried again. What
 * a producer dies with in that moment is not told; who is in the tarpit stands in the ledger all the same.
 */
import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock, Timer } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import { webhookKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { loadScript, runScript } from '../../shared/redis/scripts.ts';
import type { Endpoint } from './config.ts';
import { bodyOf, type News } from './message.ts';
import type { Attempt, Carried, WebhookQueue } from './queue.ts';
import { post } from './send.ts';

const forgetNews = loadScript('forget-news');

export interface TellerOptions {
  endpoints: readonly Endpoint[];
  perAccountMs: number;
  redis: Redis;
  queue: Pick<WebhookQueue, 'add'>;
  clock: Clock;
  log: Logger;
  onOutcome?: (endpoint: string, outcome: 'delivered' | 'failed' | 'given-up' | 'dropped') => void;
}

/** What stands for an account where it is about all of them. No account has that name: it is a digest for those. */
export const ABOUT_BRAKE = 'brake';
/** The brake is for operators, who want to know at once; two producers may both say it. */
const PER_BRAKE_MS = 60_000;
/** What nobody could be told for so long is of interest to nobody. */
const NEWS_KEPT_MS = 3 * 86_400_000;
/** News that may wait here while Redis is away. */
const MAX_WAITING = 20_000;
const AT_A_TIME = 500;
const AGAIN_AFTER_MS = 1_000;

const storedSchema = z.object({ id: z.string(), body: z.string() });

export class Teller {
  readonly #options: TellerOptions;
  readonly #byName: ReadonlyMap<string, Endpoint>;
  /** By endpoint and account: the latest news that is not in Redis yet. */
  readonly #waiting = new Map<string, { endpoint: string; about: string; news: News }>();
  #timer: Timer | undefined;
  #isFlushing = false;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#byName = new Map(options.endpoints.map((endpoint) => [endpoint.name, endpoint]));
  }

  start(): void {
    this.#timer = this.#options.clock.every(AGAIN_AFTER_MS, () => this.#flush());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Notes news for every endpoint that wants them. Never throws, and never waits. */
  tell(news: News): void {
    const about = news.account === null ? ABOUT_BRAKE : digestOf(news.account);
    for (const { name, events } of this.#options.endpoints) {
      if (!events.includes(news.event)) continue;
      const key = `${name} ${about}`;
      if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(key)) this.#options.onOutcome?.(name, 'dropped');
      else this.#waiting.set(key, { endpoint: name, about, news });
    }
    if (this.#waiting.size > 0) queueMicrotask(() => void this.#flush());
  }

  /** One try of an errand of the queue. Rejects when it is to be tried again. */
  async carry({ endpoint: name, about, jobId, isLast }: Attempt): Promise<Carried> {
    const { redis, clock, log, perAccountMs, onOutcome } = this.#options;
    const endpoint = this.#byName.get(name);
    // Taken out of the config since.
    if (!endpoint) return 'done';
    const newsKey = webhookKeys.news(name, about);
    const text = await redis.get(newsKey);
    // Told by another job.
    if (text === null) return 'done';
    const periodMs = about === ABOUT_BRAKE ? PER_BRAKE_MS : perAccountMs;
    const told = webhookKeys.told(name, about);
    const isMine = (await redis.set(told, jobId, 'PX', periodMs, 'NX')) !== null || (await redis.get(told)) === jobId;
    if (!isMine) return { notBeforeMs: clock.wallMs() + Math.max(await redis.pttl(told), 1) };
    const { id, body } = storedSchema.parse(JSON.parse(text));
    try {
      await post(endpoint, id, body, clock.wallMs());
    } catch (error) {
      onOutcome?.(name, isLast ? 'given-up' : 'failed');
      log.warn({ endpoint: name, id, isLast }, `a webhook was not taken: ${messageOf(error)}`);
      throw error;
    }
    onOutcome?.(name, 'delivered');
    await runScript(redis, forgetNews, [newsKey], [text]);
    return 'done';
  }

  async #flush(): Promise<void> {
    const { redis, queue, log } = this.#options;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      while (this.#waiting.size > 0) {
        const some = [...this.#waiting].slice(0, AT_A_TIME);
        await Promise.all(
          some.map(([, { endpoint, about, news }]) => {
            const stored = JSON.stringify({ id: `msg_${randomUUID()}`, body: bodyOf(news) });
            return redis.set(webhookKeys.news(endpoint, about), stored, 'PX', NEWS_KEPT_MS);
          }),
        );
        await queue.add(some.map(([, { endpoint, about }]) => ({ endpoint, about })));
        // What has come meanwhile of the same account is newer, and stays.
        for (const [key, one] of some) if (this.#waiting.get(key) === one) this.#waiting.delete(key);
      }
    } catch (error) {
      log.warn({ waiting: this.#waiting.size }, `webhooks wait: ${messageOf(error)}`);
    } finally {
      this.#isFlushing = false;
    }
  }
}

/** Of an account's name, which may hold anything. */
function digestOf(account: string): string {
  return createHash('sha256').update(account).digest('base64url').slice(0, 22);
}

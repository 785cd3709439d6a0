/**
 * Wires the producer: connection, ledger, enforcer, intake, and the sources that the config asks for. Owns the order
 * in which they start and stop; decides nothing itself. Ends within a second, also with Redis away: what is unfinished
 * then is in the ledger, and orders expire by themselves.
 */
import type { FastifyInstance } from 'fastify';
import { type Clock, within } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { connectRedis, type Redis, type RedisSettings, requireFitRedis } from '../shared/redis/connection.ts';
import { OrderIssuer } from '../shared/redis/issuer.ts';
import type { Service } from '../shared/service.ts';
import type { Signer } from '../shared/signature.ts';
import { type ProducerConfig, requireSafeDoor } from './config.ts';
import { Enforcer } from './enforcer.ts';
import { History } from './history.ts';
import { openHttpDoor } from './http/door.ts';
import { Intake } from './intake.ts';
import { Janitor } from './janitor.ts';
import { Judging } from './judging.ts';
import { Ledger } from './ledger.ts';
import { ProducerMetrics } from './metrics.ts';
import { openOrderDesk } from './order-desk.ts';
import { needingRedis } from './redis-trouble.ts';
import { type FeedResult, feedFile, feedReadings } from './sources/jsonl.ts';
import { Sources } from './sources/sources.ts';
import type { Endpoint } from './webhooks/config.ts';
import type { News } from './webhooks/message.ts';
import { openWebhooks, type Webhooks } from './webhooks/webhooks.ts';

export interface ProducerOptions {
  config: ProducerConfig;
  /** Reads the config anew, for reload(). Throws invalid-config. */
  readConfig?: () => ProducerConfig;
  redis: RedisSettings;
  /** Whom webhooks go to, with their secrets; absent: nobody. */
  endpoints?: readonly Endpoint[];
  /** Signs the orders; undefined where hosts take unsigned ones. */
  signer?: Signer | undefined;
  clock: Clock;
  log: Logger;
}

export interface ProducerService extends Service {
  /** Where the HTTP door listens, once started; null without it. */
  readonly url: string | null;
  /** Feeds JSON lines from a file (`-`: standard input), once started, and reports the counts. */
  feedFile(path: string): Promise<FeedResult>;
  /** The same from any stream. */
  feed(source: AsyncIterable<Buffer | string>): Promise<FeedResult>;
  /** Resolves when every file of the config is fed; at once when there is none. */
  readonly filesFed: Promise<FeedResult[]>;
  /** Reads the config anew and judges every account by its policy; penalties go on. Doors, lease and sources stay. */
  reload(): Promise<void>;
}

/** How long closing the door may take before its connections are cut, milliseconds. */
const CLOSE_LIMIT_MS = 700;

/** Throws invalid-config for a door without a credential. start() rejects with redis-unavailable or redis-misconfigured. */
export function createProducerService(options: ProducerOptions): ProducerService {
  requireSafeDoor(options.config);
  return new Producer(options);
}

class Producer implements ProducerService {
  readonly name = 'producer';
  readonly #options: ProducerOptions;
  readonly #stopping = new AbortController();
  readonly #fed = Promise.withResolvers<FeedResult[]>();
  readonly #restartSettings: string;
  #parts: Parts | undefined;
  #redis: Redis | undefined;
  #url: string | null = null;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#restartSettings = restartSettings(options.config);
  }

  get url(): string | null {
    return this.#url;
  }

  get filesFed(): Promise<FeedResult[]> {
    return this.#fed.promise;
  }

  async start(): Promise<void> {
    const { config, redis: settings, log } = this.#options;
    this.#redis = connectRedis(settings, log);
    await requireFitRedis(this.#redis, settings.url);
    const parts = await wire(this.#options, this.#redis);
    const { intake, enforcer, janitor, sources, webhooks, door } = parts;
    // Stopped while it was starting: then nothing more may begin.
    if (this.#stopping.signal.aborted) return;
    this.#parts = parts;
    await intake.start();
    if (this.#stopping.signal.aborted) return intake.stop();
    enforcer.start();
    janitor.start();
    sources.start();
    webhooks?.start();
    if (door) this.#url = await door.listen({ host: config.http.host, port: config.http.port });
    log.info({ url: this.#url, dryRun: config.dryRun }, 'producer is ready');
    void this.#feedConfigured().then(this.#fed.resolve);
  }

  async reload(): Promise<void> {
    const { readConfig, log } = this.#options;
    const parts = this.#parts;
    if (!readConfig || !parts) return;
    try {
      const config = readConfig();
      parts.sources.reconfigure(config);
      const isKept = restartSettings(config) === this.#restartSettings;
      if (!isKept) log.warn('http, lease, dryRun, sources or webhooks have changed; they take effect with a restart');
      await parts.intake.reconfigure(config);
      log.info('the policy was read anew');
    } catch (error) {
      // Judged by the new policy all the same, where it could be read: each account at its next reading or renewal.
      log.error(`reload: ${messageOf(error)}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const parts = this.#parts;
    this.#parts = undefined;
    const fetching = parts?.sources.stop();
    const telling = parts?.webhooks?.stop();
    parts?.janitor.stop();
    parts?.intake.stop();
    parts?.enforcer.stop();
    if (parts?.door)
      await within(
        this.#options.clock,
        CLOSE_LIMIT_MS,
        parts.door.close().catch(() => {}),
      );
    await Promise.all([fetching, telling]);
    this.#redis?.disconnect();
    this.#url = null;
  }

  feedFile(path: string): Promise<FeedResult> {
    return feedFile(path, this.#feedOptions());
  }

  feed(source: AsyncIterable<Buffer | string>): Promise<FeedResult> {
    return feedReadings(source, this.#feedOptions());
  }

  #feedOptions() {
    const { clock, log } = this.#options;
    return {
      accept: (inputs: Parameters<Intake['accept']>[0]) =>
        needingRedis(this.#redis!, () => this.#parts!.intake.accept(inputs, { sender: 'files' })),
      clock,
      onWaiting: (why: string) => log.warn(`readings wait: ${why}`),
      signal: this.#stopping.signal,
    };
  }

  /** Each for itself: a pipe may never end. */
  async #feedConfigured(): Promise<FeedResult[]> {
    const { config, log } = this.#options;
    const results = await Promise.all(
      config.sources.files.map(async (path) => {
        try {
          const result = await this.feedFile(path);
          const { accepted, refused, refusals } = result;
          log.info({ path, accepted, refused, refusals: refusals.slice(0, 5) }, 'readings fed');
          return [result];
        } catch (error) {
          if (!this.#stopping.signal.aborted) log.error({ path }, `readings not fed: ${messageOf(error)}`);
          return [];
        }
      }),
    );
    return results.flat();
  }
}

/** What a reload does not change. */
function restartSettings({ http, lease, dryRun, sources, webhooks }: ProducerConfig): string {
  return JSON.stringify({ http, lease, dryRun, sources, webhooks });
}

interface Parts {
  intake: Intake;
  enforcer: Enforcer;
  janitor: Janitor;
  sources: Sources;
  webhooks: Webhooks | undefined;
  door: FastifyInstance | undefined;
}

async function wire(options: ProducerOptions, redis: Redis): Promise<Parts> {
  const { config, signer, clock, log } = options;
  const ledger = new Ledger(redis);
  const issuer = new OrderIssuer(redis, signer, log);
  const metrics: ProducerMetrics = new ProducerMetrics({
    tarpitted: () => judging.tarpitted,
    isBraked: () => judging.isBraked,
    waiting: () => intake.waiting,
    isRedisReady: () => redis.status === 'ready',
  });
  const enforcer: Enforcer = new Enforcer({
    desk: openOrderDesk(redis, issuer),
    leaseMs: config.lease,
    dryRun: config.dryRun,
    clock,
    log,
    confirm: (accounts) => intake.lookAgain(accounts),
    onSettled: (settled) => ledger.settle(settled),
    onOrder: (action, outcome) => metrics.order(action, outcome),
  });
  const webhooks = openWebhooks(options, redis, metrics);
  const onNews = (news: News) => webhooks?.tell(news);
  const history = new History(redis, clock, log);
  const judging = new Judging({ config, redis, ledger, enforcer, history, clock, log, onNews });
  const intake = new Intake({
    config,
    redis,
    ledger,
    judging,
    enforcer,
    clock,
    log,
    onResult: (result) => metrics.readings(result),
  });
  return {
    intake,
    enforcer,
    janitor: new Janitor(redis, clock, log),
    sources: new Sources({ config, redis, ledger, judging, intake, metrics, clock, log }),
    webhooks,
    door: config.sources.http
      ? await openHttpDoor({ config, redis, issuer, intake, judging, ledger, enforcer, metrics, clock, log })
      : undefined,
  };
}

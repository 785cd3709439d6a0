/**
 * The sources that fetch readings by themselves: the workers' meter, followed files, Prometheus servers. Owns that each
 * runs for itself, and starting and ending all of them; judges nothing.
 */
import { hostname } from 'node:os';
import { type Clock, within } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import type { ProducerConfig } from '../config.ts';
import type { Intake } from '../intake.ts';
import type { Judging } from '../judging.ts';
import type { Ledger } from '../ledger.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { needingRedis } from '../redis-trouble.ts';
import { FollowedFile } from './follow/followed-file.ts';
import { positionsInRedis } from './follow/positions.ts';
import { MeterSource } from './meter.ts';
import { PrometheusSource } from './prometheus/server.ts';

export interface SourcesOptions {
  config: ProducerConfig;
  redis: Redis;
  ledger: Ledger;
  judging: Judging;
  intake: Intake;
  metrics: ProducerMetrics;
  clock: Clock;
  log: Logger;
}

/** How long the end of a source may take, milliseconds. What is unfinished then was not noted as done. */
const STOP_LIMIT_MS = 500;

export class Sources {
  readonly #clock: Clock;
  readonly #meter: MeterSource | undefined;
  readonly #followed: FollowedFile[];
  readonly #servers: PrometheusSource[];

  constructor({ config, redis, ledger, judging, intake, metrics, clock, log }: SourcesOptions) {
    const { meter, follow, prometheus } = config.sources;
    /** Each is a sender of its own, so that none keeps another waiting. */
    const acceptAs =
      (sender: string): Intake['accept'] =>
      (inputs) =>
        needingRedis(redis, () => intake.accept(inputs, { sender }));
    this.#clock = clock;
    this.#meter =
      meter && new MeterSource({ config, everyMs: meter.every, redis, ledger, judging, intake, clock, log });
    this.#followed = follow.map(
      (path) =>
        new FollowedFile({
          path,
          positions: positionsInRedis(redis, hostname(), path),
          accept: acceptAs(`file ${path}`),
          clock,
          log,
        }),
    );
    const onQuery = (outcome: string) => metrics.query(outcome);
    this.#servers = prometheus.map(
      (server) => new PrometheusSource({ server, accept: acceptAs(`server ${server.url}`), clock, log, onQuery }),
    );
  }

  /** Another policy: which counters are whose may have changed. What the sources are takes a restart. */
  reconfigure(config: ProducerConfig): void {
    this.#meter?.reconfigure(config);
  }

  start(): void {
    this.#meter?.start();
    for (const source of [...this.#followed, ...this.#servers]) source.start();
  }

  /** Never rejects. */
  async stop(): Promise<void> {
    this.#meter?.stop();
    for (const server of this.#servers) server.stop();
    await within(this.#clock, STOP_LIMIT_MS, Promise.all(this.#followed.map((file) => file.stop())));
  }
}

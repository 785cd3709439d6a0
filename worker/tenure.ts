/**
 * The tenure: the time in which this worker is the one of its host. It takes the lease, renews it, and looks at its
 * epoch: another one than ours means that somebody else has been the worker meanwhile, upon which everything runs, and
 * then all is looked at anew. While Redis is away nothing is known, and the local lock alone stands.
 *
 *   start ──► waits ──► holds ◄────────────────────────────────┐
 *               ▲         │ another epoch: gate closed          │ held again, reconciled: gate open
 *               │         └──► another holds it: no consumer ───┘
 *               └─ another worker holds it (or ends, by option)
 */
import { type Clock, sleep } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Consumer } from '../shared/queue.ts';
import type { Engine } from './engine/engine.ts';
import { LEASE_TTL_MS, type Lease } from './lease.ts';
import type { Reconciler } from './reconciler.ts';

export interface TenureParts {
  host: string;
  lease: Lease;
  engine: Pick<Engine, 'closeGate' | 'openGate'>;
  reconciler: Reconciler;
  /** Not started. */
  createConsumer: () => Consumer;
  whenLeased: 'wait' | 'refuse';
  onWaiting: (what: string) => void;
  clock: Clock;
  log: Logger;
}

const RETRY_MS = 1_000;

export class Tenure {
  readonly #parts: TenureParts;
  #consumer: Consumer | undefined;
  #isHeld = false;
  /** When the renewal was asked for that succeeded last; by the monotonic clock, milliseconds. */
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(parts: TenureParts) {
    this.#parts = parts;
  }

  /** Whether this is the one worker of its host, as far as is known. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Whether the lease is ours for certain: it was renewed so lately that it cannot have run out, so nobody else has it. */
  get isCertain(): boolean {
    return this.#isHeld && this.#parts.clock.monotonicMs() - this.#renewedAtMs < LEASE_TTL_MS;
  }

  /** Waits until the lease is ours, or until the end. Throws host-locked where another holds it and `refuse` is set. */
  async take(): Promise<void> {
    const { host, lease, whenLeased, onWaiting, clock, log } = this.#parts;
    let saidSo = false;
    while (!this.#isOver) {
      const askedAtMs = clock.monotonicMs();
      const taken = await lease.take();
      if (taken.status === 'held') {
        this.#isHeld = true;
        this.#renewedAtMs = askedAtMs;
        return;
      }
      const what = `another worker holds the lease of host ${host} (epoch ${taken.epoch}, free in ${taken.freeInMs} ms unless renewed)`;
      if (whenLeased === 'refuse')
        throw new HobblerError('host-locked', what, { hint: 'stop it first, or give this host another name' });
      if (!saidSo) log.warn(`${what}; waiting`);
      saidSo = true;
      onWaiting(what);
      await sleep(clock, RETRY_MS);
    }
  }

  /** Begins to take orders from the queue, where the lease is ours. */
  consume(): void {
    if (this.#isOver || !this.#isHeld || this.#consumer) return;
    this.#consumer = this.#parts.createConsumer();
    this.#consumer.start();
  }

  /** Renews the lease, and acts upon what it finds. Rejects when Redis is away. */
  async renew(): Promise<void> {
    const { lease, engine, reconciler, clock, log } = this.#parts;
    const before = lease.epoch;
    const askedAtMs = clock.monotonicMs();
    const result = await lease.take();
    if (this.#isOver) return;
    if (result.status === 'held') this.#renewedAtMs = askedAtMs;
    if (result.status === 'other') {
      if (this.#isHeld) log.error({ epoch: result.epoch }, 'lost the lease to another worker: everything runs');
      this.#isHeld = false;
      engine.closeGate('lease', 'another worker holds the lease of this host');
      await this.#stopConsumer();
      return;
    }
    if (this.#isHeld && result.epoch === before) return;
    log.warn({ epoch: result.epoch, before }, 'the lease has a new epoch: everything runs, then all is looked at anew');
    engine.closeGate('lease', 'the lease was lost and taken again');
    this.#isHeld = false;
    await reconciler.run(); // where it fails, the next beat tries again
    if (this.#isOver) return;
    this.#isHeld = true;
    this.consume();
    engine.openGate('lease');
  }

  /** No order is taken any more; the lease is given back where Redis can be asked. */
  async end(canAskRedis: boolean): Promise<void> {
    this.#isOver = true;
    await this.#stopConsumer();
    if (canAskRedis) await this.#parts.lease.give();
  }

  async #stopConsumer(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    await consumer?.stop();
  }
}

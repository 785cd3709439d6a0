/**
 * The one way in for readings, whatever their source: completes them and has them judged, one pass after the other, so
 * that two batches never judge the same account upon the same memory. Also wakes the judging when time alone changes
 * something, and when an operator has spoken. What it has accepted is in Redis: nothing acknowledged is lost.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { Limiter, type Urgency } from './admission/limiter.ts';
import { type BatchResult, ReadingQueue } from './admission/reading-queue.ts';
import type { Enforcer } from './enforcer.ts';
import type { Judging, Sent } from './judging.ts';
import { ACCOUNTS_AT_A_TIME, type Ledger } from './ledger.ts';
import { forgetEndedPins } from './operator-words.ts';
import type { PolicyConfig } from './policy/config.ts';
import { completeReading, type ReadingInput } from './reading.ts';

export type IntakeResult = BatchResult;

/** Of a batch. */
export interface Delivery {
  /** Whose it is: senders take turns. */
  sender?: string;
  /** Aborted when nobody waits for the answer any more; what is not judged yet is then dropped. */
  signal?: AbortSignal | undefined;
}

export interface IntakeOptions {
  config: PolicyConfig;
  redis: Redis;
  ledger: Pick<Ledger, 'accounts'>;
  judging: Judging;
  enforcer: Pick<Enforcer, 'kick'>;
  clock: Clock;
  log: Logger;
  onResult?: (result: IntakeResult) => void;
}

/** Readings that may wait for their pass, all batches together: some 100 MB. Past it the door says "later". */
const MAX_WAITING_READINGS = 200_000;
/** So many of them one sender's, so that there is room for others. */
const MAX_WAITING_OF_SENDER = 100_000;
/** In one pass: some 100 ms of work, in which nobody else has a turn. */
const PASS_READINGS = 2_000;
/** How often it asks whether somebody's time has come; costs one comparison. */
const WAKE_EVERY_MS = 250;
/** How often it looks at what operators have said. */
const WORDS_EVERY_MS = 1_000;

export class Intake {
  readonly #options: IntakeOptions;
  #config: PolicyConfig;
  readonly #queue: ReadingQueue<ReadingInput>;
  /** At the ledger: one at a time, operators first, then what time lets go, then readings and looks at others. */
  readonly #turns = new Limiter({ concurrency: 1, maxWaiting: Number.POSITIVE_INFINITY, what: 'turns' });
  #timers: Timer[] = [];
  #lastTrouble = '';

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#queue = new ReadingQueue({
      judge: (inputs) => this.#inTurn('tarpit', () => this.#pass(inputs)),
      clock: options.clock,
      maxWaiting: MAX_WAITING_READINGS,
      maxWaitingOfSender: MAX_WAITING_OF_SENDER,
      passReadings: PASS_READINGS,
    });
  }

  /** Readings that are taken and not judged yet. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /** Takes up what the ledger says, and watches the time from then on. Rejects when Redis cannot be read. */
  async start(): Promise<void> {
    const { ledger, judging, clock } = this.#options;
    await judging.refreshWords();
    for await (const accounts of ledger.accounts()) judging.know(accounts);
    await this.#takeUp();
    this.#timers = [
      clock.every(WAKE_EVERY_MS, () => this.#quietly(() => this.#wake())),
      clock.every(WORDS_EVERY_MS, () => this.#quietly(() => this.#hearOperators())),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  /**
   * Judges these and returns what was accepted and what was refused, and why, once it is written down. Rejects with
   * TooMuch when too much waits already, and with what Redis answered when it could not be written.
   */
  async accept(inputs: readonly ReadingInput[], { sender = '', signal }: Delivery = {}): Promise<IntakeResult> {
    const result = await this.#queue.accept(sender, inputs, signal);
    this.#options.onResult?.(result);
    return result;
  }

  /** Judges these accounts without a reading, upon what the ledger says now; orders nothing. Rejects when Redis cannot be used. */
  async lookAgain(accounts: readonly string[], urgency: Urgency = 'tarpit'): Promise<void> {
    // Some at a time, so that readings come in between.
    for (let start = 0; start < accounts.length; start += ACCOUNTS_AT_A_TIME) {
      const some = accounts.slice(start, start + ACCOUNTS_AT_A_TIME);
      await this.#inTurn(urgency, () => this.#options.judging.judge(new Map(some.map((account) => [account, 'all']))));
    }
  }

  /** Judges every account that is known, by another policy from now on. Rejects when Redis cannot be used. */
  async reconfigure(config: PolicyConfig): Promise<void> {
    await this.#inTurn('operator', async () => {
      this.#config = config;
      this.#options.judging.reconfigure(config);
    });
    await this.#takeUp();
  }

  /** Judges every account that is known: at the start, under another config, or when the brake was let go of. */
  async #takeUp(): Promise<void> {
    await this.lookAgain(this.#options.judging.known);
    this.#options.enforcer.kick();
  }

  async #pass(inputs: readonly ReadingInput[]): Promise<IntakeResult> {
    const { judging, enforcer, clock } = this.#options;
    const nowMs = clock.wallMs();
    const refused: IntakeResult['refused'] = [];
    const batch = new Map<string, Map<string, Sent[]>>();
    inputs.forEach((input, index) => {
      const completed =
        'refused' in input
          ? input
          : completeReading(input.reading, this.#config, judging.rulesOf(input.reading.account), nowMs);
      if ('refused' in completed) {
        refused.push({ index, why: completed.refused });
        return;
      }
      const { account, subject, reading } = completed;
      const subjects = batch.get(account) ?? new Map<string, Sent[]>();
      const sent = subjects.get(subject) ?? [];
      sent.push({ index, reading });
      batch.set(account, subjects.set(subject, sent));
    });
    if (batch.size > 0) {
      refused.push(...(await judging.judge(batch)));
      enforcer.kick();
    }
    refused.sort((a, b) => a.index - b.index);
    return { accepted: inputs.length - refused.length, refused };
  }

  async #wake(): Promise<void> {
    const { judging, enforcer, clock } = this.#options;
    while ((await this.#inTurn('untarpit', () => judging.judgeDue(clock.wallMs()))) > 0) enforcer.kick();
  }

  async #hearOperators(): Promise<void> {
    const { judging, enforcer, redis, clock, log } = this.#options;
    const { changed, wasLetGo, words } = await this.#inTurn('operator', () => judging.refreshWords());
    if (changed.length > 0) {
      await this.lookAgain(changed, 'operator');
      enforcer.kick();
    }
    if (wasLetGo) {
      log.info({ open: words.brake.open }, 'the brake was let go of');
      await this.#takeUp();
    }
    await forgetEndedPins(redis, words.pins, clock.wallMs());
  }

  /** What waits is made good by the next look. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#lastTrouble = '';
    } catch (error) {
      const trouble = messageOf(error);
      if (trouble !== this.#lastTrouble) this.#options.log.warn(`judging waits: ${trouble}`);
      this.#lastTrouble = trouble;
    }
  }

  #inTurn<T>(urgency: Urgency, work: () => Promise<T>): Promise<T> {
    return this.#turns.run(work, { urgency });
  }
}

/**
 * The one way in for readings, whatever their source: completes them, judges them against the ledger, writes down what
 * came of it, and hands standing verdicts to the enforcer. Passes run one at a time, so that two batches never judge
 * the same account upon the same memory. What it has accepted is in Redis: nothing acknowledged is lost.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { ProducerConfig } from './config.ts';
import type { Enforcer } from './enforcer.ts';
import { isUnreadable, type Ledger, type LedgerChange, type LedgerEntry, WHOLE_KEY } from './ledger.ts';
import { type Judgement, judge, judgeTime, type PolicyRules, type Prior } from './policy.ts';
import { completeReading, type ReadingInput, type Usage } from './reading.ts';
import { type AccountRecord, recordKey } from './record.ts';

export interface IntakeResult {
  accepted: number;
  /** By position in what was given. */
  refused: { index: number; why: string }[];
}

export interface IntakeOptions {
  config: ProducerConfig;
  ledger: Ledger;
  enforcer: Enforcer;
  clock: Clock;
  log: Logger;
  onResult?: (result: IntakeResult) => void;
}

/** Readings that may wait for their pass, all batches together: some 100 MB. Past it the door says "later". */
const MAX_WAITING_READINGS = 200_000;
/** Subjects that one account may have: hosts and targets that readings name. */
const MAX_SUBJECTS = 1_000;
/** How often standing verdicts are looked at for a reset that nobody reports. */
const LOOK_EVERY_MS = 500;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #rules: PolicyRules;
  /** Who is in the tarpit, by recordKey: also what is remembered where Redis has lost it. */
  readonly #tarpitted = new Map<string, AccountRecord>();
  #waiting = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#rules = rulesOf(options.config);
  }

  /** Number of accounts' subjects in the tarpit by the policy. */
  get tarpitted(): number {
    return this.#tarpitted.size;
  }

  /** Takes up what the ledger says stands, and watches the resets from then on. Rejects when Redis cannot be read. */
  async start(): Promise<void> {
    const { ledger, enforcer, clock } = this.#options;
    for await (const entry of ledger.all()) {
      this.#reportUnreadable(entry);
      for (const [subject, places] of entry.owed) {
        const record = entry.records.get(subject);
        if (record?.verdict === 'leave') enforcer.claims.lift(record, places);
      }
      for (const record of entry.records.values()) {
        if (record.verdict !== 'tarpit') continue;
        this.#tarpitted.set(recordKey(record), record);
      }
    }
    // Whose window reset while nobody watched is let go at once and not renewed first.
    await this.releaseByTime();
    for (const record of this.#tarpitted.values()) enforcer.claims.impose(record, false);
    enforcer.kick();
    this.#timer = clock.every(LOOK_EVERY_MS, () => this.#releaseDue());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /**
   * Judges these and returns what was accepted and what was refused, and why, once it is written down. Throws
   * bound-exceeded when too much waits already; rejects with what Redis answered when it could not be written.
   */
  async accept(inputs: readonly ReadingInput[]): Promise<IntakeResult> {
    if (this.#waiting > 0 && this.#waiting + inputs.length > MAX_WAITING_READINGS) {
      throw new HobblerError('bound-exceeded', 'too many readings wait', {
        got: this.#waiting,
        hint: 'send them later',
      });
    }
    this.#waiting += inputs.length;
    try {
      const result = await this.#inTurn(() => this.#pass(inputs));
      this.#options.onResult?.(result);
      return result;
    } finally {
      this.#waiting -= inputs.length;
    }
  }

  /** Lets go whom time alone frees: a reset, an exemption, or nothing heard for long. */
  async releaseByTime(): Promise<void> {
    const nowMs = this.#options.clock.wallMs();
    const hasDue = [...this.#tarpitted.values()].some(
      (record) => judgeTime(record, this.#rules, nowMs).verdict.verdict === 'untarpit',
    );
    if (!hasDue) return;
    await this.#inTurn(async () => {
      const released = [...this.#tarpitted.values()]
        .map((before) => ({ before, ...judgeTime(before, this.#rules, nowMs) }))
        .filter(({ verdict }) => verdict.verdict === 'untarpit');
      await this.#options.ledger.save(
        released.map(({ before, record }) => ({ record: record!, owed: before.places, forget: [] })),
      );
      for (const { before, record } of released) this.#enforce(record!, before);
      this.#options.enforcer.kick();
    });
  }

  async #releaseDue(): Promise<void> {
    try {
      await this.releaseByTime();
    } catch (error) {
      this.#options.log.warn(`resets wait: ${messageOf(error)}`);
    }
  }

  async #pass(inputs: readonly ReadingInput[]): Promise<IntakeResult> {
    const { config, ledger, clock } = this.#options;
    const nowMs = clock.wallMs();
    const refused: IntakeResult['refused'] = [];
    const usages: Usage[] = [];
    inputs.forEach((input, index) => {
      const completed = 'refused' in input ? input : completeReading(input.reading, config, nowMs);
      if ('refused' in completed) refused.push({ index, why: completed.refused });
      else usages.push(completed.usage);
    });
    if (usages.length > 0) {
      const entries = await ledger.read([...new Set(usages.map(({ account }) => account))]);
      const priors = this.#priorsOf(usages, entries);
      const judgements = judge(usages, priors, this.#rules, nowMs);
      await this.#writeDown(judgements, priors, entries, nowMs);
    }
    return { accepted: usages.length, refused };
  }

  #priorsOf(usages: readonly Usage[], entries: ReadonlyMap<string, LedgerEntry>): Map<string, Prior> {
    for (const entry of entries.values()) this.#reportUnreadable(entry);
    const priors = new Map<string, Prior>();
    for (const usage of usages) {
      const key = recordKey(usage);
      const entry = entries.get(usage.account)!;
      const known = entry.records.get(usage.subject) ?? this.#tarpitted.get(key);
      priors.set(key, known ?? (isUnreadable(entry, usage.subject) ? 'unreadable' : 'none'));
    }
    return priors;
  }

  async #writeDown(
    judgements: readonly Judgement[],
    priors: ReadonlyMap<string, Prior>,
    entries: ReadonlyMap<string, LedgerEntry>,
    nowMs: number,
  ): Promise<void> {
    const { ledger, enforcer, log } = this.#options;
    // Only what a batch leaves in the end is written and ordered, not the way to it.
    const last = new Map<string, AccountRecord>();
    for (const { record } of judgements) if (record) last.set(recordKey(record), record);
    const changes: LedgerChange[] = [];
    for (const [key, record] of last) {
      const entry = entries.get(record.account)!;
      if (entry.unreadable.has(WHOLE_KEY)) await ledger.removeUnusable(record.account);
      const prior = priors.get(key)!;
      const wasIn = prior === 'unreadable' || (prior !== 'none' && prior.verdict === 'tarpit');
      const owedBefore = entry.owed.get(record.subject);
      const owed = record.verdict === 'leave' && (wasIn || owedBefore) ? placesOwed(prior, record, owedBefore) : null;
      changes.push({ record, owed, forget: forgettable(entry, last, this.#rules, nowMs) });
    }
    await ledger.save(changes);
    for (const { record, owed } of changes) {
      const prior = priors.get(recordKey(record))!;
      this.#enforce(record, typeof prior === 'string' ? null : prior, owed ?? []);
    }
    enforcer.kick();
    for (const { record, ignored } of judgements) if (ignored) log.debug({ account: record?.account }, ignored);
  }

  /** Tells the enforcer what stands. By state and not by change: what an earlier, failed pass left out is made good. */
  #enforce(record: AccountRecord, prior: AccountRecord | null, owed = prior?.places ?? []): void {
    const { enforcer, log } = this.#options;
    const key = recordKey(record);
    const { account, subject, verdict, reason } = record;
    const isChange = verdict !== (prior?.verdict ?? 'leave');
    if (isChange) log.info({ account, subject, verdict: verdict === 'leave' ? 'untarpit' : verdict }, reason);
    if (verdict === 'tarpit') {
      this.#tarpitted.set(key, record);
      enforcer.claims.impose(record, isChange || record.sinceMs !== prior?.sinceMs);
    } else {
      this.#tarpitted.delete(key);
      enforcer.claims.lift(record, owed);
    }
  }

  #reportUnreadable({ account, unreadable }: LedgerEntry): void {
    for (const [field, why] of unreadable) {
      this.#options.log.warn({ account, field }, `ledger cannot be read, taken as unknown: ${why}`);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}

export function rulesOf({ leaveRatio, level, forgetAfter, exempt }: ProducerConfig): PolicyRules {
  return { leaveRatio, level, forgetAfterMs: forgetAfter, exempt: new Set(exempt) };
}

function placesOwed(prior: Prior, record: AccountRecord, owedBefore: AccountRecord['places'] = []) {
  const all = [...(typeof prior === 'string' ? [] : prior.places), ...record.places, ...owedBefore];
  return [...new Map(all.map((place) => [`${place.host} ${place.target}`, place])).values()].slice(0, 64);
}

/** Subjects (such as pids) that were not heard of for long, and the oldest ones beyond the bound. */
function forgettable(
  entry: LedgerEntry,
  current: ReadonlyMap<string, AccountRecord>,
  rules: PolicyRules,
  nowMs: number,
): string[] {
  const free = [...entry.records.values()].filter(
    (record) => record.verdict === 'leave' && !current.has(recordKey(record)) && !entry.owed.has(record.subject),
  );
  const old = free.filter(({ receivedAtMs }) => nowMs - receivedAtMs > rules.forgetAfterMs);
  const tooMany = entry.records.size + 1 - old.length - MAX_SUBJECTS;
  if (tooMany <= 0) return old.map(({ subject }) => subject);
  return free
    .sort((a, b) => a.receivedAtMs - b.receivedAtMs)
    .slice(0, old.length + tooMany)
    .map(({ subject }) => subject);
}

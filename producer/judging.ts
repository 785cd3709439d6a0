/**
 * Leads accounts through the policy upon the ledger: reads what is remembered, has it judged, writes down what came of
 * it, hands standing verdicts to the enforcer, and notes when time alone will change something. Owns that nobody is
 * judged upon a memory that another producer has changed meanwhile. Its caller runs one pass at a time.
 *
 *   ledger ──► judgePass (policy/) ──► brake ──► ledger, by compare-and-set ──► claims, wake queue
 *     ▲                                             │ overtaken
 *     └─────────────────────────────────────────────┘
 */
import type { Clock } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { Enforcer } from './enforcer.ts';
import type { History } from './history.ts';
import { isUnreadable, type Ledger, type LedgerChange, type LedgerEntry } from './ledger.ts';
import { holdBrake, type OperatorWords, readOperatorWords } from './operator-words.ts';
import { forgettable, type Outcome, outcomeOf } from './outcome.ts';
import type { Case, Prior } from './policy/advance.ts';
import type { PolicyReading } from './policy/attribute.ts';
import { BRAKE_OPEN, isHeld } from './policy/brake.ts';
import type { PolicyConfig } from './policy/config.ts';
import { type Decision, decide } from './policy/judge.ts';
import { judgePass } from './policy/pass.ts';
import { type AccountRules, Rules } from './policy/rules.ts';
import type { LedgerState } from './policy/state.ts';
import { WakeQueue } from './policy/wake-queue.ts';
import { ACCOUNT_WIDE } from './reading.ts';
import type { News } from './webhooks/message.ts';
import { newsOfBrake, newsOfOutcome } from './webhooks/news.ts';

export interface JudgingOptions {
  config: PolicyConfig;
  redis: Redis;
  ledger: Ledger;
  enforcer: Enforcer;
  /** Left out: nothing is written down for people. */
  history?: Pick<History, 'note'>;
  clock: Clock;
  log: Logger;
  /** Told of each verdict that has changed and is written down, and of a brake that has begun to hold. */
  onNews?: (news: News) => void;
}

/** A reading on its way, with its position in what the sender gave. */
export interface Sent {
  index: number;
  reading: PolicyReading;
}
/** By account: the readings of each subject, or all subjects of which something is remembered. */
export type Batch = Map<string, Map<string, Sent[]> | 'all'>;

export interface Refusal {
  index: number;
  why: string;
}

/** Tries against another producer that judges the same accounts. */
const MAX_TRIES = 20;
/** Whom time alone changes, in one pass: a second's worth of a backlog, so that readings come in between. */
const DUE_AT_A_TIME = 1_000;

/** One subject that is in the tarpit, or of which time alone will change something. */
interface Track {
  /** While it is in the tarpit: what is remembered where Redis has lost it. */
  state: LedgerState | null;
  /** Null: never. */
  wakeAtMs: number | null;
  /** The earliest time for which it is in the queue. */
  queuedAtMs: number | null;
}

export interface SubjectCase extends Omit<Case, 'nowMs' | 'mayEnter'> {
  entry: LedgerEntry;
  sent: readonly Sent[];
}

export class Judging {
  readonly #options: JudgingOptions;
  #config: PolicyConfig;
  #rules: Rules;
  #words: OperatorWords = { pins: new Map(), brake: BRAKE_OPEN, unreadable: [] };
  /** By account and subject. */
  readonly #tracks = new Map<string, Map<string, Track>>();
  readonly #wakes = new WakeQueue<{ account: string; subject: string; atMs: number }>();
  /** Every account that was heard of, for the brake. */
  readonly #known = new Set<string>();

  constructor(options: JudgingOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#rules = new Rules(options.config);
  }

  /** Number of accounts' subjects in the tarpit by the policy. */
  get tarpitted(): number {
    let count = 0;
    for (const subjects of this.#tracks.values()) for (const { state } of subjects.values()) if (state) count++;
    return count;
  }

  get isBraked(): boolean {
    return this.#config.brake !== 'off' && isHeld(this.#words.brake);
  }

  /** Another config from now on. Who is affected is judged when the caller asks for it. */
  reconfigure(config: PolicyConfig): void {
    this.#config = config;
    this.#rules = new Rules(config);
  }

  rulesOf(account: string): AccountRules {
    return this.#rules.of(account);
  }

  /** What beside rules and memory decides about an account now. */
  wordsOn(account: string): Pick<Case, 'pin'> & { mayEnter: boolean } {
    return { pin: this.#words.pins.get(account) ?? null, mayEnter: !this.isBraked };
  }

  /** Counts accounts as known, before any of them is judged. */
  know(accounts: readonly string[]): void {
    for (const account of accounts) this.#known.add(account);
  }

  get known(): readonly string[] {
    return [...this.#known];
  }

  /**
   * Looks at what operators have said. Returns the accounts of which a pin has changed, and whether the brake was let
   * go of. Rejects when Redis cannot be asked.
   */
  async refreshWords(): Promise<{ changed: string[]; wasLetGo: boolean; words: OperatorWords }> {
    const { redis, log } = this.#options;
    const before = this.#words;
    const words = await readOperatorWords(redis);
    if (words.unreadable.join() !== before.unreadable.join() && words.unreadable.length > 0)
      log.warn({ unreadable: words.unreadable.slice(0, 5) }, 'taken as a release');
    const wasLetGo = isHeld(before.brake) && !isHeld(words.brake);
    // Entries are each producer's own: of two that take the same readings, each counts whom it lets in itself.
    this.#words = { ...words, brake: { ...words.brake, entries: wasLetGo ? [] : before.brake.entries } };
    const accounts = new Set([...before.pins.keys(), ...words.pins.keys()]);
    const changed = [...accounts].filter(
      (account) => JSON.stringify(before.pins.get(account)) !== JSON.stringify(words.pins.get(account)),
    );
    return { changed, wasLetGo, words };
  }

  /**
   * Judges these and writes down what came of it. Returns what the policy would not take. Throws redis-unavailable when
   * other producers are always quicker; rejects with what Redis answered when it could not be written.
   */
  async judge(batch: Batch): Promise<Refusal[]> {
    const { ledger, clock } = this.#options;
    const refused: Refusal[] = [];
    this.know([...batch.keys()]);
    let waiting = batch;
    for (let tries = 0; waiting.size > 0; tries++) {
      if (tries === MAX_TRIES) {
        throw new HobblerError('redis-unavailable', 'other producers were quicker each time', { got: MAX_TRIES });
      }
      const entries = await ledger.read([...waiting.keys()]);
      const nowMs = clock.wallMs();
      const cases = this.#casesOf(waiting, entries);
      const brake = this.#words.brake;
      // Whoever is judged again was counted by the brake the first time.
      const decisions =
        tries === 0
          ? await this.#pass(cases, nowMs)
          : cases.map((it) => decide({ ...it, nowMs, mayEnter: !this.isBraked }));
      const outcomes = cases.map((it, index) => outcomeOf(it, decisions[index]!, this.#config, !this.isBraked, nowMs));
      let overtaken: Set<string>;
      try {
        overtaken = await ledger.save(this.#changesOf(outcomes, nowMs));
      } catch (error) {
        // Nobody has entered; whoever comes again is not to be counted twice.
        if (!this.isBraked) this.#words.brake = brake;
        throw error;
      }
      for (const outcome of outcomes) {
        if (overtaken.has(outcome.it.account)) continue;
        this.#follow(outcome);
        if (outcome.decision.change !== null) this.#options.onNews?.(newsOfOutcome(outcome, nowMs));
        refused.push(...this.#report(outcome));
      }
      const written = outcomes.filter(({ it }) => !overtaken.has(it.account));
      this.#options.history?.note(written, !this.isBraked);
      waiting = new Map([...waiting].filter(([account]) => overtaken.has(account)));
    }
    return refused;
  }

  /** Judges whom time alone changes by now, some of them; returns how many. Rejects like `judge`. */
  async judgeDue(nowMs: number): Promise<number> {
    const batch: Batch = new Map();
    const due: Track[] = [];
    while (due.length < DUE_AT_A_TIME && this.#wakes.nextAtMs <= nowMs) {
      const { account, subject, atMs } = this.#wakes.take()!;
      const track = this.#tracks.get(account)?.get(subject);
      if (!track || track.queuedAtMs !== atMs) continue;
      track.queuedAtMs = null;
      if (track.wakeAtMs !== null && track.wakeAtMs > nowMs) this.#queue(account, subject, track);
      if (track.wakeAtMs === null || track.wakeAtMs > nowMs) continue;
      const own = batch.get(account);
      if (own instanceof Map) own.set(subject, []);
      else batch.set(account, new Map([[subject, []]]));
      due.push(track);
    }
    try {
      await this.judge(batch);
    } catch (error) {
      for (const [account, subjects] of batch) {
        if (subjects === 'all') continue;
        for (const subject of subjects.keys()) {
          const track = this.#tracks.get(account)?.get(subject);
          if (track) this.#queue(account, subject, track);
        }
      }
      throw error;
    }
    return due.length;
  }

  #casesOf(waiting: Batch, entries: ReadonlyMap<string, LedgerEntry>): SubjectCase[] {
    return [...waiting].flatMap(([account, asked]) => {
      const entry = entries.get(account)!;
      const rules = this.#rules.of(account);
      const { pin } = this.wordsOn(account);
      const subjects = asked === 'all' ? this.#subjectsOf(entry, pin) : [...asked.keys()];
      return subjects.map((subject) => {
        const sent = asked === 'all' ? [] : asked.get(subject)!;
        const prior = this.#priorOf(entry, subject);
        return { account, subject, prior, entry, sent, readings: sent.map(({ reading }) => reading), rules, pin };
      });
    });
  }

  #subjectsOf({ account, states, owed }: LedgerEntry, pin: Case['pin']): string[] {
    const remembered = [...(this.#tracks.get(account) ?? [])].flatMap(([subject, { state }]) => (state ? subject : []));
    return [
      ...new Set([...states.keys(), ...owed.keys(), ...remembered, ...(pin?.kind === 'keep' ? [ACCOUNT_WIDE] : [])]),
    ];
  }

  #priorOf(entry: LedgerEntry, subject: string): Prior {
    const known = entry.states.get(subject) ?? this.#tracks.get(entry.account)?.get(subject)?.state;
    return known ?? (isUnreadable(entry, subject) ? 'unreadable' : 'none');
  }

  async #pass(cases: readonly SubjectCase[], nowMs: number): Promise<Decision[]> {
    const { redis, log } = this.#options;
    const { decisions, brake, alert } = judgePass(
      cases,
      this.#words.brake,
      this.#config.brake,
      this.#known.size,
      nowMs,
    );
    this.#words.brake = brake;
    if (alert !== null) {
      log.error(alert);
      await holdBrake(redis, brake, alert);
      this.#options.onNews?.(newsOfBrake(alert, nowMs));
    }
    return decisions;
  }

  #changesOf(outcomes: readonly Outcome[], nowMs: number): LedgerChange[] {
    const written = Map.groupBy(
      outcomes.filter(({ isWritten }) => isWritten),
      ({ it }) => it.account,
    );
    return [...written.values()].map((own) => {
      const { entry } = own[0]!.it;
      const current = new Set(own.map(({ it }) => it.subject));
      return {
        entry,
        subjects: own.map(({ decision, places, owed }) => ({
          state: decision.state,
          places: decision.state.standing.hobble ? places : [],
          owed,
        })),
        forget: forgettable(entry, current, this.#config.forgetAfter, nowMs),
      };
    });
  }

  /** Tells the enforcer what stands. By state and not by change: what an earlier, failed pass left out is made good. */
  #follow({ it: { account, subject, entry }, decision, verdict, places, owed }: Outcome): void {
    const { claims } = this.#options.enforcer;
    const { state, wakeAtMs, change } = decision;
    if (verdict.hobble) {
      const stood = entry.places.get(subject) ?? [];
      // Places that the config no longer gives it are let go: those that a producer before us has ordered, too.
      if (change === null && stood.length > 0) claims.impose({ ...verdict, places: stood }, false);
      claims.impose(verdict, change === 'in');
    } else claims.lift(verdict, owed?.places ?? []);
    const own = this.#tracks.get(account) ?? new Map<string, Track>();
    const track = own.get(subject) ?? { state: null, wakeAtMs: null, queuedAtMs: null };
    track.state = state.standing.hobble ? state : null;
    track.wakeAtMs = wakeAtMs;
    if (track.state || wakeAtMs !== null) {
      own.set(subject, track);
      this.#tracks.set(account, own);
      this.#queue(account, subject, track);
    } else {
      own.delete(subject);
      if (own.size === 0) this.#tracks.delete(account);
    }
    if (verdict.hobble && places.length === 0 && change !== null)
      this.#options.log.warn({ account, subject }, 'in the tarpit, but the config gives it no target');
  }

  #queue(account: string, subject: string, track: Track): void {
    const { wakeAtMs, queuedAtMs } = track;
    // A later time is found when the earlier one has come, so that readings do not fill the queue.
    if (wakeAtMs === null || (queuedAtMs !== null && queuedAtMs <= wakeAtMs)) return;
    track.queuedAtMs = wakeAtMs;
    this.#wakes.add(wakeAtMs, { account, subject, atMs: wakeAtMs });
  }

  #report({ it: { account, subject, sent }, decision: { change, notes }, verdict }: Outcome): Refusal[] {
    const { log } = this.#options;
    if (change !== null) log.info({ account, subject, change }, verdict.reason);
    for (const { kind, text } of notes) {
      if (kind === 'reset') log.info({ account, subject }, text);
      else log.debug({ account, subject, kind }, text);
    }
    return notes.flatMap(({ kind, index, text }) =>
      kind === 'refused' ? { index: sent[index]!.index, why: `reading: ${text}` } : [],
    );
  }
}

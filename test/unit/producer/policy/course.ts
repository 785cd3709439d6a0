/**
 * One account on its way through time, as the producer leads it: judged at its readings, and when the judge asked to
 * be woken. What the scenario tables are played on. Times are written as `HH:MM` or `HH:MM:SS` of a first day, with
 * `+1 ` before them for the next.
 */

import type { Prior } from '../../../../producer/policy/advance.ts';
import { attribute, type RawReading } from '../../../../producer/policy/attribute.ts';
import { policySchema } from '../../../../producer/policy/config.ts';
import { type Decision, decide, type Judgement, judge } from '../../../../producer/policy/judge.ts';
import type { AccountRules } from '../../../../producer/policy/rules.ts';
import { Rules } from '../../../../producer/policy/rules.ts';
import type { LedgerState } from '../../../../producer/policy/state.ts';
import type { Pin } from '../../../../shared/redis/pins.ts';

const DAY_MS = 86_400_000;
export const FIRST_DAY_MS = Date.parse('2025-11-24T00:00:00Z');

/** `14:30` of the first day, `+1 02:00` of the second; milliseconds since 1970. */
export function at(time: string): number {
  const [, days = '0', hours, minutes, seconds = '0'] = /^(?:\+(\d+) )?(\d\d):(\d\d)(?::(\d\d))?$/.exec(time) ?? [];
  if (hours === undefined) throw new Error(`not a time of a scenario: ${time}`);
  return (
    FIRST_DAY_MS + Number(days) * DAY_MS + (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000
  );
}

/** The other way round, for what is expected. */
export function timeOf(atMs: number | null): string | null {
  if (atMs === null) return null;
  const days = Math.floor((atMs - FIRST_DAY_MS) / DAY_MS);
  const time = new Date(atMs)
    .toISOString()
    .slice(11, 23)
    .replace(/(?::00)?\.000$/, '');
  return `${days > 0 ? `+${days} ` : ''}${time}`;
}

export function rulesFor(config: object, account = 'alice'): AccountRules {
  return new Rules(policySchema.parse(config)).of(account);
}

export class Course {
  rules: AccountRules;
  pin: Pin | null = null;
  mayEnter = true;
  state: Prior = 'none';
  last: Decision | null = null;
  /** Every change of its state: when, and to what. */
  readonly changes: string[] = [];
  nowMs = FIRST_DAY_MS;
  readonly #account: string;

  constructor(config: object, account = 'alice') {
    this.#account = account;
    this.rules = rulesFor(config, account);
  }

  /** Goes on to a time, waking where it was asked to; says how the account is treated then. */
  goTo(time: string | number): string {
    const untilMs = typeof time === 'number' ? time : at(time);
    while (this.last?.wakeAtMs && this.last.wakeAtMs <= untilMs) this.#decide(this.last.wakeAtMs, []);
    this.#decide(untilMs, []);
    return this.standing;
  }

  /** A reading at a time; taken then, unless it says otherwise. */
  read(time: string | number, ...readings: RawReading[]): string {
    const nowMs = typeof time === 'number' ? time : at(time);
    while (this.last?.wakeAtMs && this.last.wakeAtMs < nowMs) this.#decide(this.last.wakeAtMs, []);
    const attributed = readings.map((reading) => {
      const result = attribute(reading, this.rules, nowMs);
      if ('refused' in result) throw new Error(result.refused);
      return result.reading;
    });
    this.#decide(nowMs, attributed);
    return this.standing;
  }

  #decide(nowMs: number, readings: Parameters<typeof decide>[0]['readings']): void {
    this.nowMs = nowMs;
    const decision = decide({ ...this.#case(), readings, nowMs });
    this.last = decision;
    this.state = decision.state;
    if (decision.change) this.changes.push(`${timeOf(nowMs)} ${this.standing}`);
  }

  #case() {
    const { rules, pin, mayEnter, state: prior } = this;
    return { account: this.#account, subject: 'account', prior, rules, pin, mayEnter };
  }

  /** The judgement as of now, in words, without any reading. */
  explain(): Judgement {
    return judge({ ...this.#case(), readings: [], nowMs: this.nowMs });
  }

  /** `free`, or the duty cycle. */
  get standing(): string {
    const { verdict } = this.last!;
    return verdict.verdict === 'tarpit' ? `${verdict.hobble.runMs}/${verdict.hobble.stopMs}` : 'free';
  }

  /** When it is free if nothing more is used. */
  get untilTime(): string | null {
    const { verdict } = this.last!;
    return verdict.verdict === 'tarpit' ? timeOf(verdict.untilMs) : null;
  }

  get ledger(): LedgerState {
    if (typeof this.state === 'string') throw new Error('nothing is remembered yet');
    return this.state;
  }
}

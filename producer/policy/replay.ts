/**
 * Replay: what would have happened to whom, had these readings come when they were taken. Pure: its clock is the
 * readings' own. The same judge as ever, so it rebuilds a ledger that was lost, and tries a policy on last month.
 */

import type { Pin } from '../../shared/redis/pins.ts';
import type { Case, Prior } from './advance.ts';
import { attribute, type RawReading } from './attribute.ts';
import { BRAKE_OPEN, type BrakeState } from './brake.ts';
import type { BrakeSettings } from './config.ts';
import { type Explanation, explain } from './explain.ts';
import type { Decision } from './judge.ts';
import { judgePass } from './pass.ts';
import type { AccountRules, Rules } from './rules.ts';
import type { LedgerState } from './state.ts';
import { WakeQueue } from './wake-queue.ts';

export interface ReplayReading extends RawReading {
  account: string;
  subject: string;
  /** When it was taken, milliseconds since 1970. */
  at: number;
}

export interface ReplayOptions {
  rules: Rules;
  brake: BrakeSettings | 'off';
  /** Where it ends, milliseconds since 1970; left out: with the last reading. */
  untilMs?: number;
  /** How many accounts there are, for the brake; left out: as many as the readings speak of. */
  known?: number;
  /** What operators have pinned, by account, all the time. */
  pins?: ReadonlyMap<string, Pin>;
  onChange?: (change: ReplayChange) => void;
  /** The brake has begun to hold. */
  onAlert?: (alert: string, atMs: number) => void;
}

export interface ReplayChange {
  account: string;
  subject: string;
  atMs: number;
  change: NonNullable<Decision['change']>;
  state: LedgerState;
  explanation: Explanation;
}

export interface ReplayOutcome {
  /** By account and subject, in the order in which they were heard of. */
  states: LedgerState[];
  brake: BrakeState;
  /** By position in what was given. */
  refused: { index: number; why: string }[];
  readings: number;
  untilMs: number;
}

/** One account, or subject of it, on its way through the replay. */
interface Track {
  account: string;
  subject: string;
  rules: AccountRules;
  pin: Pin | null;
  prior: Prior;
  wakeAtMs: number | null;
}

/** Replays readings in any order; they are put in order of time first. */
export function replay(readings: readonly ReplayReading[], options: ReplayOptions): ReplayOutcome {
  return new Replay(options).run(readings);
}

/** The ledger state of one account that was lost, from what readings are left. */
export function rebuild(
  account: string,
  subject: string,
  readings: readonly RawReading[],
  { rules, pin = null, untilMs }: { rules: Rules; pin?: Pin | null; untilMs: number },
): LedgerState | null {
  const own = readings.flatMap((reading) =>
    reading.at === undefined || reading.at > untilMs ? [] : { ...reading, at: reading.at, account, subject },
  );
  const pins = new Map(pin ? [[account, pin]] : []);
  return replay(own, { rules, brake: 'off', pins, untilMs }).states[0] ?? null;
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #tracks = new Map<string, Track>();
  readonly #wakes = new WakeQueue<Track>();
  #brake: BrakeState = BRAKE_OPEN;
  #accounts = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  run(readings: readonly ReplayReading[]): ReplayOutcome {
    const refused: ReplayOutcome['refused'] = [];
    this.#accounts = new Set(readings.map(({ account }) => account)).size;
    const order = readings.map((_, index) => index).sort((a, b) => readings[a]!.at - readings[b]!.at || a - b);
    const untilMs = this.#options.untilMs ?? readings[order.at(-1) ?? 0]?.at ?? 0;
    for (let next = 0; next < order.length; ) {
      const nowMs = readings[order[next]!]!.at;
      if (nowMs > untilMs) break;
      this.#passTime(nowMs - 1);
      const cases = new Map<Track, Case['readings'][number][]>();
      for (; next < order.length && readings[order[next]!]!.at === nowMs; next++) {
        const reading = readings[order[next]!]!;
        const track = this.#trackOf(reading);
        const attributed = attribute(reading, track.rules, nowMs);
        if ('refused' in attributed) {
          refused.push({ index: order[next]!, why: attributed.refused });
          continue;
        }
        const own = cases.get(track);
        if (own) own.push(attributed.reading);
        else cases.set(track, [attributed.reading]);
      }
      this.#pass([...cases], nowMs);
    }
    this.#passTime(untilMs);
    const states = [...this.#tracks.values()].flatMap(({ prior }) => (typeof prior === 'string' ? [] : prior));
    return { states, brake: this.#brake, refused, readings: readings.length, untilMs };
  }

  #trackOf({ account, subject }: ReplayReading): Track {
    const key = `${account}\n${subject}`;
    let track = this.#tracks.get(key);
    if (!track) {
      const { rules, pins } = this.#options;
      track = {
        account,
        subject,
        rules: rules.of(account),
        pin: pins?.get(account) ?? null,
        prior: 'none',
        wakeAtMs: null,
      };
      this.#tracks.set(key, track);
    }
    return track;
  }

  /** Looks at everybody of whom time alone changes something, up to and with a moment. */
  #passTime(untilMs: number): void {
    while (this.#wakes.nextAtMs <= untilMs) {
      const nowMs = this.#wakes.nextAtMs;
      const due = new Set<Track>();
      while (this.#wakes.nextAtMs === nowMs) {
        const track = this.#wakes.take()!;
        if (track.wakeAtMs === nowMs) due.add(track);
      }
      this.#pass(
        [...due].map((track) => [track, []]),
        nowMs,
      );
    }
  }

  #pass(cases: readonly (readonly [Track, Case['readings']])[], nowMs: number): void {
    const { brake: settings, known = this.#accounts, onAlert } = this.#options;
    if (cases.length === 0) return;
    const all = cases.map(([track, readings]) => ({ ...track, readings }));
    const { decisions, brake, alert } = judgePass(all, this.#brake, settings, known, nowMs);
    this.#brake = brake;
    if (alert !== null) onAlert?.(alert, nowMs);
    for (const [index, decision] of decisions.entries()) this.#follow(cases[index]![0], decision, nowMs);
  }

  #follow(track: Track, { state, change, wakeAtMs }: Decision, nowMs: number): void {
    const { account, subject, rules, pin } = track;
    track.prior = state;
    if (wakeAtMs !== null && wakeAtMs !== track.wakeAtMs) this.#wakes.add(wakeAtMs, track);
    track.wakeAtMs = wakeAtMs;
    const { onChange } = this.#options;
    if (change === null || !onChange) return;
    const explanation = explain({ account, subject, state, rules, pin, nowMs });
    onChange({ account, subject, atMs: nowMs, change, state, explanation });
  }
}

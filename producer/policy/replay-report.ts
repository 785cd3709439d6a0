/**
 * What a replay came to: who was slowed, when, for how long, and why. Pure; collects changes as they come, and says them
 * in lines. Times in milliseconds since 1970.
 */
import type { Hobble } from '../../shared/order.ts';
import { lengthOf } from '../words.ts';
import type { ReplayChange } from './replay.ts';

/** A stretch of time in which a subject was slowed alike. */
export interface Span {
  fromMs: number;
  toMs: number;
  hobble: Hobble;
  /** Of the ladder, from 1; null: an operator's pin. */
  level: number | null;
}

/** One account, or subject of it. */
export interface Course {
  account: string;
  subject: string;
  spans: Span[];
  /** Times it was put in. */
  entries: number;
  slowedMs: number;
}

export class ReplayReport {
  readonly #courses = new Map<string, Course & { open: Omit<Span, 'toMs'> | null }>();

  add({ account, subject, atMs, change, state }: ReplayChange): void {
    const key = `${account}\n${subject}`;
    const course = this.#courses.get(key) ?? { account, subject, spans: [], entries: 0, slowedMs: 0, open: null };
    this.#courses.set(key, course);
    close(course, atMs);
    if (change === 'in') course.entries++;
    const { hobble, level } = state.standing;
    course.open = hobble && { fromMs: atMs, hobble, level };
  }

  /** Everybody who was ever slowed until `untilMs`, whom it cost most first. */
  courses(untilMs: number): Course[] {
    for (const course of this.#courses.values()) close(course, untilMs);
    return [...this.#courses.values()]
      .map(({ open: _, ...course }) => course)
      .sort((a, b) => b.slowedMs - a.slowedMs || (a.account < b.account ? -1 : 1));
  }
}

function close(course: Course & { open: Omit<Span, 'toMs'> | null }, toMs: number): void {
  if (!course.open) return;
  course.spans.push({ ...course.open, toMs });
  course.slowedMs += toMs - course.open.fromMs;
  course.open = null;
}

/** `2025-11-24T16:00:05Z alice in, 10 of 210 ms: cpu 2104 s of 2000 s, until 00:00 UTC`. */
export function changeLine({ account, subject, atMs, change, state, explanation }: ReplayChange): string {
  const { hobble } = state.standing;
  const how = hobble ? `, ${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms` : '';
  return `${iso(atMs)} ${nameOf({ account, subject })} ${change}${how}: ${explanation.reason}`;
}

/** `alice: slowed 2 times, for 1h30m`. */
export function courseLine({ entries, slowedMs, ...who }: Course): string {
  const times = entries === 1 ? 'once' : `${entries} times`;
  return `${nameOf(who)}: slowed ${times}, for ${lengthOf(Math.round(slowedMs / 1000) * 1000)}`;
}

/** The account, and what of it where that is not all. */
export function nameOf({ account, subject }: { account: string; subject: string }): string {
  return subject === 'account' ? account : `${account} (${subject})`;
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}

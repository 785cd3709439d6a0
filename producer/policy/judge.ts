/**
 * The judge: from readings, what is remembered of an account, its rules and the time, the verdict, what is to be
 * remembered, and why, in words. Pure, over plain data. How it is come by stands in advance.ts.
 */
import type { Hobble } from '../../shared/order.ts';
import { advance, type Case, type Step } from './advance.ts';
import { type Explanation, explain } from './explain.ts';
import { freeAtMs } from './free-at.ts';

export type Verdict =
  | { verdict: 'leave' }
  /** `untilMs`: when it ends if nothing more is used, milliseconds since 1970; null: no end is in sight. */
  | { verdict: 'tarpit'; hobble: Hobble; untilMs: number | null }
  /** Was in the tarpit, or may have been, and is let go now. */
  | { verdict: 'untarpit' };

export interface Decision extends Omit<Step, 'before'> {
  verdict: Verdict;
}

/** A decision with its reasons in words. */
export interface Judgement extends Decision {
  explanation: Explanation;
}

/** Judges, and says why. */
export function judge(it: Case): Judgement {
  const decision = decide(it);
  return { ...decision, explanation: explain({ ...it, state: decision.state }) };
}

/** Judges without words, which cost more than the judging. */
export function decide(it: Case): Decision {
  const { before, ...step } = advance(it);
  const { hobble } = step.state.standing;
  if (hobble) {
    return { ...step, verdict: { verdict: 'tarpit', hobble, untilMs: freeAtMs(it, step.state, step.wakeAtMs) } };
  }
  // Of what cannot be read, it is not known that it was no penalty; untarpitting who is free does no harm.
  const mayBeIn = before.hobble !== null || it.prior === 'unreadable';
  return { ...step, verdict: { verdict: mayBeIn ? 'untarpit' : 'leave' } };
}

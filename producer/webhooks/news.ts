/** What is told of an outcome of the judging, and of the brake. Pure; the words are the judging's own. */
import type { Outcome } from '../outcome.ts';
import type { News } from './message.ts';

const EVENT_OF = { in: 'entered', harsher: 'climbed', milder: 'eased', out: 'left' } as const;

/** Of an outcome whose verdict has changed. */
export function newsOfOutcome({ decision: { change }, verdict }: Outcome, nowMs: number): News {
  const { account, subject, reason, hobble, untilMs } = verdict;
  return { event: EVENT_OF[change ?? 'in'], account, subject, reason, level: hobble, untilMs, atMs: nowMs };
}

/** Of a brake that has begun to hold. */
export function newsOfBrake(alert: string, nowMs: number): News {
  return { event: 'brake', account: null, subject: null, reason: alert, level: null, untilMs: null, atMs: nowMs };
}

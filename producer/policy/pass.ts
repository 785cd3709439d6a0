/**
 * A pass: many accounts judged at one moment, under the brake. Pure. Owns who counts as entering: only whom the policy
 * puts in who was out; not who gets harsher, and not whom an operator keeps in.
 */
import type { Case } from './advance.ts';
import { admit, type BrakeState, isHeld } from './brake.ts';
import type { BrakeSettings } from './config.ts';
import { type Decision, decide } from './judge.ts';

export interface Pass {
  /** In the order of the cases. */
  decisions: Decision[];
  brake: BrakeState;
  /** What to tell the operator, when the brake has just begun to hold. */
  alert: string | null;
}

/** Judges each of these, and holds all who would enter where they are too many. */
export function judgePass(
  cases: readonly Omit<Case, 'nowMs' | 'mayEnter'>[],
  brake: BrakeState,
  settings: BrakeSettings | 'off',
  known: number,
  nowMs: number,
): Pass {
  const mayEnter = settings === 'off' || !isHeld(brake);
  const decisions = cases.map((it) => decide({ ...it, nowMs, mayEnter }));
  const entering = decisions.filter(isEntry).length;
  const { state, isAdmitted, alert } = admit(brake, settings, { entering, known, nowMs });
  if (isAdmitted || entering === 0) return { decisions, brake: state, alert };
  const held = decisions.map((decision, index) =>
    isEntry(decision) ? decide({ ...cases[index]!, nowMs, mayEnter: false }) : decision,
  );
  return { decisions: held, brake: state, alert };
}

function isEntry({ change, state }: Decision): boolean {
  return change === 'in' && !state.standing.isPinned;
}

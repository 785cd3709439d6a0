/**
 * After a gap, in which the worker was away: everything runs until guard, lease, hold, expiry and identities have been
 * looked at anew (invariant 1). Tries until that has been done; owns the order of it, not what a look is.
 */
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { Gate } from './engine.ts';

export interface GapParts {
  gates: {
    closeGate(gate: Gate, why: string): void;
    openGate(gate: Gate): void;
    isClosed(gate: Gate): boolean;
  };
  /** Looks at guard, lease, expiry and hold. Rejects when that cannot be done. */
  look: (gapMs: number) => Promise<void>;
  /** Reads every process anew. */
  sweepAnew: () => Promise<void>;
  clock: Clock;
  log: Logger;
}

/** A gap that could not be looked into is tried again after this. */
const GAP_RETRY_MS = 500;

/** Does nothing while one is being looked into. */
export function lookIntoGap(parts: GapParts, gapMs: number): void {
  if (!parts.gates.isClosed('gap')) void lookInto(parts, gapMs);
}

async function lookInto(parts: GapParts, gapMs: number): Promise<void> {
  const { gates, look, sweepAnew, clock, log } = parts;
  log.warn({ gapMs: Math.round(gapMs) }, 'was away: everything runs until all is looked at anew');
  gates.closeGate('gap', 'the worker was away and looks at everything anew');
  try {
    await look(gapMs);
    await sweepAnew();
    gates.openGate('gap');
  } catch (error) {
    if (gates.isClosed('stopping')) return;
    log.warn({ err: error }, 'could not look at everything anew; trying again');
    clock.after(GAP_RETRY_MS, () => void lookInto(parts, gapMs));
  }
}

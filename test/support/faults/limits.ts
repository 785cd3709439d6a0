/** What a history holds a host to, milliseconds: the promises of docs/architecture.md, and how long the rest may take. */

/** Invariant 1: dead, and hung with the time in which the guard must have noticed. */
export const DEAD_LIMIT_MS = 1_000;
export const HUNG_LIMIT_MS = 3_500;
/** A worker takes a guard that does not listen for none after 2 s, and looks twice a second. */
export const DEAF_LIMIT_MS = 4_000;
/** Longer than any run phase, also where periods are stretched. */
export const RUN_PHASE_MS = 400;
/** A hold is looked at every 500 ms. */
export const HOLD_LIMIT_MS = 1_000;
/** A worker tries to reach a Redis that was away every 2 s or sooner. */
export const RECONNECTED_MS = 4_000;
/** A release script reads the journal and is done. */
export const SCRIPT_LIMIT_MS = 5_000;
export const START_LIMIT_MS = 20_000;
/** Reconcile every 10 s, a lease that is free after 15 s, a queue that looks again after its connection is back. */
export const SETTLE_LIMIT_MS = 60_000;

/** What operators choose from: how slow, and for how long an account is kept out. The words stand in the forms. */
import { DEFAULT_RUN_MS, DEFAULT_STOP_MS } from '../../shared/order.ts';
import type { KeepOut } from './actions.ts';

export const MAX_REASON_CHARS = 500;

export interface Level {
  name: string;
  words: string;
  /** Milliseconds. */
  cycle: { runMs: number; stopMs: number };
}

/** From the usual one on, harsher and milder. The share is that of time in the run phase. */
export const LEVELS: readonly Level[] = [
  { name: 'usual', words: 'usual, 4.8 %', cycle: { runMs: DEFAULT_RUN_MS, stopMs: DEFAULT_STOP_MS } },
  { name: 'tenth', words: 'a tenth', cycle: { runMs: 20, stopMs: 180 } },
  { name: 'quarter', words: 'a quarter', cycle: { runMs: 50, stopMs: 150 } },
  { name: 'half', words: 'a half', cycle: { runMs: 100, stopMs: 100 } },
  { name: 'hundredth', words: 'a hundredth', cycle: { runMs: 10, stopMs: 990 } },
];

const HOUR_MS = 3_600_000;

/** How long the policy is kept from taking somebody back. */
export const KEEP_OUT: readonly { value: string; words: string; keepOut: KeepOut }[] = [
  { value: 'no', words: 'no: the policy may put the account in at its next verdict', keepOut: null },
  { value: '1h', words: 'for 1 hour', keepOut: { forMs: HOUR_MS } },
  { value: '4h', words: 'for 4 hours', keepOut: { forMs: 4 * HOUR_MS } },
  { value: '24h', words: 'for 24 hours', keepOut: { forMs: 24 * HOUR_MS } },
  { value: '7d', words: 'for 7 days', keepOut: { forMs: 7 * 24 * HOUR_MS } },
  { value: 'always', words: 'until it is lifted by hand', keepOut: { forMs: null } },
];

/** How long a tarpit by hand lasts, as offered. */
export const LEASES = ['15m', '30m', '1h', '2h', '4h', '8h', '24h'] as const;
export const USUAL_LEASE = '30m';

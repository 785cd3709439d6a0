/** What the producer's tests share: a config and a verdict with everything filled in, to vary in one place. */
import { type ProducerConfig, producerSchema } from '../../../producer/config.ts';
import { ACCOUNT_WIDE } from '../../../producer/reading.ts';
import type { SubjectVerdict } from '../../../producer/subject-verdict.ts';

/** 2025-11-24T16:00:00Z. */
export const NOW_MS = 1_764_000_000_000;
export const MIDNIGHT_MS = Date.parse('2025-11-25T00:00:00Z');
export const LEVEL = { runMs: 10, stopMs: 200, mechanism: 'auto' as const };

export function config(section: object = {}): ProducerConfig {
  return producerSchema.parse({ limits: { default: { used: 2000 } }, ...section });
}

export function verdict(parts: Partial<SubjectVerdict> = {}): SubjectVerdict {
  return {
    account: 'alice',
    subject: ACCOUNT_WIDE,
    hobble: LEVEL,
    reason: 'cpu 2104 s of 2000 s, until 00:00 UTC',
    sinceMs: NOW_MS - 60_000,
    untilMs: MIDNIGHT_MS,
    places: [{ host: '*', target: 'user:alice' }],
    ...parts,
  };
}

/** What the producer's tests share: a config, a usage and a record with everything filled in, to vary in one place. */
import { type ProducerConfig, producerSchema } from '../../../producer/config.ts';
import type { PolicyRules } from '../../../producer/policy.ts';
import { ACCOUNT_WIDE, type Usage } from '../../../producer/reading.ts';
import type { AccountRecord } from '../../../producer/record.ts';

/** 2025-11-24T16:00:00Z. */
export const NOW_MS = 1_764_000_000_000;
export const MIDNIGHT_MS = Date.parse('2025-11-25T00:00:00Z');
export const LEVEL = { runMs: 10, stopMs: 200, mechanism: 'auto' as const };

export function config(section: object = {}): ProducerConfig {
  return producerSchema.parse({ limits: { default: { used: 2000 } }, ...section });
}

export const RULES: PolicyRules = { leaveRatio: 0.9, level: LEVEL, forgetAfterMs: 86_400_000, exempt: new Set() };

export function usage(parts: Partial<Usage> = {}): Usage {
  return {
    account: 'alice',
    subject: ACCOUNT_WIDE,
    used: 100,
    limit: 2000,
    unit: 's',
    resource: 'cpu',
    window: 'today',
    isWindowNamed: true,
    resetsAtMs: MIDNIGHT_MS,
    readAtMs: NOW_MS,
    places: [{ host: '*', target: 'user:alice' }],
    ...parts,
  };
}

export function record(parts: Partial<AccountRecord> = {}): AccountRecord {
  const { isWindowNamed: _, ...figures } = usage({ used: 2104, readAtMs: NOW_MS - 60_000 });
  return {
    v: 1,
    ...figures,
    verdict: 'tarpit',
    level: LEVEL,
    reason: 'cpu 2104 s of 2000 s, until 00:00 UTC',
    sinceMs: NOW_MS - 60_000,
    receivedAtMs: NOW_MS - 60_000,
    ...parts,
  };
}

/** Who outranks whom at one target, as a table. */
import { describe, expect, it } from 'vitest';
import { isReleasedByOther, mayRenew, mayTarpit, mayUntarpit } from '../../../producer/precedence.ts';
import type { Order } from '../../../shared/order.ts';
import { LEVEL, NOW_MS } from './support.ts';

const common = { v: 1 as const, host: '*', target: 'user:alice', version: 1, issuedAt: NOW_MS - 1000, reason: '' };
const tarpit = (by: string, expiresAt: number): Order => ({
  ...common,
  action: 'tarpit',
  by,
  expiresAt,
  hobble: LEVEL,
});
const untarpit = (by: string, issuedAt = NOW_MS - 1000): Order => ({ ...common, action: 'untarpit', by, issuedAt });

/** When the policy first ordered its tarpit. */
const SINCE_MS = NOW_MS - 60_000;

describe('what the policy may overtake', () => {
  it.each([
    // standing, first tarpit, renewal, untarpit
    ['nothing', null, true, true, true],
    ['its own tarpit', tarpit('policy', NOW_MS + 1), true, true, true],
    ['its own untarpit', untarpit('policy'), true, true, true],
    ["an operator's live tarpit", tarpit('operator:eve', NOW_MS + 1), false, false, false],
    ["an operator's tarpit that has ended", tarpit('operator:eve', NOW_MS), true, true, true],
    ["an operator's release since", untarpit('operator:eve'), true, false, false],
    ["an operator's release from before", untarpit('operator:eve', SINCE_MS - 1), true, true, false],
    ["an accounting system's release", untarpit('billing'), true, false, false],
  ])('%s', (_title, standing, first, renewal, release) => {
    expect(mayTarpit(standing, NOW_MS)).toBe(first);
    expect(mayRenew(SINCE_MS)(standing, NOW_MS)).toBe(renewal);
    expect(mayUntarpit(standing, NOW_MS)).toBe(release);
  });

  it('a release of before the tarpit is no release of it', () => {
    expect(isReleasedByOther(untarpit('operator:eve', 5), 6)).toBe(false);
    expect(isReleasedByOther(untarpit('operator:eve', 6), 6)).toBe(true);
    expect(isReleasedByOther(untarpit('policy', 7), 6)).toBe(false);
  });
});

/** What the CLI answers: outcomes and their exit codes, findings of doctor, the status tables. No process, no Redis. */
import { describe, expect, test } from 'vitest';
import { clockFinding, formatFindings, roundTripFinding } from '../../../cli/doctor.ts';
import { EXIT } from '../../../cli/exit.ts';
import { describeResult, exitCodeOfOutcomes, type Outcome } from '../../../cli/outcome.ts';
import { createPalette } from '../../../cli/print.ts';
import { formatFleet } from '../../../cli/status.ts';
import type { HostView } from '../../../shared/redis/fleet.ts';
import type { Report } from '../../../shared/report.ts';

const palette = createPalette(false);
const outcome = (status: Outcome['status']): Outcome => ({ host: 'web-1', status, detail: '' });

describe('what came of an order', () => {
  test.each([
    [['applied'], false, EXIT.ok],
    [['denied'], false, EXIT.failed],
    [['gone'], false, EXIT.failed],
    [['applied', 'gone'], true, EXIT.ok],
    [['applied', 'pending'], true, EXIT.unavailable],
    [['denied', 'pending'], true, EXIT.failed],
  ] as const)('%j (fleet: %s) is exit code %i', (statuses, isFleet, code) => {
    expect(exitCodeOfOutcomes(statuses.map(outcome), isFleet)).toBe(code);
  });

  test('an untarpit says what still holds the target', () => {
    const said = describeResult('web-1', { status: 'applied', processes: 1, heldBy: 'user:alice' });
    expect(said.detail).toBe('1 process, still held by user:alice');
  });
});

describe('doctor', () => {
  test('every finding that is not ok says what to do', () => {
    expect(roundTripFinding(0.4)).toMatchObject({ status: 'ok' });
    expect(roundTripFinding(80)).toMatchObject({ status: 'warn', hint: expect.any(String) });
    expect(clockFinding(-300)).toMatchObject({ status: 'ok', detail: "Redis's clock is 0.300 s behind this one" });
    expect(clockFinding(5_000)).toMatchObject({ status: 'warn', hint: expect.any(String) });
    expect(clockFinding(-90_000)).toMatchObject({ status: 'fail', hint: expect.any(String) });
  });

  test('the last line sums up', () => {
    const lines = formatFindings([roundTripFinding(1), { name: 'a', status: 'fail', detail: 'b', hint: 'c' }], palette);
    expect(lines).toEqual([
      'ok    redis round trip  1.0 ms',
      'fail  a                 b; c',
      '',
      '1 failed, 0 to look at',
    ]);
  });
});

describe('status', () => {
  const report: Report = {
    v: 1,
    target: 'user:alice',
    account: 'alice',
    version: 1,
    state: 'hobbling',
    why: null,
    mechanism: 'signal',
    mechanismWhy: null,
    runMs: 10,
    stopMs: 200,
    processes: 3,
    ownedElsewhere: 0,
    beforeRatio: null,
    askedRatio: 10 / 210,
    gotRatio: 0.5,
    effective: false,
    stops: 5,
    reason: 'mining\u001b[2J',
    by: 'operator:me',
    sinceMs: 0,
    expiresAtMs: 61_000,
    reportedAtMs: 0,
  };
  const host: HostView = {
    host: 'web-1',
    liveness: 'lost',
    status: null,
    broken: null,
    hold: null,
    reports: [report],
    brokenReports: [{ target: 'uid:7', why: 'not JSON' }],
  };

  test('an empty Redis says how to begin', () => {
    expect(formatFleet({ hosts: [], hold: null, nowMs: 0 }, palette)).toEqual([
      'No worker has ever reported to this Redis. Start one with: hobbler worker',
    ]);
  });

  test('what is not known is a question mark, what does not slow down is marked, and nothing steers the terminal', () => {
    const text = formatFleet({ hosts: [host], hold: null, nowMs: 0 }, palette).join('\n');
    expect(text).toContain('web-1  lost       ?');
    expect(text).toMatch(/user:alice {2}hobbling +3 +\? +4\.8 % +50 %! +1m 01s {2}operator:me {2}mining\uFFFD\[2J/);
    expect(text).toContain('report cannot be read: not JSON');
  });

  test('a hold of the fleet comes first', () => {
    const hold = { reason: 'look', by: 'operator:me', sinceMs: 0 };
    expect(formatFleet({ hosts: [], hold, nowMs: 5_000 }, palette)[0]).toBe(
      'The fleet is held: look (operator:me, 5s ago)',
    );
  });
});

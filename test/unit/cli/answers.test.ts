/** What the CLI answers: outcomes and their exit codes, findings of doctor. No process, no Redis. */
import { describe, expect, test } from 'vitest';
import { clockFinding, formatFindings, roundTripFinding } from '../../../cli/doctor.ts';
import { EXIT } from '../../../cli/exit.ts';
import { describeResult, exitCodeOfOutcomes, type Outcome } from '../../../cli/outcome.ts';
import { createPalette } from '../../../cli/print.ts';

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

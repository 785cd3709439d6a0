/** The brake: when it holds, whom, and how an operator lets go of it. */
import { describe, expect, it } from 'vitest';
import type { Prior } from '../../../../producer/policy/advance.ts';
import { attribute } from '../../../../producer/policy/attribute.ts';
import {
  admit,
  BRAKE_OPEN,
  type BrakeState,
  brakeStateSchema,
  isHeld,
  letGo,
} from '../../../../producer/policy/brake.ts';
import { judgePass } from '../../../../producer/policy/pass.ts';
import type { Pin } from '../../../../shared/redis/pins.ts';
import { at, rulesFor } from './course.ts';

const MINUTE_MS = 60_000;
const NOW_MS = at('12:00');
const SETTINGS = { share: 0.2, atLeast: 10, within: 10 * MINUTE_MS };
const crowd = (entering: number, known: number, nowMs = NOW_MS) => ({ entering, known, nowMs });

describe('a crowd', () => {
  it.each([
    ['within the share', 20, 100, true],
    ['one more than the share', 21, 100, false],
    ['of a few accounts, where one is a third', 1, 3, true],
    ['all of a few accounts', 10, 10, true],
    ['more than always may', 11, 11, false],
    ['nobody', 0, 0, true],
  ])('%s', (_title, entering, known, isAdmitted) => {
    const result = admit(BRAKE_OPEN, SETTINGS, crowd(entering, known));
    expect(result.isAdmitted).toBe(isAdmitted);
    expect(isHeld(result.state)).toBe(!isAdmitted);
    expect(result.alert === null).toBe(isAdmitted);
  });

  it('that comes in many parts is counted together, within its time', () => {
    const parts = (everyMs: number) => {
      let state: BrakeState = BRAKE_OPEN;
      for (let part = 0; part < 7; part++) {
        const result = admit(state, SETTINGS, crowd(3, 100, NOW_MS + part * everyMs));
        state = result.state;
        expect(state.entries.length).toBeLessThanOrEqual(31);
        if (!result.isAdmitted) return part;
      }
      return null;
    };
    expect(parts(0)).toBe(6);
    expect(parts(MINUTE_MS)).toBe(6);
    expect(parts(2 * MINUTE_MS)).toBeNull();
  });

  it('is reported once, in words', () => {
    const first = admit(BRAKE_OPEN, SETTINGS, crowd(340, 1_000));
    expect(first.alert).toBe(
      'the brake holds: 340 of 1000 accounts would be in, more than 20 % of them; is the accounting right? Nobody enters until an operator lets go',
    );
    expect(admit(first.state, SETTINGS, crowd(1, 1_000))).toMatchObject({ isAdmitted: false, alert: null });
    expect(first.state.held).toEqual({ sinceMs: NOW_MS, entering: 340, known: 1_000 });
    expect(brakeStateSchema.parse(JSON.parse(JSON.stringify(first.state)))).toEqual(first.state);
  });

  it('is never held where the brake is off', () => {
    const held = admit(BRAKE_OPEN, SETTINGS, crowd(340, 1_000)).state;
    expect(admit(held, 'off', crowd(1_000, 1_000))).toMatchObject({ isAdmitted: true, alert: null });
  });
});

describe('an operator who lets go', () => {
  const held = admit(BRAKE_OPEN, SETTINGS, crowd(340, 1_000)).state;

  it('because the accounting is mended: entries are counted anew', () => {
    const open = letGo(held, { by: 'operator:ann', why: 'mended', letInUntilMs: null });
    const next = admit(open, SETTINGS, crowd(5, 1_000));
    expect(next.isAdmitted).toBe(true);
    expect(admit(next.state, SETTINGS, crowd(300, 1_000)).isAdmitted).toBe(false);
  });

  it('because the figures are right: all are let in until the time said, and are not counted after it', () => {
    const open = letGo(held, { by: 'operator:ann', why: 'exam week', letInUntilMs: NOW_MS + MINUTE_MS });
    const first = admit(open, SETTINGS, crowd(340, 1_000));
    expect(first.isAdmitted).toBe(true);
    const later = admit(first.state, SETTINGS, crowd(5, 1_000, NOW_MS + MINUTE_MS));
    expect(later.isAdmitted).toBe(true);
    expect(admit(later.state, SETTINGS, crowd(340, 1_000, NOW_MS + MINUTE_MS)).isAdmitted).toBe(false);
  });
});

describe('a pass', () => {
  const rules = rulesFor({ dwell: '1m', limits: { day: { used: 2000 } } });
  const caseOf = (account: string, used: number, prior: Prior = 'none', pin: Pin | null = null) => {
    const attributed = attribute({ used }, rules, NOW_MS);
    if ('refused' in attributed) throw new Error(attributed.refused);
    return { account, subject: 'account', prior, readings: [attributed.reading], rules, pin };
  };
  const many = (count: number, used: number) => Array.from({ length: count }, (_, n) => caseOf(`user-${n}`, used));
  const verdicts = (pass: ReturnType<typeof judgePass>) => pass.decisions.map(({ verdict }) => verdict.verdict);

  it('in which too many would enter lets none of them in, counts no offence, and keeps what was read', () => {
    const pass = judgePass(many(30, 2104), BRAKE_OPEN, SETTINGS, 100, NOW_MS);
    expect(new Set(verdicts(pass))).toEqual(new Set(['leave']));
    expect(pass.alert).toMatch(/^the brake holds: 30 of 100/);
    for (const { state } of pass.decisions)
      expect(state.limits.day).toMatchObject({ penalty: null, figure: { used: 2104 } });
  });

  it('while it holds still lets go, and keeps in who is in', () => {
    const first = judgePass([caseOf('in', 2104), caseOf('over', 2104)], BRAKE_OPEN, SETTINGS, 100, NOW_MS - MINUTE_MS);
    const [stays, leaves] = first.decisions.map(({ state }) => state) as [Prior, Prior];
    const cases = [caseOf('in', 2200, stays), caseOf('over', 5, leaves), ...many(30, 2104)];
    const pass = judgePass(cases, BRAKE_OPEN, SETTINGS, 100, NOW_MS);
    expect(verdicts(pass).slice(0, 3)).toEqual(['tarpit', 'untarpit', 'leave']);
  });

  it('does not count whom an operator keeps in, and holds him in too', () => {
    const pin: Pin = {
      v: 1,
      kind: 'keep',
      setAtMs: 0,
      untilMs: NOW_MS + MINUTE_MS,
      by: 'operator:ann',
      why: '',
      hobble: { runMs: 1, stopMs: 9, mechanism: 'auto' },
    };
    const cases = Array.from({ length: 30 }, (_, n) => caseOf(`user-${n}`, 1, 'none', pin));
    const pass = judgePass(cases, BRAKE_OPEN, SETTINGS, 100, NOW_MS);
    expect(pass.alert).toBeNull();
    expect(new Set(verdicts(pass))).toEqual(new Set(['tarpit']));
  });

  it('after an operator has let go judges those who were held by their next reading', () => {
    const held = judgePass(many(30, 2104), BRAKE_OPEN, SETTINGS, 100, NOW_MS);
    const priors = held.decisions.map(({ state }) => state);
    const open = letGo(held.brake, { by: 'operator:ann', why: 'right', letInUntilMs: NOW_MS + 10 * MINUTE_MS });
    const again = judgePass(
      priors.map((prior, n) => ({ ...caseOf(`user-${n}`, 2105), prior })),
      open,
      SETTINGS,
      100,
      NOW_MS + MINUTE_MS,
    );
    expect(new Set(verdicts(again))).toEqual(new Set(['tarpit']));
  });
});

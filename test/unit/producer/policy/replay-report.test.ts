/** What a replay is told as: spans that add up, lines for people, and a picture that no name can break out of. */
import { describe, expect, it } from 'vitest';
import { policySchema } from '../../../../producer/policy/config.ts';
import { type ReplayReading, replay } from '../../../../producer/policy/replay.ts';
import { changeLine, courseLine, ReplayReport } from '../../../../producer/policy/replay-report.ts';
import { drawReplay } from '../../../../producer/policy/replay-svg.ts';
import { Rules } from '../../../../producer/policy/rules.ts';
import { at } from './course.ts';

const HOSTILE = '<script>&"alice"';
const CONFIG = {
  limits: { default: { used: 2000 } },
  ladders: {
    standard: {
      levels: [
        { runMs: 50, stopMs: 50, for: '1h' },
        { runMs: 10, stopMs: 200, for: '2h' },
      ],
    },
  },
  brake: 'off',
};

function play(readings: ReplayReading[], untilMs: number) {
  const report = new ReplayReport();
  const lines: string[] = [];
  const config = policySchema.parse(CONFIG);
  replay(readings, {
    rules: new Rules(config),
    brake: config.brake,
    untilMs,
    onChange: (change) => {
      report.add(change);
      lines.push(changeLine(change));
    },
  });
  return { courses: report.courses(untilMs), lines };
}
const used = (account: string, time: string, figure: number, subject = 'account'): ReplayReading => ({
  account,
  subject,
  at: at(time),
  used: figure,
});
const readings = [
  used('bob', '09:00', 2000),
  used('bob', '11:00', 2300),
  used(HOSTILE, '12:30', 2104, 'web-1 uid:7'),
  used('carl', '12:00', 5),
];

describe('a replay is told', () => {
  const { courses, lines } = play(readings, at('12:45'));

  it('by spans that add up, whom it cost most first; who was never slowed is left out', () => {
    expect(courses.map(({ account, entries, slowedMs }) => [account, entries, slowedMs / 60_000])).toEqual([
      ['bob', 2, 60 + 105],
      [HOSTILE, 1, 15],
    ]);
    expect(courses[0]!.spans).toMatchObject([
      { fromMs: at('09:00'), toMs: at('10:00'), level: 1 },
      { fromMs: at('11:00'), toMs: at('12:45'), level: 2 },
    ]);
  });

  it('change by change, and in a line for each', () => {
    expect(lines.slice(0, 3)).toEqual([
      '2025-11-24T09:00:00Z bob in, 50 of 100 ms: cpu 2000 s of 2000 s, level 1 of 2, until 10:00 UTC',
      '2025-11-24T10:00:00Z bob out: the penalty is served: cpu 2000 s of 2000 s',
      '2025-11-24T11:00:00Z bob in, 10 of 210 ms: cpu 2300 s of 2000 s, level 2 of 2, until 13:00 UTC',
    ]);
    expect(courses.map(courseLine)).toEqual([
      'bob: slowed 2 times, for 2h45m',
      `${HOSTILE} (web-1 uid:7): slowed once, for 15m`,
    ]);
  });

  it('as a picture: a bar for each span, and names that stay text', () => {
    const svg = drawReplay(courses, at('09:00'), at('12:45'));
    expect(svg.match(/<rect x="[\d.]+" y="\d+" width="[\d.]+"/g)).toHaveLength(3);
    expect(svg).not.toContain('<script>');
    expect(svg).toContain('&lt;script&gt;&amp;&quot;alice&quot;');
    expect(svg).not.toContain('NaN');
  });

  it('as a picture also of nobody, and of a name that XML cannot hold', () => {
    expect(drawReplay([], 0, 0)).toContain('0 slowed');
    const broken = { ...courses[0]!, account: 'a\ud800\u0001\uffff' };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be in it
    expect(drawReplay([broken], at('09:00'), at('12:45'))).not.toMatch(/[\u0001\uffff]|\ud800(?![\udc00-\udfff])/);
  });
});

/** The page and its sections: what they show, and what they judge by the goals. */
import { describe, expect, it } from 'vitest';
import { renderPage } from '../../../bench/page.ts';
import type { Sample } from '../../../bench/results.ts';
import { type Goal, goalOf, judgedGoals } from '../../../bench/scenario.ts';
import { SCENARIOS } from '../../../bench/scenarios/all.ts';
import { caseExample, resultExample } from './examples.ts';

const scenario = (name: string) => SCENARIOS.find((each) => each.name === name)!;
const render = (name: string, samples: Sample[]) => scenario(name).render(resultExample(samples));
const goal = (goals: Goal[], what: RegExp) => goals.find((each) => what.test(each.what))!;

describe.each(SCENARIOS)('scenario $name', ({ render: section, seconds }) => {
  it('renders when nothing was measured, and meets no goal then', () => {
    const { markdown, plots, goals } = section(resultExample([]));
    expect(`${markdown}${Object.values(plots).join()}`).not.toMatch(/NaN|undefined|Infinity/);
    expect(goals.length).toBeGreaterThan(0);
    for (const { outcome, measured } of goals) expect([outcome, measured]).toEqual(['not measured', '']);
  });

  it('shows every plot that it makes, and makes every one that it shows', () => {
    const { markdown, plots } = section(resultExample([]));
    const shown = [...markdown.matchAll(/\(benchmarks\/([\w-]+\.svg)\)/g)].map((match) => match[1]);
    expect(shown.toSorted()).toEqual(Object.keys(plots).toSorted());
  });

  it('says what it takes', () => {
    expect(seconds.round).toBeGreaterThan(0);
  });
});

it('the whole bench takes at most 40 minutes at five rounds', () => {
  const seconds = SCENARIOS.reduce((sum, each) => sum + each.seconds.open + 5 * each.seconds.round, 0);
  expect(seconds).toBeLessThanOrEqual(40 * 60);
});

describe('a goal', () => {
  it('is neither met nor missed when something that it needs was not measured (invariant 9)', () => {
    const judge = () => ({ measured: 'x', met: true });
    expect(goalOf<[number, number]>('w', 'g', [1, undefined], judge).outcome).toBe('not measured');
    expect(goalOf<[number, number]>('w', 'g', [1, Number.NaN], judge).outcome).toBe('not measured');
    expect(goalOf<[number, number]>('w', 'g', [1, 2], judge).outcome).toBe('met');
  });
});

it('no goal is judged on fewer targets than it is about', () => {
  const samples = caseExample('hobbler, the idle spared (default)', undefined, { own: [1], share: [4.76] });
  const goals = (targets: number[] | null) => {
    const result = resultExample(samples, { targets });
    return judgedGoals(scenario('mostly-idle'), result, scenario('mostly-idle').render(result));
  };
  expect(goals([50])[0]?.outcome).toBe('not measured');
  expect([goals([10_000])[0]?.outcome, goals(null)[0]?.outcome]).toEqual(['met', 'met']);
});

describe('idle', () => {
  const samples = (ours: number[]) => [
    ...caseExample('C floor', '200 targets', { own: [1, 1, 1] }),
    ...caseExample('hobbler, every target cycled', '200 targets', { own: ours }),
    ...caseExample('original design, asyncio', '200 targets', { own: [30, 30, 30] }),
  ];

  it('compares medians with the floor of the same run', () => {
    const { markdown, goals } = render('idle', samples([1.2, 9, 1.4]));
    expect(markdown).toContain('| hobbler, every target cycled | 1.40 (1.20 to 9.00) | 1.40 × |');
    expect(goal(goals, /200 targets, every one/).outcome).toBe('met');
    expect(goal(goals, /the same, 200/).outcome).toBe('met');
    expect(goal(goals, /2,000 targets, every one/).outcome).toBe('not measured');
  });

  it('says so when a goal is missed', () => {
    const { goals } = render('idle', samples([1.6, 1.6, 2.5]));
    expect(goal(goals, /200 targets, every one/)).toMatchObject({
      outcome: 'missed',
      measured: '1.60 ×: 1.60 % of a core',
    });
  });
});

it('a contender that was left out has the reason in its row, and no figure', () => {
  const { markdown, goals } = render('groups', [
    ...caseExample('hobbler, signal', undefined, { own: [8], targets: [9] }),
    { case: 'hobbler, freezer v1', round: 1, leftOut: 'freezer is unsupported: no such hierarchy' },
  ]);
  expect(markdown).toContain('| hobbler, freezer v1 | left out: freezer is unsupported: no such hierarchy |  |  |');
  expect(goal(goals, /freezer v1/).outcome).toBe('not measured');
});

it('a worker that let everything go in a round has that in its row', () => {
  const { markdown } = render('groups', caseExample('hobbler, signal', undefined, { own: [8, 8], held: [0, 3] }));
  expect(markdown).toContain('| hobbler, signal (let everything go in 1 of 2 rounds) |');
});

it('a round that failed is said beside the figures of the others, and in their place when all failed', () => {
  const failed = (name: string, round: number) => ({ case: name, round, failed: 'no answer' });
  const { markdown } = render('groups', [
    ...caseExample('hobbler, signal', undefined, { own: [8] }),
    failed('hobbler, signal', 2),
    failed('hobbler, freezer v1', 1),
  ]);
  expect(markdown).toContain('| hobbler, signal (1 of 2 rounds failed: no answer) | 8.00 (8.00 to 8.00) |');
  expect(markdown).toContain('| hobbler, freezer v1 | failed: no answer |  |  |');
});

it('busy: the share of CPU and the time in the run phase are judged each by its own', () => {
  const { goals, markdown } = render('busy', [
    ...caseExample('hobbler, signal', '33 busy: share of CPU', { got: [4.7, 4.8], least: [4, 4], most: [5, 6] }),
    ...caseExample('hobbler, signal', '200 busy: time in the run phase', { got: [5.7], least: [5], most: [6] }),
  ]);
  expect(goals.map(({ what, outcome }) => [what, outcome])).toEqual([
    ['busy targets, 33 of them: share of CPU', 'met'],
    ['busy targets, 200 of them: time in the run phase', 'missed'],
  ]);
  expect(markdown).toContain('+26.0 %'); // the worst of all targets and rounds: 6 against 4.76
});

it('lateness: percentiles are of the phases of all rounds', () => {
  const run = [...Array<number>(98).fill(10), 13, 14];
  const { goals } = render('lateness', [
    { case: 'hobbler', group: 'machine idle', round: 1, values: {}, lists: { signalledRunMs: run.slice(0, 50) } },
    { case: 'hobbler', group: 'machine idle', round: 2, values: {}, lists: { signalledRunMs: run.slice(50) } },
  ]);
  expect(goal(goals, /machine idle/)).toMatchObject({ outcome: 'missed', measured: /^3\.00 ms as signalled/ });
});

it('bystander: a gain is against the same round without a hobbler', () => {
  const { markdown } = render('bystander', [
    ...caseExample('nobody hobbles', undefined, { own: [0, 0], bystanders: [4, 10] }),
    ...caseExample('hobbler', undefined, { own: [2, 4], bystanders: [44, 50] }),
  ]);
  expect(markdown).toContain('| 15.0 (10.0 to 20.0) |'); // 40 / 2 and 40 / 4
});

describe('the page', () => {
  const results = { v: 1 as const, scenarios: { idle: resultExample([]) } };

  it('says which scenarios were never measured', () => {
    const { markdown } = renderPage(SCENARIOS, results);
    expect(markdown).toMatch(/Not measured yet: .*`bystander`/);
    expect(markdown).not.toMatch(/Not measured yet: .*`idle`/);
  });

  it('says of each section when, where and how it was measured', () => {
    const { markdown } = renderPage(SCENARIOS, results);
    expect(markdown).toContain('2026-01-02: 5 rounds');
    expect(markdown).toContain('processor: a processor');
    expect(markdown).toContain('built JavaScript');
  });

  it('shows an outcome that was missed', () => {
    const samples = [
      ...caseExample('C floor', '200 targets', { own: [1] }),
      ...caseExample('hobbler, every target cycled', '200 targets', { own: [2] }),
    ];
    const { markdown } = renderPage(SCENARIOS, { v: 1, scenarios: { idle: resultExample(samples) } });
    expect(markdown).toContain('| **missed** |');
  });
});

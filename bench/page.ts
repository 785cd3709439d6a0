/** docs/benchmarks.md out of the kept results. Pure. What was never measured is left out, and the page says so. */
import type { Results, ScenarioResult } from './results.ts';
import { type Goal, judgedGoals, type Scenario, type Section } from './scenario.ts';
import { figure, table } from './table.ts';

export interface Page {
  markdown: string;
  /** SVG texts by file name, for docs/benchmarks/. */
  plots: Record<string, string>;
}

const HOW = `Every figure is of one command, \`npm run bench\`, on one machine. Contenders run one at a time, in an order of chance, each in a
cgroup of its own by which the kernel accounts for its CPU, helpers and short-lived children included. Windows are whole
periods long. A figure is the median of all rounds, with the least and the most in brackets; a ratio is that of two medians of
the same run. Percent are of one core. The duty cycle is 10 of 210 ms everywhere, as in the original. Every section says
when, where and with how many rounds it was measured: a scenario can be measured again by itself.`;

const AGAIN = `\`\`\`
sudo apt-get install -y --no-install-recommends gcc libc6-dev redis-server python3-psutil cpulimit
sudo npm run bench -- --write                          # everything; leave the machine alone meanwhile
sudo npm run bench -- --write --scenario idle,groups   # some of it
npm run bench -- --list                                # what there is, and how long it takes
\`\`\`

It needs root (cgroups, real-time priority for the observer). A contender that is not installed is left out and said. Single
samples are in [results.json](benchmarks/results.json); \`npm run bench -- --render\` makes this page from them.`;

export function renderPage(scenarios: readonly Scenario[], results: Results): Page {
  const measured = scenarios.flatMap((scenario) => {
    const result = results.scenarios[scenario.name];
    return result ? [{ scenario, result, section: scenario.render(result) }] : [];
  });
  const missing = scenarios.filter(({ name }) => !(name in results.scenarios)).map(({ name }) => `\`${name}\``);
  const parts = [
    '# Benchmarks',
    'What hobbling costs, and what it brings; beside a floor in C, the original designs, cpulimit and bare BullMQ.',
    '## What it must cost',
    goalTable(measured.flatMap(({ scenario, result, section }) => judgedGoals(scenario, result, section))),
    ...(missing.length > 0 ? [`Not measured yet: ${missing.join(', ')}.`] : []),
    '## How it is measured',
    HOW,
    ...measured.map(({ scenario, result, section }) => sectionText(scenario, result, section)),
    '## Again',
    AGAIN,
  ];
  return {
    markdown: `${parts.join('\n\n')}\n`,
    plots: Object.assign({}, ...measured.map(({ section }) => section.plots)) as Record<string, string>,
  };
}

/** One scenario: what, when and where, figures. Also what a run prints. */
export function sectionText(scenario: Scenario, result: ScenarioResult, { markdown }: Section): string {
  return [`## ${scenario.title}`, scenario.about, circumstances(scenario.name, result), markdown].join('\n\n');
}

/** When, where and how: one line under the title of each scenario. */
function circumstances(name: string, result: ScenarioResult): string {
  const { measuredAt, rounds, seconds, targets, machine, hobblerRan, othersPercent } = result;
  const parts = [
    `\`${name}\`, ${measuredAt.slice(0, 10)}: ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, windows of up to ${seconds} s`,
    ...(targets ? [`numbers of targets set to ${targets.join(', ')}`] : []),
    `hobbler ran from ${hobblerRan}`,
    ...Object.entries(machine).map(([what, value]) => `${what}: ${value}`),
    `in use before it began: ${figure(othersPercent)} % of a core`,
  ];
  return `*${parts.join('; ')}.*`;
}

export function goalTable(goals: readonly Goal[]): string {
  return table<Goal>(
    [
      { title: 'what', isText: true, cell: ({ what }) => what },
      { title: 'goal', isText: true, cell: ({ goal }) => goal },
      { title: 'measured', isText: true, cell: ({ measured }) => measured },
      { title: 'outcome', isText: true, cell: ({ outcome }) => (outcome === 'missed' ? '**missed**' : outcome) },
    ],
    goals,
  );
}

/**
 * `npm run bench`: what hobbling costs and what it brings, everything side by side on one machine in one run. It wires
 * and decides nothing: scenarios measure, page.ts writes. Whatever it started is ended and removed, also on Ctrl-C.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { removeLeftoverGroups } from './cgroups.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { goalTable, renderPage, sectionText } from './page.ts';
import { compilePrograms, prepareCli } from './programs.ts';
import { mergeResults, readResults, type ScenarioResult, writeResults } from './results.ts';
import { judgedGoals, type Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/all.ts';
import { makeScratch } from './scratch.ts';
import { measure } from './suite.ts';
import { Undo } from './undo.ts';
import { Workbench } from './workbench.ts';

const DOCS = fileURLToPath(new URL('../docs', import.meta.url));
const PLOTS = join(DOCS, 'benchmarks');
const RESULTS = join(PLOTS, 'results.json');
/** Before everybody else: the ends of a window must be read when they are, on a machine that is all busy. */
const BENCH_NICE = -20;

const say = (text: string) => console.error(text);
const undo = new Undo(say);

async function main(options: BenchOptions): Promise<void> {
  if (options.help) return console.log(USAGE);
  const chosen = SCENARIOS.filter(({ name }) => options.scenarios?.includes(name) ?? true);
  if (options.list) return console.log(listText(chosen, options.rounds));
  if (options.render) return writePage();
  requireRoot();
  const fresh = await undo.within(() => measureAll(chosen, options));
  for (const scenario of chosen) {
    const result = fresh[scenario.name]!;
    const section = scenario.render(result);
    console.log(`${sectionText(scenario, result, section)}\n\n${goalTable(judgedGoals(scenario, result, section))}\n`);
  }
  const failed = Object.values(fresh).flatMap(({ samples }) => samples.filter((sample) => sample.failed !== undefined));
  if (failed.length > 0) throw new HobblerError('internal', `${failed.length} rounds failed; each is said above`);
}

async function measureAll(chosen: readonly Scenario[], options: BenchOptions): Promise<Record<string, ScenarioResult>> {
  const { rounds, seconds, targets, write } = options;
  say(`about ${minutes(chosen, rounds)}, at the default lengths`);
  removeLeftoverGroups();
  const scratch = makeScratch(undo);
  const bench = new Workbench({
    undo,
    scratch,
    bin: compilePrograms(scratch),
    cli: prepareCli(say),
    cores: availableParallelism(),
    seconds,
    targets,
  });
  await undo.within(() => bench.redis()); // without one, better now than in ten minutes
  setPriority(BENCH_NICE);
  const fresh: Record<string, ScenarioResult> = {};
  for (const scenario of chosen) {
    const startedAtMs = systemClock.monotonicMs();
    fresh[scenario.name] = await measure(scenario, bench, { rounds, seconds, targets, say });
    say(`${scenario.name}: took ${Math.round((systemClock.monotonicMs() - startedAtMs) / 1000)} s`);
    // At once, so that a bench that is ended later loses nothing.
    if (write) keep(scenario.name, fresh[scenario.name]!);
  }
  return fresh;
}

function keep(name: string, result: ScenarioResult): void {
  mkdirSync(PLOTS, { recursive: true });
  writeResults(RESULTS, mergeResults(readResults(RESULTS), { [name]: result }));
  writePage();
}

function writePage(): void {
  const { markdown, plots } = renderPage(SCENARIOS, readResults(RESULTS));
  writeFileSync(join(DOCS, 'benchmarks.md'), markdown);
  for (const [name, svg] of Object.entries(plots)) writeFileSync(join(PLOTS, name), svg);
}

function listText(chosen: readonly Scenario[], rounds: number): string {
  const lines = chosen.map(
    ({ name, title, seconds }) =>
      `${name.padEnd(14)}${minuteText(seconds.open + rounds * seconds.round).padStart(9)}  ${title}`,
  );
  return [...lines, `${'together'.padEnd(14)}${minutes(chosen, rounds).padStart(9)}  ${rounds} rounds`].join('\n');
}

function minutes(chosen: readonly Scenario[], rounds: number): string {
  return minuteText(chosen.reduce((sum, { seconds }) => sum + seconds.open + rounds * seconds.round, 0));
}

function minuteText(seconds: number): string {
  return `${(seconds / 60).toFixed(1)} min`;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new HobblerError('denied', 'the bench must run as root: it accounts for CPU by cgroups of its own', {
    hint: 'sudo npm run bench',
  });
}

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, async () => {
    isInterrupted = true;
    say(`${signal}: undoing`);
    await undo.all();
    process.exit(130);
  });
}
try {
  await main(parseOptions(process.argv.slice(2), SCENARIOS.map(({ name }) => name))); // biome-ignore format: one thought
  process.exit();
} catch (error) {
  await undo.all();
  // What was being measured fails when everything is ended under it; the signal says why, and exits.
  if (!isInterrupted) {
    console.error(`bench: ${messageOf(error)}`);
    process.exit(1);
  }
}

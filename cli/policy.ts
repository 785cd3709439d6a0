/**
 * `policy check`, `explain` and `replay`: a config tried before it is used, an account's state in words, and what a policy
 * would have done with readings of the past. Owns the options and the printing; gives no order and writes nothing into
 * Redis.
 */
import { createReadStream, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import type { AccountPage } from '../producer/account-page.ts';
import type { ReplayChange, ReplayReading } from '../producer/policy/replay.ts';
import { sleep } from '../shared/clock.ts';
import { loadSection } from '../shared/config.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { type Cli, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { count } from './print.ts';

interface ReplayOptions {
  speed: number;
  svg?: string;
  json?: boolean;
  quiet?: boolean;
}

/** Refusals that are spelt out. */
const MAX_REFUSALS = 10;
/** Lines of those who were slowed most. */
const MAX_COURSES = 50;

export function addPolicyCommands(program: Command, cli: Cli, finish: Finish): void {
  const policy = program
    .command('policy')
    .description("try a config, explain an account, replay last month's readings");

  policy
    .command('check')
    .description("say what is wrong with a config file's producer section, all at once")
    .argument('<file>')
    .action(async (file: string) => finish(await check(cli, file)));

  policy
    .command('explain')
    .description('say why an account is where it is, and when it gets out')
    .argument('<account>')
    .option('--json', 'as JSON: what GET /v1/accounts/ACCOUNT answers')
    .action(async (account: string, { json }: { json?: boolean }, command: Command) => {
      finish(await explainAccount(cli, new Settings(command, cli), account, json === true));
    });

  policy
    .command('replay')
    .description('say what the config would have done with these readings, had they come when they were taken')
    .argument('<readings>', 'a file of JSON lines, each with its time; - is standard input')
    .addOption(
      new Option('--speed <factor>', 'max, or how many times as fast as it happened')
        .argParser(parseSpeed)
        .default(parseSpeed('max'), 'max'),
    )
    .option('--svg <file>', 'write a picture of who was slowed when')
    .option('--json', 'the outcome as JSON, and no line for each change')
    .option('--quiet', 'no line for each change')
    .addHelpText('after', '\nExample:\n  hobbler --config new.yaml policy replay november.jsonl --svg november.svg')
    .action(async (path: string, options: ReplayOptions, command: Command) => {
      finish(await replayFile(cli, new Settings(command, cli), path, options));
    });
}

function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  if (/^\d{1,9}(?:\.\d{1,3})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new HobblerError('invalid-input', 'not a speed', { where: '--speed', expected: 'max, or a number', got: text });
}

async function check(cli: Cli, file: string): Promise<number> {
  const { producerSchema } = await import('../producer/config.ts');
  const config = loadSection(file, 'producer', producerSchema);
  const { limits, groups, accounts, ladders, dwell } = config;
  const parts = [
    count(Object.keys(limits).length, 'limit'),
    count(Object.keys(ladders).length, 'ladder'),
    count(Object.keys(groups).length, 'group'),
    count(Object.keys(accounts).length, 'account'),
  ];
  cli.out(`${file}: the policy is in order (${parts.join(', ')})`);
  for (const [name, { window }] of Object.entries(limits)) {
    if (window?.kind === 'every' && window.everyMs <= dwell)
      cli.note(`  limits.${name}: its window is no longer than dwell, so it never puts anybody in`);
  }
  return EXIT.ok;
}

async function explainAccount(cli: Cli, settings: Settings, account: string, asJson: boolean): Promise<number> {
  const { producerSchema } = await import('../producer/config.ts');
  const { readAccountPage } = await import('../producer/account-lookup.ts');
  const { withRedis } = await import('./redis.ts');
  const config = loadSection(settings.configPath, 'producer', producerSchema);
  const found = await withRedis(settings, (redis) => readAccountPage(redis, config, account, cli.clock.wallMs()));
  if (!found) throw new HobblerError('not-found', 'nothing is known of this account', { where: account.slice(0, 80) });
  const { page, foreignLimits } = found;
  if (foreignLimits.length > 0)
    cli.note(
      `hobbler: the config here has no limit ${foreignLimits.join(', ')}, of which the ledger knows; is it the producer's?`,
    );
  cli.out(asJson ? JSON.stringify(page, null, 2) : pageLines(page).join('\n'));
  return EXIT.ok;
}

function pageLines({ account, summary, verdicts, unreadable }: AccountPage): string[] {
  return [
    summary,
    ...verdicts.flatMap(({ subject, details, places, overruledBy }) => [
      ...(subject === 'account' ? [] : [`${account}, ${subject}:`]),
      ...details.map((line) => `  ${line}`),
      ...(places.length === 0
        ? []
        : [
            `  on ${places.map(({ host, target }) => `${target} of ${host === '*' ? 'every host' : host}`).join(', ')}`,
          ]),
      ...(overruledBy === null ? [] : [`  released by ${overruledBy} all the same, until the policy's next verdict`]),
    ]),
    ...unreadable.map((field) => `  ${field}: cannot be read`),
  ];
}

async function replayFile(
  cli: Cli,
  settings: Settings,
  path: string,
  { speed, svg, json, quiet }: ReplayOptions,
): Promise<number> {
  const { producerSchema } = await import('../producer/config.ts');
  const { Rules } = await import('../producer/policy/rules.ts');
  const { replay } = await import('../producer/policy/replay.ts');
  const { changeLine, courseLine, ReplayReport } = await import('../producer/policy/replay-report.ts');
  const config = loadSection(settings.configPath, 'producer', producerSchema);
  const { readings, lines, refused } = await readReadings(path);
  const report = new ReplayReport();
  const changes: ReplayChange[] = [];
  const alerts: { at: string; alert: string }[] = [];
  const outcome = replay(readings, {
    rules: new Rules(config),
    brake: config.brake,
    onChange: (change) => {
      report.add(change);
      if (!json && !quiet) changes.push(change);
    },
    onAlert: (alert, atMs) => alerts.push({ at: new Date(atMs).toISOString(), alert }),
  });
  await tell(cli, changes, speed, changeLine);
  for (const { index, why } of outcome.refused) refused.push({ line: lines[index]!, why });
  refused.sort((a, b) => a.line - b.line);
  const fromMs = readings.reduce((first, { at }) => Math.min(first, at), outcome.untilMs);
  const courses = report.courses(outcome.untilMs);
  if (svg !== undefined) {
    const { drawReplay } = await import('../producer/policy/replay-svg.ts');
    writeFile(svg, drawReplay(courses, fromMs, outcome.untilMs));
  }
  const accounts = new Set(readings.map(({ account }) => account)).size;
  const isPerfect = refused.length === 0;
  if (json) {
    cli.out(
      JSON.stringify(
        {
          readings: readings.length,
          accounts,
          from: fromMs,
          until: outcome.untilMs,
          refused: refused.length,
          refusals: refused.slice(0, MAX_REFUSALS),
          alerts,
          slowed: courses,
        },
        null,
        2,
      ),
    );
    return isPerfect ? EXIT.ok : EXIT.failed;
  }
  cli.out(`${count(readings.length, 'reading')} of ${count(accounts, 'account')}; ${courses.length} slowed`);
  for (const course of courses.slice(0, MAX_COURSES)) cli.out(`  ${courseLine(course)}`);
  if (courses.length > MAX_COURSES) cli.out(`  and ${courses.length - MAX_COURSES} more, for less`);
  for (const { at, alert } of alerts) cli.out(`  ${at}: ${alert}`);
  for (const { line, why } of refused.slice(0, MAX_REFUSALS)) cli.note(`hobbler: line ${line}: ${why}`);
  if (refused.length > MAX_REFUSALS) cli.note(`hobbler: and ${refused.length - MAX_REFUSALS} more lines were refused`);
  return isPerfect ? EXIT.ok : EXIT.failed;
}

/** Prints the changes, each when it would have come. */
async function tell(
  cli: Cli,
  changes: readonly ReplayChange[],
  speed: number,
  changeLine: (change: ReplayChange) => string,
): Promise<void> {
  let lastMs = changes[0]?.atMs ?? 0;
  for (const change of changes) {
    const waitMs = (change.atMs - lastMs) / speed;
    if (waitMs >= 1) await sleep(cli.clock, waitMs);
    lastMs = change.atMs;
    cli.out(changeLine(change));
  }
}

async function readReadings(
  path: string,
): Promise<{ readings: ReplayReading[]; lines: number[]; refused: { line: number; why: string }[] }> {
  const { parseReadingText, subjectOf } = await import('../producer/reading.ts');
  const readings: ReplayReading[] = [];
  /** Of which line each reading is. */
  const lines: number[] = [];
  const refused: { line: number; why: string }[] = [];
  let line = 0;
  try {
    const input = path === '-' ? process.stdin : createReadStream(path);
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text.trim() === '') continue;
      const parsed = parseReadingText(text);
      if ('refused' in parsed) refused.push({ line, why: parsed.refused });
      else if (parsed.reading.at === undefined) refused.push({ line, why: 'reading.at: expected when it was taken' });
      else {
        readings.push({ ...parsed.reading, at: parsed.reading.at, subject: subjectOf(parsed.reading) });
        lines.push(line);
      }
    }
  } catch (error) {
    throw new HobblerError('invalid-input', `cannot be read (${messageOf(error)})`, { where: path });
  }
  return { readings, lines, refused };
}

function writeFile(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new HobblerError('invalid-input', `cannot be written (${messageOf(error)})`, { where: path });
  }
}

/**
 * `status`: the fleet as its workers report it, for people or as JSON; with --local, whether this host's own worker is
 * alive, from its local files alone, which is what a health check asks. Reads only.
 */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import type { FleetView, HostView } from '../shared/redis/fleet.ts';
import type { Report } from '../shared/report.ts';
import { type Cli, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { readLocalState } from './local-state.ts';
import { type Column, count, formatAge, formatBytes, formatRatio, formatTable, type Palette, plain } from './print.ts';

interface StatusOptions {
  json?: boolean;
  local?: boolean;
  host?: string;
}

export function addStatusCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('status')
    .description('hosts, targets and holds, as the workers report them')
    .option('--host <name>', 'this host only')
    .option('--local', "this machine's worker, by its local files, without Redis; exit code 1 when it is not alive")
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `\nExamples:
  hobbler status
  hobbler status --json | jq -r '.hosts[].reports[] | select(.effective == false) | .target'
got is the share of one core that a target had over the last seconds; ? is not known.`,
    )
    .action(async (options: StatusOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(options.local ? showLocal(cli, settings, options) : await showFleet(cli, settings, options));
    });
}

function showLocal(cli: Cli, settings: Settings, { json }: StatusOptions): number {
  const state = readLocalState(settings.stateDir, cli.clock);
  if (json) cli.out(JSON.stringify(state, null, 2));
  else {
    const beat = state.beatAgeMs === null ? 'never heard' : `heard ${formatAge(state.beatAgeMs)} ago`;
    cli.out(`${state.isAlive ? 'alive' : 'not alive'}: ${state.why}; its guard last ${beat}`);
    if (state.hold !== null) cli.out(`held locally: ${plain(state.hold)}`);
  }
  return state.isAlive ? EXIT.ok : EXIT.failed;
}

async function showFleet(cli: Cli, settings: Settings, { json, host }: StatusOptions): Promise<number> {
  const { withRedis } = await import('./redis.ts');
  const { readFleet } = await import('../shared/redis/fleet.ts');
  const whole = await withRedis(settings, (redis) => readFleet(redis));
  const view = host === undefined ? whole : { ...whole, hosts: whole.hosts.filter((one) => one.host === host) };
  if (json) cli.out(JSON.stringify(view, null, 2));
  else cli.out(formatFleet(view, cli.palette).join('\n'));
  if (host !== undefined && view.hosts.length === 0) {
    cli.note(`hobbler: no worker has ever reported as ${host}`);
    return EXIT.unavailable;
  }
  return EXIT.ok;
}

const HOST_COLUMNS: readonly Column[] = [
  { title: 'HOST' },
  { title: 'WORKER' },
  { title: 'BEAT', align: 'right' },
  { title: 'TARGETS', align: 'right' },
  { title: 'PROCESSES', align: 'right' },
  { title: 'OWN CPU', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'GUARD' },
  { title: 'NOTE' },
];
const TARGET_COLUMNS: readonly Column[] = [
  { title: 'HOST' },
  { title: 'TARGET' },
  { title: 'STATE' },
  { title: 'PROCESSES', align: 'right' },
  { title: 'BEFORE', align: 'right' },
  { title: 'ASKED', align: 'right' },
  { title: 'GOT', align: 'right' },
  { title: 'LEFT', align: 'right' },
  { title: 'BY' },
  { title: 'REASON' },
];

/** The fleet as lines of text. */
export function formatFleet({ hosts, hold, nowMs }: FleetView, palette: Palette): string[] {
  const lines: string[] = [];
  if (hold) {
    lines.push(
      palette.yellow(
        `The fleet is held: ${plain(hold.reason)} (${plain(hold.by)}, ${formatAge(nowMs - hold.sinceMs)} ago)`,
      ),
    );
  }
  if (hosts.length === 0)
    return [...lines, 'No worker has ever reported to this Redis. Start one with: hobbler worker'];
  lines.push(
    ...formatTable(
      HOST_COLUMNS,
      hosts.map((view) => hostRow(view, nowMs, palette)),
    ),
  );
  const targets = hosts.flatMap((view) => [
    ...view.reports
      .toSorted((a, b) => (a.target < b.target ? -1 : 1))
      .map((report) => targetRow(view.host, report, nowMs, palette)),
    ...view.brokenReports.map(({ target, why }) => [
      view.host,
      plain(target),
      '?',
      '',
      '',
      '',
      '',
      '',
      '',
      `report cannot be read: ${plain(why)}`,
    ]),
  ]);
  lines.push('');
  if (targets.length === 0) lines.push('Nobody is in the tarpit.');
  else lines.push(...formatTable(TARGET_COLUMNS, targets));
  return lines;
}

function hostRow({ host, liveness, status, broken, hold }: HostView, nowMs: number, palette: Palette): string[] {
  const paint = liveness === 'alive' ? palette.green : liveness === 'late' ? palette.yellow : palette.red;
  const notes = [
    ...(broken === null ? [] : [`its status cannot be read: ${plain(broken)}`]),
    ...(hold ? [`held: ${plain(hold.reason)} (${plain(hold.by)})`] : []),
    ...(status?.hold?.scope === 'local' ? [`held on the host itself: ${plain(status.hold.reason)}`] : []),
  ];
  if (!status) return [host, paint(liveness), '?', '?', '?', '?', '?', '?', notes.join('; ')];
  return [
    host,
    paint(liveness),
    formatAge(nowMs - status.beatAtMs),
    String(status.targets),
    String(status.processes),
    formatRatio(status.ownCpuRatio),
    formatBytes(status.rssBytes),
    status.guard === 'alive' ? 'alive' : palette.red('dead'),
    notes.join('; '),
  ];
}

function targetRow(host: string, report: Report, nowMs: number, palette: Palette): string[] {
  const { target, state, processes, beforeRatio, askedRatio, gotRatio, effective, expiresAtMs, by, reason, why } =
    report;
  const isBad = effective === false || ['denied', 'unsupported', 'refused'].includes(state);
  return [
    host,
    plain(target),
    isBad ? palette.red(state) : state,
    count(processes, '', '').trim(),
    formatRatio(beforeRatio),
    formatRatio(askedRatio),
    effective === false ? palette.red(`${formatRatio(gotRatio)}!`) : formatRatio(gotRatio),
    formatAge(expiresAtMs - nowMs),
    plain(by),
    [plain(reason), ...(why === null ? [] : [`(${plain(why)})`])].join(' '),
  ];
}

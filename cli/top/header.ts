/**
 * The summary above the table: hosts, own cost, Redis, targets by state, holds, and what is wrong with hosts. Pure. The
 * fleet is summed up once per look; only the words are made for each frame.
 */
import type { FleetView, HostView } from '../../shared/redis/fleet.ts';
import { isNotDone, type TargetState, targetStates } from '../../shared/report.ts';
import { columnsOf, count, formatAge, formatRatio, type Palette, plain } from '../print.ts';

/** The largest of the hosts that say it, and which one; null: nobody does. */
interface Worst {
  value: number;
  host: string;
}

export interface Summary {
  hosts: number;
  alive: number;
  late: string[];
  lost: string[];
  deadGuards: string[];
  /** Own CPU of the workers that are not lost, as a share of one core; how many of them do not say. */
  ownCpuRatio: number;
  ownCpuUnknown: number;
  worstCpu: Worst | null;
  worstRoundTripMs: Worst | null;
  targets: number;
  /** Of hosts that are not lost. */
  states: Record<TargetState, number>;
  processes: number;
  withoutEffect: number;
  unreadable: number;
  onLostHosts: number;
  holds: string[];
}

/** So many hosts are named in one breath. */
const NAMED = 3;
/** Between pieces of one line. */
const GAP = '   ';

/** Sums up one look at the fleet. */
export function summarize({ hosts, hold, nowMs }: FleetView): Summary {
  const summary: Summary = {
    hosts: hosts.length,
    alive: 0,
    late: [],
    lost: [],
    deadGuards: [],
    ownCpuRatio: 0,
    ownCpuUnknown: 0,
    worstCpu: null,
    worstRoundTripMs: null,
    targets: 0,
    states: Object.fromEntries(targetStates.map((state) => [state, 0])) as Record<TargetState, number>,
    processes: 0,
    withoutEffect: 0,
    unreadable: 0,
    onLostHosts: 0,
    holds: [],
  };
  if (hold) {
    summary.holds.push(`the fleet: ${plain(hold.reason)} (${plain(hold.by)}, ${formatAge(nowMs - hold.sinceMs)} ago)`);
  }
  for (const view of hosts) addHost(summary, view);
  return summary;
}

function addHost(summary: Summary, view: HostView): void {
  const { host, liveness, status, hold, reports, brokenReports } = view;
  summary.targets += reports.length + brokenReports.length;
  if (hold) summary.holds.push(`${host}: ${plain(hold.reason)} (${plain(hold.by)})`);
  if (liveness === 'lost') {
    summary.lost.push(host);
    summary.onLostHosts += reports.length + brokenReports.length;
    return;
  }
  if (liveness === 'late') summary.late.push(host);
  else summary.alive++;
  summary.unreadable += brokenReports.length;
  for (const { state, processes, effective } of reports) {
    summary.states[state]++;
    summary.processes += processes;
    if (effective === false) summary.withoutEffect++;
  }
  if (status?.hold?.scope === 'local') summary.holds.push(`${host} by its local file: ${plain(status.hold.reason)}`);
  if (status?.guard === 'dead') summary.deadGuards.push(host);
  const ownCpuRatio = status?.ownCpuRatio ?? null;
  if (ownCpuRatio === null) summary.ownCpuUnknown++;
  else summary.ownCpuRatio += ownCpuRatio;
  summary.worstCpu = worse(summary.worstCpu, ownCpuRatio, host);
  summary.worstRoundTripMs = worse(summary.worstRoundTripMs, status?.redisRttMs ?? null, host);
}

function worse(worst: Worst | null, value: number | null, host: string): Worst | null {
  if (value === null || (worst !== null && worst.value >= value)) return worst;
  return { value, host };
}

/** The summary in lines; each piece stays in one line where that is wide enough for it. */
export function formatSummary(
  summary: Summary,
  roundTripMs: number | null,
  width: number,
  { red, yellow, bold }: Palette,
): string[] {
  const { hosts, alive, late, lost, deadGuards, states, holds } = summary;
  const some = (number: number, paint: (text: string) => string, text: string) =>
    number > 0 ? paint(`${number} ${text}`) : `${number} ${text}`;
  const lines = flow(
    [
      `hosts ${bold(String(hosts))}: ${alive} alive, ${some(late.length, yellow, 'late')}, ${some(lost.length, red, 'lost')}`,
      describeCpu(summary),
      describeRedis(summary, roundTripMs),
    ],
    width,
  );
  const byState = targetStates
    .filter((state) => states[state] > 0)
    .map((state) => (isNotDone(state) ? red : String)(`${states[state]} ${state}`));
  lines.push(
    ...flow(
      [
        `targets ${bold(String(summary.targets))}${byState.length > 0 ? `: ${byState.join(', ')}` : ''}`,
        ...(summary.onLostHosts > 0 ? [red(`${summary.onLostHosts} on lost hosts`)] : []),
        count(summary.processes, 'process', 'processes'),
        ...(summary.withoutEffect > 0 ? [red(`${summary.withoutEffect} without effect!`)] : []),
        ...(summary.unreadable > 0 ? [red(count(summary.unreadable, 'unreadable report'))] : []),
      ],
      width,
    ),
  );
  const wrong = [
    ...(lost.length > 0 ? [red(`lost: ${listed(lost)}`)] : []),
    ...(late.length > 0 ? [yellow(`late: ${listed(late)}`)] : []),
    ...(deadGuards.length > 0 ? [red(`guard dead: ${listed(deadGuards)}`)] : []),
  ];
  if (holds.length > 0) lines.push(yellow(`held: ${listed(holds, '; ')}`));
  if (wrong.length > 0) lines.push(...flow(wrong, width));
  return lines;
}

function describeCpu({ hosts, lost, ownCpuRatio, ownCpuUnknown, worstCpu }: Summary): string {
  if (worstCpu === null) return 'own CPU ?';
  const unknown = ownCpuUnknown > 0 ? `, ${ownCpuUnknown} not known` : '';
  const worst = hosts - lost.length > 1 ? `, most ${formatRatio(worstCpu.value)} on ${worstCpu.host}` : '';
  return `own CPU ${formatRatio(ownCpuRatio)}${worst}${unknown}`;
}

function describeRedis({ worstRoundTripMs: worst }: Summary, roundTripMs: number | null): string {
  const far = worst === null ? '' : `, ${formatMs(worst.value)} from ${worst.host}`;
  return `Redis ${formatMs(roundTripMs)}${far}`;
}

function formatMs(ms: number | null): string {
  return ms === null ? '? ms' : `${ms.toFixed(1)} ms`;
}

function listed(names: readonly string[], separator = ', '): string {
  const more = names.length - NAMED;
  return `${names.slice(0, NAMED).join(separator)}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Pieces one after the other, on a new line where the width is used up. */
export function flow(pieces: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let used = 0;
  for (const piece of pieces) {
    const wide = columnsOf(piece);
    if (lines.length > 0 && used + GAP.length + wide <= width) {
      lines[lines.length - 1] += GAP + piece;
      used += GAP.length + wide;
    } else {
      lines.push(piece);
      used = wide;
    }
  }
  return lines;
}

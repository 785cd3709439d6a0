/**
 * What is wrong with the fleet, as its own records say: the list behind the exit code of `status` and of `top`. Pure.
 * A hold is no problem: somebody asked for it, and it is shown as what it is. What a lost host last said of its targets
 * counts for nothing; that it is lost does.
 */
import type { FleetView, HostView } from '../shared/redis/fleet.ts';
import { isNotDone, isTrouble, type Report } from '../shared/report.ts';
import { EXIT } from './exit.ts';
import { count, formatAge, formatRatio, type Palette, plain } from './print.ts';

export interface Problem {
  host: string;
  /** Null: it is the host itself. */
  target: string | null;
  what: string;
}

/** So many are listed for people; JSON has them all. */
const LISTED = 10;

/** Everything that somebody should look at, hosts in their order, each before its targets. */
export function problemsOf({ hosts, nowMs }: FleetView): Problem[] {
  return hosts.flatMap((view) => [
    ...problemsOfHost(view, nowMs).map((what) => ({ host: view.host, target: null, what })),
    ...(view.liveness === 'lost' ? [] : problemsOfTargets(view)),
  ]);
}

/** 3: nobody has ever reported; 1: something is wrong; else 0. */
export function exitCodeOfView(view: FleetView): number {
  if (view.hosts.length === 0) return EXIT.unavailable;
  return problemsOf(view).length > 0 ? EXIT.failed : EXIT.ok;
}

/** The list for people; empty when all is well. */
export function formatProblems(problems: readonly Problem[], palette: Palette): string[] {
  if (problems.length === 0) return [];
  const lines = problems
    .slice(0, LISTED)
    .map(({ host, target, what }) => `  ${host}${target === null ? '' : ` ${plain(target)}`}: ${what}`);
  if (problems.length > LISTED) lines.push(`  and ${problems.length - LISTED} more; --json lists them all`);
  return [palette.red(`${count(problems.length, 'thing is', 'things are')} wrong:`), ...lines];
}

function problemsOfHost({ liveness, status, broken }: HostView, nowMs: number): string[] {
  if (broken !== null) return [`its status cannot be read: ${plain(broken)}`];
  if (status === null) return ['its worker is lost; it has left no status'];
  if (liveness !== 'alive') return [`its worker is ${liveness}; last beat ${formatAge(nowMs - status.beatAtMs)} ago`];
  return status.guard === 'dead' ? ['its guard is dead: nothing is stopped until there is another'] : [];
}

function problemsOfTargets({ host, reports, brokenReports }: HostView): Problem[] {
  return [
    ...reports
      .filter(isTrouble)
      .toSorted((a, b) => (a.target < b.target ? -1 : 1))
      .map((report) => ({ host, target: report.target, what: describeTrouble(report) })),
    ...brokenReports.map(({ target, why }) => ({ host, target, what: `its report cannot be read: ${plain(why)}` })),
  ];
}

function describeTrouble({ state, why, gotRatio, askedRatio }: Report): string {
  if (isNotDone(state)) return `${state}${why === null ? '' : `: ${plain(why)}`}`;
  return `does not slow down: got ${formatRatio(gotRatio)} of a core, asked ${formatRatio(askedRatio)}`;
}

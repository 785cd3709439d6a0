/**
 * What needs a person, worst first: a pure function of the fleet. Each line says what is wrong and what to do, because
 * it is read at 3 a.m. It decides nothing and is not the place for alert thresholds (those are the metrics').
 */
import { formatDuration } from '../../shared/duration.ts';
import { isNotDone } from '../../shared/report.ts';
import type { Fleet, TargetRow } from './model.ts';

export interface Attention {
  level: 'bad' | 'warn';
  what: string;
  todo: string;
}

/** An order that a living worker has not taken up by now is a fault: it reconciles every 10 s. */
const TAKEN_UP_WITHIN_MS = 30_000;
/** Lines of one kind are named one by one up to here, then counted. */
const NAMED = 3;

export function attentionFor(fleet: Fleet): Attention[] {
  const lines: Attention[] = [];
  const add = (level: Attention['level'], what: string, todo: string) => lines.push({ level, what, todo });

  // What a lost host last said of its targets counts for nothing; that it is lost does.
  const told = fleet.targets.filter(({ report, liveness }) => report !== null && liveness !== 'lost');
  const lost = fleet.hosts.filter((host) => host.liveness === 'lost');
  if (lost.length > 0) {
    add(
      'bad',
      `${names(lost.map((host) => host.host))} ${lost.length === 1 ? 'is' : 'are'} lost: no beat for 30 s or more`,
      'A guard lets everything go when its worker dies. On the host: systemctl status hobbler-worker, hobbler doctor.',
    );
  }
  const guardless = fleet.hosts.filter((host) => host.liveness !== 'lost' && host.status?.guard === 'dead');
  if (guardless.length > 0) {
    add(
      'bad',
      `No guard on ${names(guardless.map((host) => host.host))}`,
      'Nobody would release what the worker stopped if it died. Restart the worker there.',
    );
  }
  const without = told.filter(({ report }) => report!.effective === false);
  if (without.length > 0) {
    add('bad', `No effect on ${targetNames(without)}`, 'Asked to slow down, and did not. See its mechanism and state.');
  }
  const refused = told.filter(({ report }) => isNotDone(report!.state));
  if (refused.length > 0) {
    add('warn', `Not applied: ${targetNames(refused)}`, 'The state column says why the host would not or could not.');
  }
  const overdue = fleet.targets.filter((row) => isOverdue(row, fleet.nowMs));
  if (overdue.length > 0) {
    add(
      'bad',
      `Order not carried out for more than ${formatDuration(TAKEN_UP_WITHIN_MS)}: ${targetNames(overdue)}`,
      'The host is alive but does not act on it. See its log; hobbler release-all on the host needs no Redis.',
    );
  }
  const late = fleet.hosts.filter((host) => host.liveness === 'late');
  if (late.length > 0) {
    add('warn', `${names(late.map((host) => host.host))} ${late.length === 1 ? 'is' : 'are'} late`, 'Watch its load.');
  }
  if (fleet.broken.length > 0) {
    add(
      'warn',
      `${fleet.broken.length} ${plural(fleet.broken.length, 'record')} cannot be read`,
      'See “Broken records”.',
    );
  }
  return lines.sort((a, b) => (a.level === b.level ? 0 : a.level === 'bad' ? -1 : 1));
}

/** Whether a living host should have acted on this by now, and has not. */
export function isOverdue({ liveness, order, report, releasing }: TargetRow, nowMs: number): boolean {
  if (liveness !== 'alive' || order === null || nowMs - order.issuedAt < TAKEN_UP_WITHIN_MS) return false;
  return releasing !== null || report === null;
}

function targetNames(rows: readonly TargetRow[]): string {
  return names(rows.map((row) => `${row.target} on ${row.host}`));
}

function names(all: readonly string[]): string {
  const rest = all.length - NAMED;
  return all.slice(0, NAMED).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

export function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}

/** What `run` says: one line while it goes on, and a summary at its end. Pure. */
import type { LocalRow, LocalSummary } from '../worker/local.ts';
import { count, formatAge, formatRatio } from './print.ts';

/** One line of at most `columns` characters, for rewriting in place. */
export function formatLive(rows: readonly LocalRow[], columns: number): string {
  const parts = rows.map(
    ({ target, status, processes, gotRatio, askedRatio, usedSeconds }) =>
      `${target} ${status === 'hobbling' ? '' : `${status} `}${formatRatio(gotRatio)} of a core (asked ${formatRatio(askedRatio)}), ${count(processes, 'process', 'processes')}, ${usedSeconds.toFixed(1)} s CPU`,
  );
  const line = parts.join(' | ');
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}

/** The lines of the summary: what each target was asked and got, and what hobbler itself used. */
export function formatSummary({ rows, ownCpuRatio, elapsedMs }: LocalSummary): string[] {
  const lines = rows.map(({ target, status, why, askedRatio, gotRatio, beforeRatio, usedSeconds, stops }) => {
    if (status === 'denied' || status === 'refused' || status === 'unsupported')
      return `${target}: ${status}, ${why ?? ''}`;
    const before = beforeRatio === null ? '' : `, ${formatRatio(beforeRatio)} before`;
    return `${target}: got ${formatRatio(gotRatio)} of a core of ${formatRatio(askedRatio)} asked${before}; ${usedSeconds.toFixed(2)} s CPU, ${count(stops, 'stop')}`;
  });
  lines.push(`let go after ${formatAge(elapsedMs)}; hobbler itself used ${formatRatio(ownCpuRatio)} of a core`);
  return lines;
}

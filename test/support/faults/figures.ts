/** The figures of a run as a table for people: what was played, what was broken, and how long release took. Pure. */
import type { Figures } from './world.ts';

const ms = (value: number) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));

/** Of sorted values the one below which that part of them lies. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function figuresTable(where: string, figures: Figures): string {
  const { histories, steps, orders, looks, signals, faults, releasesMs } = figures;
  const faultCount = [...faults.values()].reduce((sum, count) => sum + count, 0);
  const lines = [
    `${where}: ${histories} histories, ${steps} steps, ${orders} orders sent, ${faultCount} faults, ${looks} looks, ${signals} signals held against identities`,
    '',
    'faults',
    ...[...faults].sort().map(([fault, count]) => `  ${fault.padEnd(28)} ${String(count).padStart(6)}`),
    '',
    `${'time to release, ms'.padEnd(77)}times  median     p99   worst`,
  ];
  for (const [after, all] of [...releasesMs].sort()) {
    const sorted = all.toSorted((a, b) => a - b);
    const cells = [String(sorted.length), ms(quantile(sorted, 0.5)), ms(quantile(sorted, 0.99)), ms(sorted.at(-1)!)];
    lines.push(`  ${after.padEnd(72)}${cells.map((cell) => cell.padStart(8)).join('')}`);
  }
  return lines.join('\n');
}

/**
 * How the CLI writes for people: tables, shares, times, colours. Pure but for asking whether somebody watches. Texts
 * that come from outside (reasons, names) have their control characters taken out, since they would reach a terminal.
 */
import { stripVTControlCharacters } from 'node:util';
import { formatDuration } from '../shared/duration.ts';

export type Paint = (text: string) => string;

export interface Palette {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
}

const SGR = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

/** Colours, or none: only on a terminal, and not where NO_COLOR is set. */
export function createPalette(hasColours: boolean): Palette {
  const paint = ([on, off]: readonly [number, number]): Paint =>
    hasColours ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text;
  return {
    bold: paint(SGR.bold),
    dim: paint(SGR.dim),
    red: paint(SGR.red),
    green: paint(SGR.green),
    yellow: paint(SGR.yellow),
  };
}

/** Text from outside as it may stand in a line on a terminal. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '�');
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Lines of a table with a heading, columns two spaces apart, no space at the ends. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => visibleLength(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const pad = ' '.repeat(Math.max(0, widths[index]! - visibleLength(cell)));
        return align === 'right' ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

function visibleLength(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** A share of one core, `4.8 %`; unknown is `?`, never zero (invariant 9). */
export function formatRatio(ratio: number | null): string {
  if (ratio === null || !Number.isFinite(ratio)) return '?';
  const percent = ratio * 100;
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** How long ago or ahead, `4m 10s`. */
export function formatAge(ms: number): string {
  return formatDuration(ms);
}

export function formatBytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}

/** `1 process`, `3 processes`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

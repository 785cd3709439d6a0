/**
 * How the CLI writes for people: tables, shares, times, colours. Pure but for asking whether somebody watches. Texts
 * that come from outside (reasons, names) have their control characters taken out, since they would reach a terminal.
 */
import { formatDuration } from '../shared/duration.ts';

export type Paint = (text: string) => string;

export interface Palette {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
  inverse: Paint;
}

const SGR = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  inverse: [7, 27],
} as const;

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
    inverse: paint(SGR.inverse),
  };
}

/**
 * Text from outside as it may stand in a line on a terminal. Besides control characters that is what has no width or
 * turns the direction of writing (a name could pass for another), and line separators.
 */
export function plain(text: string): string {
  return ASCII.test(text) ? text : text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�');
}

const ASCII = /^[\x20-\x7e]*$/;
/** One character, or one of our own colour sequences, which `plain` lets nobody else write. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
const PIECE = /\u001b\[[\d;]*m|./gsu;
/** Two columns wide on a terminal. In doubt wide: a line that is too short is harmless, one too long is not. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Extended_Pictographic}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
/** Stands on the character before it. The last one makes a wide picture of what it follows, so it counts. */
const MARK = /[[\p{Mn}\p{Me}]--\ufe0f]/v;

function columnsOfPiece(piece: string): number {
  if (piece.length > 2 || MARK.test(piece)) return 0; // more than two units: a colour
  return WIDE.test(piece) ? 2 : 1;
}

/** How many columns of a terminal a line takes. Colours take none. */
export function columnsOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  for (const [piece] of text.matchAll(PIECE)) columns += columnsOfPiece(piece);
  return columns;
}

/** A line cut to so many columns, with an ellipsis where something is left out. Colours that are on are ended. */
export function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = '';
  let left = columns - 1;
  for (const [piece] of text.matchAll(PIECE)) {
    const wide = columnsOfPiece(piece);
    if (left >= 0 && wide <= left) kept += piece;
    else if (left >= 0) {
      kept += '…';
      left = -1;
    } else if (piece.length > 2) kept += piece;
    if (left >= 0) left -= wide;
  }
  return kept;
}

/** A cell of exactly so many columns: cut, or filled with spaces. */
export function toWidth(text: string, columns: number, align: Column['align'] = 'left'): string {
  const short = cut(text, columns);
  const pad = ' '.repeat(Math.max(0, columns - columnsOf(short)));
  return align === 'right' ? pad + short : short + pad;
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Lines of a table with a heading, columns two spaces apart, no space at the ends. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => columnsOf(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const pad = ' '.repeat(Math.max(0, widths[index]! - columnsOf(cell)));
        return align === 'right' ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
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

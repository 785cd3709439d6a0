/**
 * How the demo shows itself: a table that is rewritten in place on a terminal, one plain line every two seconds
 * elsewhere. Writes to the stream it is given, and measures nothing.
 */
import { type Column, formatRatio, formatTable, type Palette } from '../cli/print.ts';
import type { Promised, Rates } from './story.ts';

export interface Row {
  account: string;
  used: number;
  limit: number;
  unit: string;
  /** `free`, or the state that the worker reports. */
  level: string;
  /** Share of one core: asked by the order (null: none), and measured over the last seconds. */
  askedRatio: number | null;
  cpuRatio: number | null;
  unitsPerSecond: number | null;
}

const COLUMNS: readonly Column[] = [
  { title: 'ACCOUNT' },
  { title: 'USED/LIMIT', align: 'right' },
  { title: 'LEVEL' },
  { title: 'ASKED', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'WORK/S', align: 'right' },
  { title: '' },
];
const BAR_CHARS = 24;
const PLAIN_EVERY_MS = 2_000;
/** Events that stay in sight below the table. */
const EVENTS = 6;

/** A line that is too long is cut by the terminal: a wrapped one would shift all that is drawn over it. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

export class Screen {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  readonly #palette: Palette;
  readonly #events: string[] = [];
  #drawn = 0;
  #plainAtMs = Number.NEGATIVE_INFINITY;
  #mostUnits = 1;

  constructor(write: (text: string) => void, isTerminal: boolean, palette: Palette) {
    this.#write = write;
    this.#isTerminal = isTerminal;
    this.#palette = palette;
  }

  /** Something that people should not miss. */
  event(elapsedMs: number, text: string): void {
    const line = `${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${text}`;
    if (this.#isTerminal) {
      this.#events.push(line);
      if (this.#events.length > EVENTS) this.#events.shift();
    } else this.#write(`${line}\n`);
  }

  show(elapsedMs: number, rows: readonly Row[], resetInMs: number): void {
    if (this.#isTerminal) {
      this.#draw(elapsedMs, rows, resetInMs);
      return;
    }
    if (elapsedMs - this.#plainAtMs < PLAIN_EVERY_MS) return;
    this.#plainAtMs = elapsedMs;
    this.#write(`${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${rows.map(formatPlain).join(' | ')}\n`);
  }

  /** Leaves what is drawn where it stands; what comes next is written below. */
  settle(): void {
    this.#drawn = 0;
  }

  #draw(elapsedMs: number, rows: readonly Row[], resetInMs: number): void {
    const { bold, dim, green, yellow } = this.#palette;
    this.#mostUnits = Math.max(this.#mostUnits, ...rows.map(({ unitsPerSecond }) => unitsPerSecond ?? 0));
    const cells = rows.map((row) => {
      const paint = row.askedRatio === null ? green : yellow;
      const bar = '█'.repeat(Math.round(((row.unitsPerSecond ?? 0) / this.#mostUnits) * BAR_CHARS));
      return [
        bold(row.account),
        `${row.used.toFixed(1)}/${row.limit} ${row.unit}`,
        paint(row.level),
        row.askedRatio === null ? '-' : formatRatio(row.askedRatio),
        formatRatio(row.cpuRatio),
        row.unitsPerSecond === null ? '?' : row.unitsPerSecond.toFixed(0),
        paint(bar),
      ];
    });
    const lines = [
      dim(
        `${(elapsedMs / 1000).toFixed(0).padStart(3)} s; the window resets in ${Math.max(0, resetInMs / 1000).toFixed(0)} s`,
      ),
      ...formatTable(COLUMNS, cells),
      ...this.#events.map((event) => dim(event)),
    ];
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A` : '';
    this.#write(`${NO_WRAP}${up}${lines.map((line) => `\u001b[2K${line}\n`).join('')}${WRAP}`);
    this.#drawn = lines.length;
  }
}

function formatPlain({ account, used, limit, unit, level, askedRatio, cpuRatio, unitsPerSecond }: Row): string {
  const asked = askedRatio === null ? '' : `, asked ${formatRatio(askedRatio)}`;
  return `${account} ${used.toFixed(1)}/${limit} ${unit}, ${level}${asked}, CPU ${formatRatio(cpuRatio)}, work ${unitsPerSecond === null ? '?' : unitsPerSecond.toFixed(0)}/s`;
}

const SUMMARY_COLUMNS: readonly Column[] = [
  { title: 'WORK/S (CPU)' },
  { title: 'BEFORE', align: 'right' },
  { title: 'UNDER', align: 'right' },
  { title: 'AFTER', align: 'right' },
];

/** Work and CPU of every account before, under and after. */
export function formatRates(rates: Record<string, Rates>): string[] {
  const cell = (rate: Rates['before']) =>
    rate === null
      ? 'not measured'
      : `${rate.unitsPerSecond.toFixed(rate.unitsPerSecond < 10 ? 1 : 0)} (${formatRatio(rate.cpuRatio)})`;
  const rows = Object.entries(rates).map(([account, { before, under, after }]) => [
    account,
    cell(before),
    cell(under),
    cell(after),
  ]);
  return formatTable(SUMMARY_COLUMNS, rows);
}

export function formatPromises(promises: readonly Promised[], { green, red }: Palette): string[] {
  return promises.map(
    ({ promise, isKept, detail }) => `${isKept ? green('PASS') : red('FAIL')}  ${promise}: ${detail}`,
  );
}

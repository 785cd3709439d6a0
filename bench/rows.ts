/** From samples to rows of a table and of a plot: one per case, rounds put together. Pure. */
import type { RangeRow, Tone } from './plot.ts';
import type { Sample, ScenarioResult } from './results.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { type Column, table } from './table.ts';

export class Row {
  readonly name: string;
  readonly group: string | undefined;
  readonly samples: readonly Sample[];

  constructor(name: string, group: string | undefined, samples: readonly Sample[]) {
    this.name = name;
    this.group = group;
    this.samples = samples;
  }

  /** Why there is no figure of it; undefined when there is one. */
  get absent(): string | undefined {
    if (this.samples.some(({ values }) => values !== undefined)) return undefined;
    const { leftOut, failed } = this.samples[0]!;
    return leftOut === undefined ? `failed: ${failed}` : `left out: ${leftOut}`;
  }

  /** What a reader must know of some of its rounds. */
  get remarks(): string {
    const held = this.values('held').filter((count) => count > 0).length;
    const failed = this.samples.filter((sample) => sample.failed !== undefined);
    const of = `of ${this.samples.length} rounds`;
    // A worker that finds itself held up lets everything go; its figures of that round are of something else.
    const parts = [
      ...(held > 0 ? [`let everything go in ${held} ${of}`] : []),
      ...(failed.length > 0 ? [`${failed.length} ${of} failed: ${failed[0]!.failed}`] : []),
    ];
    return parts.length > 0 ? ` (${parts.join('; ')})` : '';
  }

  /** A value in every round where it is known. */
  values(key: string): number[] {
    return this.samples.flatMap((sample) => sample.values?.[key] ?? []);
  }

  spread(key: string): Spread | undefined {
    return spreadOf(this.values(key));
  }

  median(key: string): number | undefined {
    return this.spread(key)?.median;
  }

  /** Single observations of all rounds. */
  list(key: string): number[] {
    return this.samples.flatMap((sample) => sample.lists?.[key] ?? []);
  }
}

/** The cases of a result, in its order. */
export function rowsOf({ samples }: Pick<ScenarioResult, 'samples'>): Row[] {
  const byCase = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.group, sample.case]);
    byCase.set(key, [...(byCase.get(key) ?? []), sample]);
  }
  return [...byCase.values()].map((own) => new Row(own[0]!.case, own[0]!.group, own));
}

/** Groups of a result, in its order; undefined for cases without one. */
export function groupsOf(rows: readonly Row[]): (string | undefined)[] {
  return [...new Set(rows.map(({ group }) => group))];
}

export function findRow(rows: readonly Row[], name: string, group?: string): Row | undefined {
  return rows.find((row) => row.name === name && row.group === group);
}

/** A table with the contender first. Who has no figure has the reason in its place. */
export function rowTable(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const [first, ...others] = columns;
  if (!first) throw new TypeError('a table needs a column');
  return table(
    [
      { title: 'contender', isText: true, cell: (row: Row) => `${row.name}${row.absent ? '' : row.remarks}` },
      { ...first, cell: (row: Row) => row.absent ?? first.cell(row) },
      ...others.map((column) => ({
        ...column,
        cell: (row: Row) => (row.absent ? '' : column.cell(row)),
      })),
    ],
    rows,
  );
}

/** What a plot shows of a row. */
export function rangeRow(row: Row, spread: Spread | undefined): RangeRow {
  return { label: row.name, tone: toneOf(row.name), spread: row.absent ? undefined : spread };
}

export function toneOf(name: string): Tone {
  if (name.startsWith('hobbler')) return 'ours';
  return name.startsWith('C floor') ? 'floor' : 'peer';
}

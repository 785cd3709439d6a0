/** Markdown tables, and figures as people read them. */
import { expect, it } from 'vitest';
import { figure, ratio, spread, table, UNKNOWN } from '../../../bench/table.ts';

it('figures keep about three digits, and an unknown is not a zero (invariant 9)', () => {
  const shown = [0, 0.0123, 0.456, 1.234, 12.34, 123.4, 12_345].map(figure);
  expect(shown).toEqual(['0.00', '0.012', '0.46', '1.23', '12.3', '123', '12,345']);
  expect(figure(undefined)).toBe(UNKNOWN);
  expect(figure(Number.NaN)).toBe(UNKNOWN);
});

it('a spread shows least and most', () => {
  expect(spread({ median: 2, least: 1, most: 30 })).toBe('2.00 (1.00 to 30.0)');
  expect(spread(undefined)).toBe(UNKNOWN);
});

it('a ratio to nothing, or to zero, is unknown', () => {
  expect(ratio(3, 2)).toBe('1.50 ×');
  expect([ratio(3, 0), ratio(undefined, 2), ratio(3, undefined)]).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
});

it('a table puts numbers right, and no cell breaks out of its row', () => {
  const columns = [
    { title: 'who', isText: true, cell: (row: { who: string; n: number }) => row.who },
    { title: 'n', cell: (row: { who: string; n: number }) => String(row.n) },
  ];
  expect(table(columns, [{ who: 'a | b\nc', n: 1 }])).toBe('| who | n |\n| --- | ---: |\n| a \\| b c | 1 |');
});

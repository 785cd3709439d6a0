/** Plots as SVG: whatever was measured, they can be drawn, and say what was not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linePlot, type RangeRow, rangePlot } from '../../../bench/plot.ts';

const row = (label: string, median: number, least = median, most = median): RangeRow => ({
  label,
  tone: 'peer',
  spread: { median, least, most },
});

/** All values of one attribute, as numbers. */
const numbersOf = (svg: string, attribute: string) =>
  [...svg.matchAll(new RegExp(`\\s${attribute}="([^"]+)"`, 'g'))].map((match) => Number(match[1]));

describe('a range plot', () => {
  it('places a larger value further right, and says its median', () => {
    const svg = rangePlot({ title: 't', unit: '%', scale: 'log', groups: [{ rows: [row('a', 1), row('b', 100)] }] });
    const [a, b] = numbersOf(svg, 'cx');
    expect(a).toBeLessThan(b!);
    expect(svg).toContain('>1.00<');
    expect(svg).toContain('>100<');
  });

  it('begins a plain axis at zero', () => {
    const svg = rangePlot({ title: 't', unit: '%', scale: 'linear', groups: [{ rows: [row('a', 4), row('b', 5)] }] });
    expect(svg).toContain('>0<');
  });

  it('says of a row without a figure that it was not measured, and draws no dot for it', () => {
    const rows = [{ label: 'a', tone: 'ours' as const, spread: undefined }];
    const svg = rangePlot({ title: 't', unit: '%', scale: 'linear', groups: [{ rows }] });
    expect(svg).toContain('not measured');
    expect(svg).not.toContain('<circle');
  });

  it('draws a mark where its value is', () => {
    const groups = [{ rows: [row('a', 5)] }];
    const svg = rangePlot({ title: 't', unit: '%', scale: 'linear', groups, mark: { label: 'asked', value: 5 } });
    expect(svg).toContain('>asked<');
    expect(svg).toContain(`x1="${numbersOf(svg, 'cx')[0]}"`);
  });

  it('lets no label become markup', () => {
    const groups = [{ heading: 'a < b & c', rows: [row('"x" <script>', 1)] }];
    const svg = rangePlot({ title: '<t>', unit: '&', scale: 'linear', groups });
    expect(svg).not.toMatch(/<script|<t>|& /);
    expect(svg).toContain('&lt;script&gt;');
  });

  it('stays within its own width for any values, zero and less included', () => {
    const value = fc.double({ min: -10, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 6 }),
        fc.constantFrom('linear' as const, 'log' as const),
        (values, scale) => {
          const rows = values.map((median) => row('x', median, median - 1, median * 2));
          const svg = rangePlot({ title: 't', unit: '%', scale, groups: [{ rows }] });
          expect(svg).not.toMatch(/NaN|Infinity|undefined/);
          for (const attribute of ['x1', 'x2', 'cx'])
            for (const x of numbersOf(svg, attribute)) expect(x >= 0 && x <= 760).toBe(true);
        },
      ),
    );
  });
});

describe('a line plot', () => {
  it('joins the points of a line and names it at its end', () => {
    const points = [
      { x: 200, y: 1 },
      { x: 10_000, y: 40 },
    ];
    const svg = linePlot('t', 'targets', '%', [{ label: 'floor', tone: 'floor', points }]);
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).toContain('floor: 40.0');
  });

  it('keeps labels of lines that end together apart', () => {
    const points = [{ x: 200, y: 5 }];
    const svg = linePlot('t', 'n', '%', [
      { label: 'one', tone: 'ours', points },
      { label: 'two', tone: 'floor', points },
    ]);
    const heights = ['one', 'two'].map((label) => Number(new RegExp(`y="([\\d.]+)">${label}`).exec(svg)?.[1]));
    expect(Math.abs(heights[0]! - heights[1]!)).toBeGreaterThanOrEqual(15);
  });

  it('can be drawn of nothing', () => {
    expect(linePlot('t', 'n', '%', [{ label: 'none', tone: 'ours', points: [] }])).not.toMatch(/NaN|undefined/);
  });
});

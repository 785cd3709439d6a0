/** The CPU share over the last looks: of what was used between the oldest and the newest of six. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { UsageWindow } from '../../../worker/engine/usage-window.ts';

it('says nothing while too little was seen', () => {
  const window = new UsageWindow();
  expect(window.ratio).toBeNull();
  window.add(1_000, 7);
  expect(window.ratio).toBeNull();
  window.add(1_449, 8);
  expect(window.ratio).toBeNull();
  window.add(1_450, 9);
  expect(window.ratio).toBeCloseTo(0.02 / 0.45, 10);
});

it('is what was used over the last six looks, whatever came before', () => {
  const look = fc.record({ afterMs: fc.integer({ min: 450, max: 5_000 }), ticks: fc.integer({ min: 0, max: 500 }) });
  fc.assert(
    fc.property(fc.array(look, { minLength: 2, maxLength: 40 }), (looks) => {
      const window = new UsageWindow();
      let [atMs, total] = [0, 0];
      const points = looks.map(({ afterMs, ticks }) => {
        atMs += afterMs;
        total += ticks;
        window.add(atMs, total);
        return { atMs, total };
      });
      const last = points.slice(-6);
      const used = last.at(-1)!.total - last[0]!.total;
      expect(window.ratio).toBeCloseTo((used * 10) / (last.at(-1)!.atMs - last[0]!.atMs), 10);
    }),
  );
});

/** Who is to be looked at when: in order of time, and of equal times as they came. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { WakeQueue } from '../../../../producer/policy/wake-queue.ts';

it('gives them in order of time, of equal times as they came, also while more are added', () => {
  const operations = fc.array(fc.option(fc.integer({ min: 0, max: 20 }), { nil: null }), { maxLength: 200 });
  fc.assert(
    fc.property(operations, (given) => {
      const queue = new WakeQueue<number>();
      const expected: { atMs: number; who: number }[] = [];
      for (const [who, atMs] of given.entries()) {
        if (atMs !== null) {
          queue.add(atMs, who);
          expected.push({ atMs, who });
          expected.sort((a, b) => a.atMs - b.atMs || a.who - b.who);
        } else {
          expect(queue.nextAtMs).toBe(expected[0]?.atMs ?? Number.POSITIVE_INFINITY);
          expect(queue.take()).toBe(expected.shift()?.who);
        }
      }
      for (const { who } of expected) expect(queue.take()).toBe(who);
      expect(queue.take()).toBeUndefined();
    }),
  );
});

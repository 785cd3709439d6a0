/** Targets that are over by themselves: told once each, and looked for once however many end together. */
import { expect, it } from 'vitest';
import { Gone } from '../../../worker/engine/gone.ts';
import type { HobbleLoop } from '../../../worker/engine/loop.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function open(...loops: { key: string; kind: string; hasLiving: boolean }[]) {
  const clock = new FakeClock();
  const over: string[] = [];
  const byKey = new Map(loops.map(({ key, kind, hasLiving }) => [key, { key, scope: { kind }, hasLiving }]));
  const gone = new Gone({
    clock,
    loops: byKey as unknown as ReadonlyMap<string, HobbleLoop>,
    onGone: ({ key }) => {
      over.push(key);
      byKey.delete(key);
    },
  });
  return { clock, over, gone };
}
const DEAD = { key: 'pid:10@1', kind: 'tree', hasLiving: false };
const DEAD_TOO = { key: 'pid:11@1', kind: 'tree', hasLiving: false };
const LIVING = { key: 'pid:12@1', kind: 'tree', hasLiving: true };
const ARMED = { key: 'user:alice', kind: 'uid', hasLiving: false };

it('a pid target is over with its last process; a user stays armed', () => {
  const { over, gone } = open(DEAD, LIVING, ARMED, DEAD_TOO);
  gone.look();
  gone.look();
  expect(over).toEqual([DEAD.key, DEAD_TOO.key]);
});

it('of all that are found empty in one tick the first asks for a look, after that tick', async () => {
  const { clock, over, gone } = open(DEAD, DEAD_TOO);
  for (let turn = 0; turn < 10_000; turn++) gone.lookSoon();
  expect([over, clock.pendingTimers]).toEqual([[], 1]);
  await clock.advance(0);
  expect(over).toEqual([DEAD.key, DEAD_TOO.key]);
  gone.lookSoon();
  expect(clock.pendingTimers).toBe(1);
});

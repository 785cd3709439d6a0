/** What the log says of orders: each while they are few, and how many of a burst; nothing is counted twice or left out. */
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../../shared/log.ts';
import type { OrderResult } from '../../../shared/order.ts';
import { LINES_PER_SECOND, OrderLog } from '../../../worker/order-log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tarpitExample, untarpitExample } from '../../support/orders.ts';

interface Line {
  level: number;
  msg: string;
  result?: string;
  'tarpit applied'?: number;
  'tarpit gone'?: number;
  'untarpit applied'?: number;
}
const DEBUG = 20;
const APPLIED: OrderResult = { status: 'applied', processes: 1 };
const GONE: OrderResult = { status: 'gone', why: 'no such process' };

function openLog(level = 'info') {
  const clock = new FakeClock();
  const lines: Line[] = [];
  const log = createLogger('worker', level, { write: (text) => void lines.push(JSON.parse(text)) });
  return { clock, lines, orders: new OrderLog(log, clock) };
}
const times = (count: number, run: () => void) => {
  for (let turn = 0; turn < count; turn++) run();
};

describe('the log of orders', () => {
  it('has a line for each, with what came of it, while they are few', () => {
    const { lines, orders } = openLog();
    orders.settled(tarpitExample(), APPLIED);
    orders.settled(tarpitExample(), GONE);
    orders.expired(tarpitExample());
    expect(lines).toMatchObject([
      { msg: 'order', action: 'tarpit', target: tarpitExample().target, result: 'applied' },
      { msg: 'order', result: 'gone', why: 'no such process' },
      { msg: 'order expired: let go', target: tarpitExample().target },
    ]);
  });

  it('counts what is past the first ones of a second by what came of it, and says so once when the second is over', async () => {
    const { clock, lines, orders } = openLog();
    times(LINES_PER_SECOND + 3, () => orders.settled(tarpitExample(), APPLIED));
    times(2, () => orders.settled(untarpitExample(), APPLIED));
    orders.settled(tarpitExample(), GONE);
    orders.sum();
    expect(lines).toHaveLength(LINES_PER_SECOND);
    await clock.advance(1_000);
    orders.sum();
    orders.sum();
    expect(lines.slice(LINES_PER_SECOND)).toMatchObject([
      { 'tarpit applied': 3, 'untarpit applied': 2, 'tarpit gone': 1, msg: expect.stringContaining('audit') },
    ]);
  });

  it('has a line for each again in the next second, after the sum of the one before', async () => {
    const { clock, lines, orders } = openLog();
    times(LINES_PER_SECOND + 1, () => orders.settled(tarpitExample(), APPLIED));
    await clock.advance(1_000);
    orders.settled(untarpitExample(), APPLIED);
    expect(lines.slice(LINES_PER_SECOND)).toMatchObject([
      { 'tarpit applied': 1 },
      { msg: 'order', action: 'untarpit' },
    ]);
  });

  it('leaves out none at level debug', () => {
    const { lines, orders } = openLog('debug');
    times(LINES_PER_SECOND + 5, () => orders.settled(tarpitExample(), APPLIED));
    expect(lines.map(({ msg }) => msg)).toEqual(new Array(LINES_PER_SECOND + 5).fill('order'));
    expect(lines.filter(({ level }) => level === DEBUG)).toHaveLength(5);
  });

  it('says nothing of seconds without orders', async () => {
    const { clock, lines, orders } = openLog();
    await clock.advance(10_000);
    orders.sum();
    expect(lines).toEqual([]);
  });
});

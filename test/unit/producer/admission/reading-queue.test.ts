/** The queue in front of the judging: even passes, senders in turn, bounds, and answers that are true. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchResult, ReadingQueue } from '../../../../producer/admission/reading-queue.ts';
import { TooMuch } from '../../../../producer/admission/too-much.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const odd = (n: number) => n % 2 === 1;
const judgeOdd = (readings: readonly number[]): BatchResult => {
  const refused = readings.flatMap((n, index) => (odd(n) ? { index, why: `${n} is odd` } : []));
  return { accepted: readings.length - refused.length, refused };
};

function setUp({ passReadings = 10, maxWaiting = 1_000, maxWaitingOfSender = 500 } = {}) {
  const clock = new FakeClock();
  const passes: number[][] = [];
  let gate: Promise<void> = Promise.resolve();
  let fault: Error | undefined;
  const queue = new ReadingQueue<number>({
    judge: async (readings) => {
      passes.push([...readings]);
      await gate;
      if (fault) throw fault;
      return judgeOdd(readings);
    },
    clock,
    maxWaiting,
    maxWaitingOfSender,
    passReadings,
  });
  return {
    clock,
    passes,
    queue,
    /** Passes that begin from now on wait for the function that this returns. */
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    breakBy: (error: Error | undefined) => {
      fault = error;
    },
  };
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe('passes', () => {
  test('small batches of one moment share one, a large one is spread over several', async () => {
    const { queue, passes } = setUp();
    await Promise.all([queue.accept('a', [0]), queue.accept('b', [2]), queue.accept('c', [4, 6])]);
    expect(passes).toEqual([[0, 2, 4, 6]]);
    passes.length = 0;
    await queue.accept('a', numbers(0, 25));
    expect(passes.map((pass) => pass.length)).toEqual([10, 10, 5]);
  });

  test('one who sends a flood keeps nobody else waiting: senders take turns', async () => {
    const { queue, passes } = setUp();
    const flood = queue.accept('flood', numbers(0, 100));
    const single = queue.accept('single', [1_000]);
    await single;
    expect(passes.length).toBeLessThanOrEqual(2);
    expect(passes[0]).toContain(1_000);
    expect(passes[0]).toHaveLength(10);
    await flood;
  });

  test('a sender stays in his own order', async () => {
    const { queue, passes } = setUp();
    await Promise.all([queue.accept('a', numbers(0, 15)), queue.accept('a', numbers(15, 15))]);
    expect(passes.flat()).toEqual(numbers(0, 30));
  });

  test('never run two at a time', async () => {
    const { queue, passes, hold } = setUp();
    const go = hold();
    const first = queue.accept('a', [0]);
    await Promise.resolve();
    const second = queue.accept('a', [2]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(passes).toEqual([[0]]);
    go();
    await Promise.all([first, second]);
    expect(passes).toEqual([[0], [2]]);
  });
});

describe('answers', () => {
  test('name what was refused by its place in the batch, whatever passes it went through', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ sender: fc.constantFrom('a', 'b', 'c'), readings: fc.array(fc.nat(50), { maxLength: 40 }) }),
          { maxLength: 12 },
        ),
        fc.integer({ min: 1, max: 15 }),
        async (batches, passReadings) => {
          const { queue, passes } = setUp({ passReadings, maxWaitingOfSender: 1_000 });
          const answers = await Promise.all(batches.map(({ sender, readings }) => queue.accept(sender, readings)));
          expect(answers).toEqual(batches.map(({ readings }) => judgeOdd(readings)));
          expect(passes.flat().toSorted()).toEqual(batches.flatMap(({ readings }) => readings).toSorted());
          expect(passes.every(({ length }) => length > 0 && length <= passReadings)).toBe(true);
          expect(queue.waiting).toBe(0);
        },
      ),
    );
  });

  test('a batch that broke is not acknowledged, and the next one is taken', async () => {
    const { queue, passes, breakBy } = setUp();
    breakBy(new Error('Redis is away'));
    await expect(queue.accept('a', numbers(0, 30))).rejects.toThrow('Redis is away');
    expect(passes).toHaveLength(1);
    breakBy(undefined);
    expect(await queue.accept('a', [2])).toEqual({ accepted: 1, refused: [] });
    expect(queue.waiting).toBe(0);
  });

  test('who has gone away waits for nothing: the rest of the batch is dropped', async () => {
    const { queue, passes, hold } = setUp();
    const go = hold();
    const leaving = new AbortController();
    const left = queue.accept('a', numbers(0, 30), leaving.signal);
    await Promise.resolve();
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    go();
    expect(await queue.accept('b', [2])).toEqual({ accepted: 1, refused: [] });
    expect(passes).toEqual([numbers(0, 10), [2]]);
    await expect(queue.accept('b', [2], leaving.signal)).rejects.toThrow('gone');
  });
});

describe('bounds', () => {
  test('past all that may wait, everybody is refused; a sender past his share, he alone', async () => {
    const { queue, hold } = setUp({ maxWaiting: 100, maxWaitingOfSender: 60 });
    const go = hold();
    const waiting = [queue.accept('a', numbers(0, 50))];
    await expect(queue.accept('a', numbers(0, 20))).rejects.toThrow('of this sender');
    waiting.push(queue.accept('b', numbers(0, 50)));
    const refusal = await queue.accept('c', [0]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(TooMuch);
    expect(String(refusal)).toContain('nothing was taken');
    go();
    await Promise.all(waiting);
    expect((await queue.accept('c', [0])).accepted).toBe(1);
  });

  test('one batch larger than a share is taken where nothing else waits', async () => {
    const { queue } = setUp({ maxWaiting: 20, maxWaitingOfSender: 10 });
    expect((await queue.accept('a', numbers(0, 40))).accepted).toBe(20);
  });

  test('when to come back follows from how fast it goes', async () => {
    const { queue, clock, hold } = setUp({ maxWaiting: 100, maxWaitingOfSender: 100 });
    let go = hold();
    const first = queue.accept('a', numbers(0, 10));
    await Promise.resolve();
    // 10 readings in 2 s: what waits, 100, takes 20 s, and half of it 10.
    await clock.advance(2_000);
    go();
    await first;
    go = hold();
    const waiting = queue.accept('a', numbers(0, 100));
    await expect(queue.accept('b', [0])).rejects.toMatchObject({ retryAfterMs: 10_000 });
    go();
    await waiting;
  });
});

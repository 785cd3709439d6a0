/** Many who want the same of Redis at once share a call: each gets its own answer, nobody waits for company, none is lost. */
import { describe, expect, it } from 'vitest';
import { Gather } from '../../../worker/gather.ts';

/** A server that answers each call when the test says so. */
function createServer(most: number) {
  const calls: { items: readonly number[]; answer: () => void; fail: (why: Error) => void }[] = [];
  const gather = new Gather<number, string>(
    most,
    (items) =>
      new Promise((resolve, reject) => {
        calls.push({ items, answer: () => resolve(items.map((item) => `answer ${item}`)), fail: reject });
      }),
  );
  return { calls, gather };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('what is gathered', () => {
  it('in one turn of the event loop is one call, and each gets its own answer', async () => {
    const { calls, gather } = createServer(10);
    const answers = Promise.all([1, 2, 3].map((item) => gather.add(item)));
    await turn();
    expect(calls.map(({ items }) => items)).toEqual([[1, 2, 3]]);
    calls[0]!.answer();
    expect(await answers).toEqual(['answer 1', 'answer 2', 'answer 3']);
  });

  it('while a call is under way goes with the next one, in the order in which it came', async () => {
    const { calls, gather } = createServer(10);
    const first = gather.add(1);
    await turn();
    const later = [2, 3].map((item) => gather.add(item));
    await turn();
    expect(calls).toHaveLength(1);
    calls[0]!.answer();
    await first;
    later.push(gather.add(4));
    await turn();
    expect(calls.slice(1).flatMap(({ items }) => items)).toEqual([2, 3]);
    calls[1]!.answer();
    await Promise.all(later.slice(0, 2));
    await turn();
    calls[2]!.answer();
    expect(await Promise.all(later)).toEqual(['answer 2', 'answer 3', 'answer 4']);
  });

  it('is never more in one call than is allowed', async () => {
    const { calls, gather } = createServer(2);
    const answers = Promise.all([1, 2, 3, 4, 5].map((item) => gather.add(item)));
    for (let call = 0; call < 3; call++) {
      await turn();
      calls[call]!.answer();
    }
    expect(await answers).toHaveLength(5);
    expect(calls.map(({ items }) => items)).toEqual([[1, 2], [3, 4], [5]]);
  });

  it('fails together where its call fails, and the next call is made all the same', async () => {
    const { calls, gather } = createServer(10);
    const outcomes = Promise.allSettled([gather.add(1), gather.add(2)]);
    await turn();
    const next = gather.add(3);
    calls[0]!.fail(new Error('Redis is away'));
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await turn();
    calls[1]!.answer();
    expect(await next).toBe('answer 3');
    const last = gather.add(4);
    await turn();
    calls[2]!.answer();
    expect(await last).toBe('answer 4');
  });
});

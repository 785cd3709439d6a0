/** The limiter: so many at a time, the urgent first, bounded, and a slow one in nobody's way but its own. */
import { expect, test } from 'vitest';
import { Limiter } from '../../../../producer/admission/limiter.ts';
import { TooMuch } from '../../../../producer/admission/too-much.ts';

const make = (concurrency: number, maxWaiting = 1_000) => new Limiter({ concurrency, maxWaiting, what: 'queries' });

/** Work that ends when the test says so. */
function held() {
  const gate = Promise.withResolvers<void>();
  return { work: () => gate.promise, end: gate.resolve, fail: gate.reject };
}

test('20 queries, 10 at a time, are two rounds and not twenty', async () => {
  const limiter = make(10);
  const rounds: number[] = [];
  const gates = Array.from({ length: 20 }, held);
  const all = Promise.all(gates.map(({ work }) => limiter.run(work)));
  while (limiter.running > 0) {
    rounds.push(limiter.running);
    for (const { end } of gates.splice(0, 10)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  expect(rounds).toEqual([10, 10]);
});

test('operators go before untarpits, those before tarpits, and what can wait goes last', async () => {
  const limiter = make(1);
  const first = held();
  const order: string[] = [];
  const note = (name: string) => async () => {
    order.push(name);
  };
  const running = [
    limiter.run(first.work),
    limiter.run(note('background'), { urgency: 'background' }),
    limiter.run(note('tarpit 1')),
    limiter.run(note('tarpit 2')),
    limiter.run(note('untarpit'), { urgency: 'untarpit' }),
    limiter.run(note('operator'), { urgency: 'operator' }),
  ];
  first.end();
  await Promise.all(running);
  expect(order).toEqual(['operator', 'untarpit', 'tarpit 1', 'tarpit 2', 'background']);
});

test('one too many is refused at once, and says when to come back', async () => {
  const limiter = make(1, 1);
  const [running, waiting] = [held(), held()];
  const both = [limiter.run(running.work), limiter.run(waiting.work)];
  const refusal = await limiter.run(async () => 1).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(TooMuch);
  expect(refusal).toMatchObject({
    code: 'bound-exceeded',
    retryAfterMs: 1_000,
    message: expect.stringContaining('too many queries wait'),
  });
  running.end();
  waiting.end();
  await Promise.all(both);
  expect(await limiter.run(async () => 'taken again')).toBe('taken again');
});

test('where none may wait, one is taken all the same', async () => {
  expect(await make(1, 0).run(async () => 'taken')).toBe('taken');
});

test('one that never ends frees its place when its time is over, and its signal says so', async () => {
  const limiter = new Limiter({ concurrency: 1, maxWaiting: 5, timeoutMs: 5, what: 'queries' });
  let seen: AbortSignal | undefined;
  const dead = limiter.run((signal) => {
    seen = signal;
    return new Promise<never>(() => {});
  });
  const next = limiter.run(async () => 'next');
  await expect(dead).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(await next).toBe('next');
  expect(seen?.aborted).toBe(true);
});

test('one that fails harms nobody else, and one that is called off while it waits never runs', async () => {
  const limiter = make(1);
  const first = held();
  const calling = new AbortController();
  let ran = false;
  const failing = limiter.run(first.work);
  const calledOff = limiter.run(
    async () => {
      ran = true;
    },
    { signal: calling.signal },
  );
  const last = limiter.run(async () => 'last');
  calling.abort(new Error('gone'));
  first.fail(new Error('broken'));
  await expect(failing).rejects.toThrow('broken');
  await expect(calledOff).rejects.toThrow('gone');
  expect(await last).toBe('last');
  expect(ran).toBe(false);
});

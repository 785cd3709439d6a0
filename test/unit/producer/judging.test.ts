/**
 * Producers upon one ledger, on clocks that stand still: two at once, one that was away, operators, the brake, and time
 * that alone changes something. The orders are those that the claims ask for.
 */
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { Enforcer } from '../../../producer/enforcer.ts';
import { Intake } from '../../../producer/intake.ts';
import { Judging } from '../../../producer/judging.ts';
import type { ReadingInput } from '../../../producer/reading.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { OrderRequest } from '../../../shared/redis/issuer.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLedger } from './memory-ledger.ts';
import { config, LEVEL, NOW_MS } from './support.ts';

const LEASE_MS = 900_000;
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function start(memory: MemoryLedger, clock: FakeClock, section: object = {}) {
  const given: string[] = [];
  const desk = {
    offer: async ({ action, host, target, forMs }: OrderRequest) => {
      given.push(`${action} ${host} ${target}`);
      return {
        status: 'given',
        order: { issuedAt: clock.wallMs(), expiresAt: clock.wallMs() + (forMs ?? 0) },
        jobs: {},
      } as never;
    },
    standingOnHosts: async () => new Map(),
  };
  const log = silentLogger();
  const all = config({ brake: 'off', ...section });
  const enforcer: Enforcer = new Enforcer({
    desk,
    leaseMs: LEASE_MS,
    dryRun: false,
    clock,
    log,
    onSettled: (settled) => memory.settle(settled),
    confirm: (accounts) => intake.lookAgain(accounts),
  });
  const common = { config: all, redis: memory.redis, ledger: memory.ledger, clock, log };
  const judging = new Judging({ ...common, enforcer });
  const intake = new Intake({ ...common, judging, enforcer });
  await intake.start();
  enforcer.start();
  const stop = () => {
    intake.stop();
    enforcer.stop();
  };
  stops.push(stop);
  return {
    judging,
    stop,
    /** Accepts, and gives the orders that follow. */
    send: async (...readings: (ReadingInput & { reading: object })['reading'][]) => {
      const result = await intake.accept(readings.map((reading) => ({ reading }) as ReadingInput));
      await enforcer.runOnce();
      return result;
    },
    take: () => given.splice(0),
    reconfigure: async (section: object) => {
      await intake.reconfigure(config({ brake: 'off', ...section }));
      await enforcer.runOnce();
    },
  };
}
const over = { account: 'alice', used: 2104 };
const IN = ['tarpit * user:alice'];
const OUT = ['untarpit * user:alice'];

it('a penalty ends by time alone, when the judge said it would', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const producer = await start(memory, clock);
  await producer.send({ ...over, resetsAt: NOW_MS + 120_000 });
  expect(producer.take()).toEqual(IN);
  await clock.advance(119_000);
  expect(producer.take()).not.toContain(OUT[0]);
  await clock.advance(2_000);
  expect(producer.take()).toEqual(OUT);
  expect(producer.judging.tarpitted).toBe(0);
});

it('climbs its ladder by time and readings, and each change of the duty cycle is ordered', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const ladders = {
    standard: {
      levels: [
        { runMs: 50, stopMs: 50, for: '2m' },
        { runMs: 10, stopMs: 200, for: '4m' },
      ],
      grace: '1m',
    },
  };
  const producer = await start(memory, clock, { ladders });
  await producer.send({ account: 'alice', used: 2104 });
  await clock.advance(121_000);
  expect(producer.take()).toEqual([...IN, ...OUT]);
  await clock.advance(61_000);
  expect(producer.take()).toEqual([]);
  await producer.send({ account: 'alice', used: 2600 });
  expect(producer.take()).toEqual(IN);
  expect((await memory.read(['alice'])).get('alice')!.states.get('account')!.standing).toMatchObject({ level: 2 });
});

it('two producers that take the same readings at once agree, and count each once', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const [one, two] = [await start(memory, clock), await start(memory, clock)];
  const batch = [
    { ...over, id: 'r1' },
    { account: 'bob', used: 5, id: 'r2' },
  ];
  await Promise.all([one.send(...batch), two.send(...batch)]);
  const { states } = (await memory.read(['alice'])).get('alice')!;
  expect(states.get('account')).toMatchObject({ standing: { sinceMs: NOW_MS }, ids: [expect.any(String)] });
  expect([one.judging.tarpitted, two.judging.tarpitted]).toEqual([1, 1]);
  // Neither renews what the other has let go.
  await two.send({ account: 'alice', used: 3, window: 'tomorrow' });
  await clock.advance(60_000);
  await two.send({ account: 'alice', used: 4, window: 'tomorrow' });
  expect(two.take()).toContain(OUT[0]);
  one.take();
  await clock.advance(LEASE_MS);
  expect(one.take()).not.toContain(IN[0]);
  expect(one.judging.tarpitted).toBe(0);
});

it('of two different readings at once, one to each producer, neither is lost', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const [one, two] = [await start(memory, clock), await start(memory, clock)];
  const total = (total: number, at: number) => ({ account: 'alice', total, at, id: `${at}` });
  await one.send(total(100, NOW_MS - 9_000));
  await Promise.all([one.send(total(1_300, NOW_MS - 5_000)), two.send(total(2_500, NOW_MS - 1_000))]);
  const state = (await memory.read(['alice'])).get('alice')!.states.get('account')!;
  expect(state.ids).toHaveLength(3);
  expect(state.totals['cpu\ts']!.samples.map(([, counter]) => counter)).toEqual([100, 1_300, 2_500]);
  expect(state.standing.hobble).toEqual(LEVEL);
});

it('a producer that was away renews what stood, and lets go at once whose time has come', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const first = await start(memory, clock);
  await first.send(over, { account: 'bob', used: 9, limit: 1, resetsAt: NOW_MS + 90_000 });
  first.stop();
  await clock.advance(100_000);
  const second = await start(memory, clock);
  await clock.advance(1_000);
  expect(second.take()).toEqual(['untarpit * user:bob', ...IN]);
});

it('what the ledger lost is remembered by who has it in the tarpit, and written again', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const producer = await start(memory, clock);
  await producer.send(over);
  memory.accountsKept.clear();
  producer.take();
  await clock.advance(LEASE_MS / 3 + 2_000);
  expect(producer.take()).toEqual(IN);
  expect(memory.accountsKept.has('alice')).toBe(true);
});

it('the same reading twice counts once, a late running total is placed, and a counter that restarts is a reset', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const producer = await start(memory, clock);
  const total = (total: number, at: number) => ({ account: 'alice', total, at, id: `${total}@${at}` });
  await producer.send(total(10_000, NOW_MS - 3_000_000), total(11_500, NOW_MS - 60_000));
  await producer.send(total(11_500, NOW_MS - 60_000));
  const { revision } = (await memory.read(['alice'])).get('alice')!;
  await producer.send(total(11_500, NOW_MS - 60_000));
  expect((await memory.read(['alice'])).get('alice')!.revision).toBe(revision);
  // The counter had been set back in between: 10,000 → 10,900, then from 0 to 11,500.
  await producer.send(total(10_900, NOW_MS - 1_000_000));
  expect(producer.take()).toEqual([]);
  await producer.send(total(700, NOW_MS - 30_000));
  expect(producer.take()).toEqual(IN);
});

it('an operator lets an account out and keeps another in, whatever they use, until that ends', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const producer = await start(memory, clock);
  await producer.send(over, { account: 'bob', used: 1 });
  producer.take();
  const common = { setAtMs: NOW_MS, by: 'operator:eve', why: 'because' };
  memory.pin('alice', { ...common, kind: 'release', untilMs: NOW_MS + 600_000 });
  memory.pin('bob', { ...common, kind: 'keep', untilMs: NOW_MS + 600_000, hobble: LEVEL });
  memory.pin('carl', { ...common, kind: 'keep', untilMs: NOW_MS + 600_000, hobble: LEVEL });
  await clock.advance(2_000);
  expect(producer.take().sort()).toEqual(['tarpit * user:bob', 'tarpit * user:carl', ...OUT]);
  await producer.send({ ...over, used: 3000 });
  expect(producer.take()).toEqual([]);
  await clock.advance(600_000);
  expect(
    producer
      .take()
      .filter((order) => order.startsWith('untarpit'))
      .sort(),
  ).toEqual(['untarpit * user:bob', 'untarpit * user:carl']);
  await producer.send({ ...over, used: 3000 });
  expect(producer.judging.tarpitted).toBe(1);
});

it('the brake holds a crowd, says so, and lets it in when an operator says that the figures are right', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const section = { brake: { share: 0.2, atLeast: 2 } };
  const producer = await start(memory, clock, section);
  const users = Array.from({ length: 10 }, (_, n) => `user${n}`);
  await producer.send(...users.map((account) => ({ account, used: 1 })));
  await producer.send(...users.slice(0, 2).map((account) => ({ account, used: 2104 })));
  expect(producer.judging.tarpitted).toBe(2);
  await producer.send(...users.slice(2, 6).map((account) => ({ account, used: 2104 })));
  expect(producer.judging.tarpitted).toBe(2);
  expect(producer.judging.isBraked).toBe(true);
  expect(memory.audit.join()).toContain('the brake holds: 6 of 10 accounts');
  // A second producer, and this one after a restart, hold as well; who is in stays in.
  producer.stop();
  const second = await start(memory, clock, section);
  expect(second.judging.isBraked).toBe(true);
  await second.send({ account: 'user7', used: 9999 });
  expect(second.judging.tarpitted).toBe(2);
  const state = JSON.parse(memory.brake!);
  memory.brake = JSON.stringify({
    ...state,
    held: null,
    open: { untilMs: NOW_MS + 3_600_000, by: 'operator:eve', why: 'right' },
  });
  await clock.advance(2_000);
  expect(second.judging.isBraked).toBe(false);
  expect(second.judging.tarpitted).toBe(7);
});

it('another config takes effect at once, and a penalty outlives it', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  const producer = await start(memory, clock);
  await producer.send(over, { account: 'bob', used: 1500 });
  producer.take();
  const { standing } = (await memory.read(['alice'])).get('alice')!.states.get('account')!;
  await clock.advance(61_000);
  const accounts = { alice: { targets: [{ host: 'web-1', target: 'uid:7' }] } };
  await producer.reconfigure({ limits: { default: { used: 1000 } }, accounts });
  expect(producer.take().sort()).toEqual(['tarpit * user:bob', 'tarpit web-1 uid:7', ...OUT]);
  expect((await memory.read(['alice'])).get('alice')!.states.get('account')!.standing.sinceMs).toBe(standing.sinceMs);
  await producer.reconfigure({ limits: { default: { used: 1000 } }, accounts, exempt: ['alice', 'bob'] });
  expect(producer.take().sort()).toEqual(['untarpit * user:bob', 'untarpit web-1 uid:7']);
});

it('a state that cannot be read lets its account go at the next reading, and not before (invariant 1)', async () => {
  const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
  memory.accountsKept.set('alice', {
    revision: 3,
    states: new Map([['account', '{']]),
    places: new Map(),
    owed: new Map(),
  });
  const producer = await start(memory, clock);
  await clock.advance(2_000);
  expect(producer.take()).toEqual([]);
  await producer.send({ account: 'alice', used: 1 });
  expect(producer.take()).toEqual(OUT);
});

it('whichever of two producers takes which reading, and both at once, the ledger is as one alone would have it', async () => {
  const arrival = fc.record({
    to: fc.constantFrom<('one' | 'two' | 'both')[]>('one', 'two', 'both'),
    afterMs: fc.integer({ min: 0, max: 200_000 }),
    account: fc.constantFrom('alice', 'bob'),
    used: fc.integer({ min: 0, max: 4_000 }),
    window: fc.constantFrom('a', 'b', undefined),
  });
  const ladders = {
    standard: {
      levels: [
        { runMs: 50, stopMs: 50, for: '2m' },
        { runMs: 10, stopMs: 200 },
      ],
    },
  };
  const play = async (
    arrivals: readonly (typeof arrival extends fc.Arbitrary<infer T> ? T : never)[],
    count: 1 | 2,
  ) => {
    const [memory, clock] = [new MemoryLedger(), new FakeClock(NOW_MS)];
    const first = await start(memory, clock, { ladders });
    const second = count === 2 ? await start(memory, clock, { ladders }) : first;
    for (const [index, { to, afterMs, window, ...figures }] of arrivals.entries()) {
      await clock.advance(afterMs);
      const reading = { ...figures, id: `r-${index}`, ...(window === undefined ? {} : { window }) };
      const takers = to === 'both' ? [first, second] : [to === 'one' ? first : second];
      await Promise.all(takers.map((producer) => producer.send(reading)));
    }
    await clock.advance(600_000);
    first.stop();
    second.stop();
    return [...memory.accountsKept]
      .map(([account, { states }]) => [account, [...states.values()].map((text) => JSON.parse(text))])
      .sort();
  };
  await fc.assert(
    fc.asyncProperty(fc.array(arrival, { minLength: 1, maxLength: 8 }), async (arrivals) => {
      expect(await play(arrivals, 2)).toEqual(await play(arrivals, 1));
    }),
    { numRuns: 25 },
  );
}, 30_000);

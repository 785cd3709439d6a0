/** The intake's own promises, with a ledger that can be held up: one pass at a time, and a bound on what waits. */
import { describe, expect, it } from 'vitest';
import { Enforcer } from '../../../producer/enforcer.ts';
import { Intake } from '../../../producer/intake.ts';
import { Judging } from '../../../producer/judging.ts';
import type { ReadingInput } from '../../../producer/reading.ts';
import { silentLogger } from '../../../shared/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLedger } from './memory-ledger.ts';
import { config, NOW_MS } from './support.ts';

function open(memory = new MemoryLedger()) {
  const clock = new FakeClock(NOW_MS);
  const desk = { offer: async () => ({ status: 'given' as const }) as never, standingOnHosts: async () => new Map() };
  const log = silentLogger();
  const nothing = async () => {};
  const enforcer = new Enforcer({
    desk,
    leaseMs: 900_000,
    dryRun: true,
    clock,
    log,
    onSettled: nothing,
    confirm: nothing,
  });
  const common = { config: config(), redis: memory.redis, ledger: memory.ledger, clock, log };
  const judging = new Judging({ ...common, enforcer });
  const intake = new Intake({ ...common, judging, enforcer });
  return { intake, memory, enforcer };
}
const reading = (used: number, account = 'alice'): ReadingInput => ({ reading: { account, used } });
const figures = (memory: MemoryLedger) =>
  memory.saved.flatMap(({ subjects }) =>
    subjects.map(({ state: { account, standing, limits } }) => {
      return `${account} ${limits.default?.figure?.used} ${standing.hobble ? 'in' : 'out'}`;
    }),
  );

describe('the intake', () => {
  it('judges a batch only when the one before is written down', async () => {
    const { intake, memory } = open();
    const held = Promise.withResolvers<void>();
    memory.gate = held.promise;
    const first = intake.accept([reading(2104)]);
    // Its pass has begun, and waits at the gate; what comes in the same moment would share it.
    await new Promise((resolve) => setImmediate(resolve));
    const second = intake.accept([reading(1900)]);
    held.resolve();
    await Promise.all([first, second]);
    expect(figures(memory)).toEqual(['alice 2104 in', 'alice 1900 in']);
  });

  it('says "later" when more waits than may', async () => {
    const { intake, memory } = open();
    const held = Promise.withResolvers<void>();
    memory.gate = held.promise;
    const many = Array.from({ length: 120_000 }, (): ReadingInput => ({ refused: 'bad' }));
    const first = intake.accept([reading(1), ...many]);
    await expect(intake.accept(many)).rejects.toMatchObject({ code: 'bound-exceeded' });
    held.resolve();
    expect(await first).toMatchObject({ accepted: 1 });
    expect((await intake.accept(many)).refused).toHaveLength(120_000);
  });

  it('a pass that could not be written down is not acknowledged, and orders nothing', async () => {
    const { intake, memory, enforcer } = open();
    memory.failures = 1;
    await expect(intake.accept([reading(2104)])).rejects.toThrow('Connection is closed.');
    expect(enforcer.claims.size).toBe(0);
    expect(await intake.accept([reading(2104)])).toMatchObject({ accepted: 1 });
    expect(enforcer.claims.size).toBe(1);
  });

  it('a verdict that was written before a failure is enforced when the reading comes again', async () => {
    const other = open();
    await other.intake.accept([reading(2104)]);
    const { intake, enforcer } = open(other.memory);
    await intake.accept([reading(2104)]);
    expect(enforcer.claims.has('alice\naccount')).toBe(true);
  });

  it('of a batch about one account only the end is written, and each reading is refused alone', async () => {
    const { intake, memory, enforcer } = open();
    const result = await intake.accept([
      reading(1000),
      reading(2104),
      { reading: { account: 'alice', used: 1, limitName: 'disk' } },
      reading(7, 'bob'),
      { refused: 'not JSON' },
    ]);
    expect(result).toEqual({
      accepted: 3,
      refused: [
        { index: 2, why: 'reading.limitName: expected default; got "disk"' },
        { index: 4, why: 'not JSON' },
      ],
    });
    expect(figures(memory)).toEqual(['alice 2104 in', 'bob 7 out']);
    expect(enforcer.claims.size).toBe(1);
  });
});

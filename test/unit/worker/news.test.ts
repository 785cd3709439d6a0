/**
 * What is written of targets, every second: nothing that there is to say is missing, whatever happens to them, and of those
 * that say what they said nothing is worked out. A whole engine on plain files, with a clock that the test moves.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import type { Report } from '../../../shared/report.ts';
import { parseTarget } from '../../../shared/target.ts';
import type { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import { NO_BRAKE } from '../../../worker/engine/brake.ts';
import { Engine } from '../../../worker/engine/engine.ts';
import type { Journal } from '../../../worker/journal.ts';
import { Mechanisms } from '../../../worker/mechanisms/mechanism.ts';
import { SIGNALS_ONLY } from '../../../worker/mechanisms/probe.ts';
import type { Entry, OrderBook } from '../../../worker/order-book.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { Reporter } from '../../../worker/reporter.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';
import { tarpitExample } from '../../support/orders.ts';

/** The part of a Redis that holds reports. */
class ReportsAlone {
  readonly fields = new Map<string, string>();

  pipeline() {
    const commands: (() => void)[] = [];
    return {
      get length() {
        return commands.length;
      },
      del: () => commands.push(() => this.fields.clear()),
      hset: (_: string, ...pairs: string[]) =>
        commands.push(() => {
          for (let at = 0; at < pairs.length; at += 2) this.fields.set(pairs[at]!, pairs[at + 1]!);
        }),
      hdel: (_: string, ...fields: string[]) =>
        commands.push(() => {
          for (const field of fields) this.fields.delete(field);
        }),
      exec: async () => {
        for (const command of commands) command();
        return [];
      },
    };
  }

  reports(): Map<string, Report> {
    return new Map([...this.fields].map(([target, text]) => [target, JSON.parse(text)]));
  }
}

let kernel: FakeKernel;
let world: World;
beforeEach(() => {
  kernel = new FakeKernel();
  world = new World();
});
afterEach(() => {
  world.end();
  kernel.end();
});

class World {
  readonly clock = new FakeClock();
  readonly redis = new ReportsAlone();
  readonly entries = new Map<string, Entry>();
  readonly engine: Engine;
  readonly reporter: Reporter;
  ownCpuMs = 0;
  redisAheadMs = 0;
  #version = 0;

  constructor() {
    const { clock, entries } = this;
    const table = new ProcessTable(kernel.proc);
    const cgroups = { directoriesOf: () => [], pidsOf: () => [] } as unknown as Cgroups;
    const journal = { willStop: () => true, left: () => {} } as unknown as Journal;
    const parts = { proc: kernel.proc, table, cgroups, journal };
    this.engine = new Engine(
      {
        ...parts,
        mechanisms: new Mechanisms({ ...parts, found: SIGNALS_ONLY }),
        clock,
        rules: {
          protectedPids: () => new Set([1]),
          redis: () => undefined,
          minUid: 1_000,
          exemptUids: new Set([1_999]),
          exemptGids: new Set(),
          exemptCgroups: [],
          onlyUid: null,
        },
        cores: 2,
        bounds: { loops: 100, processesPerTarget: 10 },
        brake: NO_BRAKE,
        budget: { cpuRatio: 0.05, maxPeriodMs: 1_000 },
        ownCpuMs: () => this.ownCpuMs,
        log: silentLogger(),
      },
      {
        onChange: (key) => this.reporter.changed(key),
        onEnd: (loop) => {
          entries.get(loop.key)!.result = { status: 'gone', why: 'its last process has ended' };
          this.reporter.changed(loop.key);
        },
        onGap: async () => {},
      },
    );
    this.reporter = new Reporter({
      redis: this.redis as unknown as Redis,
      host: 'web-1',
      engine: this.engine,
      book: { entries } as unknown as OrderBook,
      clock,
      redisNowMs: () => clock.wallMs() + this.redisAheadMs,
      cores: 2,
      log: silentLogger(),
    });
  }

  /** As the order book does it. */
  tarpit(target: string, every: boolean): void {
    const cycle = { runMs: 10, stopMs: 200 };
    const outcome = this.engine.tarpit(parseTarget(target), { cycle, every, mechanism: 'auto' });
    const result: Entry['result'] =
      outcome.status === 'applied' ? { status: 'applied', processes: outcome.loop.processes } : outcome;
    const order = tarpitExample({ target, version: ++this.#version });
    const deadlineBootMs = this.clock.bootMs() + 900_000;
    this.entries.set(target, { order, deadlineBootMs, sinceMs: this.clock.wallMs(), result, mechanismWhy: null });
    this.reporter.changed(target);
  }

  untarpit(target: string): void {
    this.engine.untarpit(target);
    this.entries.delete(target);
    this.reporter.changed(target);
  }

  end(): void {
    this.engine.releaseAll();
    this.reporter.stop();
  }
}

type Step =
  | { kind: 'spawn'; uid: number; parent: number }
  | { kind: 'exit' | 'ctrl-z' | 'goes on' | 'may not be signalled' | 'works' | 'changes user'; which: number }
  | { kind: 'tarpit'; uid: number; every: boolean }
  | { kind: 'tarpit one'; which: number; every: boolean }
  | { kind: 'untarpit' | 'denied' | 'expires'; which: number }
  | { kind: 'gate'; gate: 'hold' | 'guard'; isOpen: boolean }
  | { kind: 'redis clock' | 'own cpu'; ms: number }
  | { kind: 'wait'; ms: number };

const uid = fc.constantFrom(1_001, 1_002, 1_999);
const which = fc.nat();
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('spawn' as const), uid, parent: fc.nat() }),
  fc.record({
    kind: fc.constantFrom<'exit' | 'ctrl-z' | 'goes on' | 'may not be signalled' | 'works' | 'changes user'>(
      'exit',
      'ctrl-z',
      'goes on',
      'may not be signalled',
      'works',
      'changes user',
    ),
    which,
  }),
  fc.record({ kind: fc.constant('tarpit' as const), uid, every: fc.boolean() }),
  fc.record({ kind: fc.constant('tarpit one' as const), which, every: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('untarpit' as const, 'denied' as const, 'expires' as const), which }),
  fc.record({
    kind: fc.constant('gate' as const),
    gate: fc.constantFrom('hold' as const, 'guard' as const),
    isOpen: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('redis clock' as const, 'own cpu' as const),
    ms: fc.integer({ min: -5_000, max: 5_000 }),
  }),
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12_000 }) }) },
);

function pick<T>(all: readonly T[], index: number): T | undefined {
  return all[index % Math.max(1, all.length)];
}

async function take(step: Step, nextPid: number): Promise<void> {
  const { engine, clock } = world;
  const processes = [...kernel.processes.values()].filter(({ pid }) => pid > 1);
  const one = 'which' in step ? pick(processes, step.which) : undefined;
  const target = 'which' in step ? pick([...world.entries.keys()], step.which) : undefined;
  switch (step.kind) {
    case 'spawn':
      kernel.add({ pid: nextPid, ppid: pick(processes, step.parent)?.pid ?? 1, uid: step.uid });
      break;
    case 'exit':
      if (one) kernel.remove(one.pid);
      break;
    case 'ctrl-z':
      if (one) kernel.change(one.pid, { state: 'T', tty: 34_816 });
      break;
    case 'goes on':
      if (one) kernel.change(one.pid, { state: 'S' });
      break;
    case 'may not be signalled':
      if (one) kernel.refuses.set(one.pid, 'EPERM');
      break;
    case 'works':
      if (one) kernel.change(one.pid, { state: 'R', ownTicks: one.ownTicks + 300 });
      break;
    case 'changes user':
      if (one) kernel.change(one.pid, { uid: 1_999, euid: 1_999 });
      break;
    case 'tarpit':
      world.tarpit(`uid:${step.uid}`, step.every);
      break;
    case 'tarpit one':
      if (one) world.tarpit(`pid:${one.pid}@${one.startTicks}`, step.every);
      break;
    case 'untarpit':
      if (target) world.untarpit(target);
      break;
    case 'denied':
      if (target) engine.loops.get(target)?.deny('su (pid 1) stops with its child');
      break;
    case 'expires':
      // As after a gap: found by a look that tells nobody.
      if (!target) break;
      engine.untarpit(target);
      world.entries.get(target)!.result = { status: 'expired', lateMs: 0 };
      break;
    case 'gate':
      if (step.isOpen) engine.openGate(step.gate);
      else engine.closeGate(step.gate, `closed at ${clock.monotonicMs()}`);
      break;
    case 'redis clock':
      world.redisAheadMs += step.ms;
      break;
    case 'own cpu':
      world.ownCpuMs += Math.abs(step.ms);
      break;
    case 'wait':
      await clock.advance(step.ms);
      break;
  }
}

const SAID = [
  'version',
  'state',
  'why',
  'mechanism',
  'mechanismWhy',
  'processes',
  'ownedElsewhere',
  'effective',
  'beforeRatio',
  'periodMs',
] as const;

/** Held against a report that was worked out for every target at this moment. */
function expectNothingMissing(after: string): void {
  const stands = world.redis.reports();
  const isFar = (a: number | null, b: number | null) =>
    a === null || b === null ? a !== b : Math.abs(a - b) > 0.1 * Math.max(a, b, 0.01);
  for (const now of world.reporter.current()) {
    const said = stands.get(now.target);
    expect(said, `${now.target} after ${after}`).toBeDefined();
    for (const field of SAID) expect(said![field], `${now.target}: ${field} after ${after}`).toEqual(now[field]);
    for (const field of ['gotRatio', 'costRatio'] as const)
      expect(isFar(said![field], now[field]), `${now.target}: ${field} after ${after}`).toBe(false);
    expect(Math.abs(said!.expiresAtMs - now.expiresAtMs), `${now.target} after ${after}`).toBeLessThanOrEqual(2_000);
    expect(now.reportedAtMs - said!.reportedAtMs, `${now.target} after ${after}`).toBeLessThanOrEqual(30_000);
    stands.delete(now.target);
  }
  expect([...stands.keys()], `no target any more, after ${after}`).toEqual([]);
}

it('whatever happens to targets, the next writing of all tells it', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 50 }), async (steps) => {
      for (const pid of kernel.processes.keys()) if (pid > 1) kernel.remove(pid);
      kernel.refuses.clear();
      world = new World();
      for (const pid of [10, 11, 12]) kernel.add({ pid, uid: 1_001 });
      kernel.add({ pid: 13, ppid: 10, uid: 1_002 });
      world.tarpit('uid:1001', false);
      world.tarpit('uid:1002', true);
      for (const [index, step] of steps.entries()) {
        await take(step, 20 + index);
        await world.reporter.flush();
        expectNothingMissing(JSON.stringify(step));
      }
      world.end();
    }),
    { numRuns: 60 },
  );
});

it('of a target at which nobody has looked since, nothing is worked out; a look, a gate or half a minute changes that', async () => {
  for (const pid of [10, 11, 12]) kernel.add({ pid, uid: 1_000 + pid });
  for (const pid of [10, 11, 12]) world.tarpit(`uid:${1_000 + pid}`, false);
  await world.clock.advance(240_000);
  expect([...world.engine.loops.values()].map(({ state }) => state)).toEqual(['spared', 'spared', 'spared']);
  await world.reporter.flush();
  const workedOut = vi.spyOn(world.engine, 'periodOf');
  const targetsOfFlush = async () => {
    workedOut.mockClear();
    await world.reporter.flush();
    return workedOut.mock.calls.length;
  };
  expect(await targetsOfFlush()).toBe(0);
  let sum = 0;
  for (let second = 0; second < 20; second++) {
    await world.clock.advance(1_000);
    sum += await targetsOfFlush();
  }
  // Who is spared for long is looked at every five seconds.
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThanOrEqual(3 * 5);
  world.engine.closeGate('hold', 'held (host): a test');
  expect(await targetsOfFlush()).toBe(3);
  expect(await targetsOfFlush()).toBe(0);
  expect([...world.redis.reports().values()].map(({ state }) => state)).toEqual(['held', 'held', 'held']);
  await world.clock.advance(31_000);
  expect(await targetsOfFlush()).toBe(3);
});

/**
 * The whole engine on a machine of plain files and a clock that a test moves: any history of targets, gates, births,
 * deaths and late ticks. Held against it: who is stopped stands in the journal, nobody exempt is ever signalled, a
 * closed gate means that everything runs, and whatever happened, at the end nobody is stopped.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { formatTarget, parseTarget } from '../../../shared/target.ts';
import type { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import { NO_BRAKE } from '../../../worker/engine/brake.ts';
import { Engine } from '../../../worker/engine/engine.ts';
import type { Journal } from '../../../worker/journal.ts';
import { Mechanisms } from '../../../worker/mechanisms/mechanism.ts';
import { SIGNALS_ONLY } from '../../../worker/mechanisms/probe.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import type { SafetyRules } from '../../../worker/safety.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

const CYCLE = { runMs: 10, stopMs: 200 };
const WORKER = 7;

let kernel: FakeKernel;
let clock: FakeClock;
let journalled: Set<string>;
let isJournalFull: boolean;
let onGap: () => Promise<void>;
let ended: string[];

beforeEach(() => {
  kernel = new FakeKernel();
  clock = new FakeClock();
  journalled = new Set();
  isJournalFull = false;
  onGap = async () => {};
  ended = [];
  kernel.add({ pid: WORKER, comm: 'hobbler', uid: 0, euid: 0 });
});
afterEach(() => kernel.end());

function createEngine(bounds = { loops: 100, processesPerTarget: 1_000 }): Engine {
  const idOf = ({ pid, startTicks }: { pid: number; startTicks: number }) => `${pid} ${startTicks}`;
  const journal = {
    willStop: (all: { pid: number; startTicks: number }[]) => {
      if (!isJournalFull) for (const one of all) journalled.add(idOf(one));
      return !isJournalFull;
    },
    left: (all: { pid: number; startTicks: number }[]) => {
      for (const one of all) journalled.delete(idOf(one));
    },
  };
  const rules: SafetyRules = {
    protectedPids: () => new Set([1, WORKER]),
    redis: () => undefined,
    minUid: 1_000,
    exemptUids: new Set([1_999]),
    exemptGids: new Set(),
    exemptCgroups: [],
    onlyUid: null,
  };
  const cgroups = { directoriesOf: () => [], pidsOf: () => [] } as unknown as Cgroups;
  const parts = {
    proc: kernel.proc,
    table: new ProcessTable(kernel.proc),
    cgroups,
    journal: journal as unknown as Journal,
  };
  return new Engine(
    {
      ...parts,
      mechanisms: new Mechanisms({ ...parts, found: SIGNALS_ONLY }),
      clock,
      rules,
      cores: 2,
      bounds,
      brake: NO_BRAKE,
      budget: { cpuRatio: 0.05, maxPeriodMs: 1_000 },
      ownCpuMs: () => 0,
      log: silentLogger(),
    },
    { onChange: () => {}, onEnd: (loop) => ended.push(loop.key), onGap: () => onGap() },
  );
}
const put = (engine: Engine, key: string, cycle = CYCLE) =>
  engine.tarpit(parseTarget(key), { cycle, every: true, mechanism: 'auto' });
const pidKey = (pid: number) => `pid:${pid}@${kernel.processes.get(pid)!.startTicks}`;

describe('the engine', () => {
  it('gives a process to the loop with the lowest run share, and back', async () => {
    kernel.add({ pid: 10, uid: 1_001 });
    kernel.add({ pid: 11, uid: 1_001 });
    const engine = createEngine();
    put(engine, 'uid:1001', { runMs: 100, stopMs: 100 });
    put(engine, pidKey(10));
    expect(engine.loops.get('uid:1001')).toMatchObject({ processes: 1, ownedElsewhere: 1 });
    expect(engine.untarpit(pidKey(10))).toEqual({ released: 1, heldBy: 'uid:1001' });
    expect(engine.loops.get('uid:1001')).toMatchObject({ processes: 2, ownedElsewhere: 0 });
    engine.releaseAll();
    expect(clock.pendingTimers).toBe(0);
  });

  it('counts the exempt, and what is past the bound of a target', () => {
    for (let pid = 10; pid < 20; pid++) kernel.add({ pid, ppid: pid === 10 ? 1 : 10, uid: pid < 13 ? 1_999 : 1_001 });
    kernel.change(10, { uid: 1_001, euid: 1_001 });
    const engine = createEngine({ loops: 2, processesPerTarget: 5 });
    put(engine, pidKey(10));
    expect(engine.loops.get(pidKey(10))).toMatchObject({ processes: 5, exempted: 2 });
    expect(engine.loops.get(pidKey(10))!.why).toContain('processesPerTarget');
    put(engine, 'uid:1002');
    expect(put(engine, 'uid:1003')).toMatchObject({ status: 'refused' });
    engine.releaseAll();
  });

  it('lets everything run when the journal is full, in all loops of that tick, and goes on when there is room', async () => {
    const engine = createEngine();
    for (let uid = 1_001; uid <= 1_012; uid++) {
      kernel.add({ pid: uid, uid });
      put(engine, `uid:${uid}`);
    }
    await clock.advance(1_000);
    kernel.add({ pid: 2_000, uid: 1_001 });
    isJournalFull = true;
    await clock.advance(1_000);
    expect(engine.closedGate?.gate).toBe('journal');
    expect(kernel.stopped()).toEqual([]);
    isJournalFull = false;
    engine.openGate('journal');
    await clock.advance(150);
    expect(kernel.stopped().length).toBeGreaterThan(0);
    engine.releaseAll();
    expect(kernel.stopped()).toEqual([]);
  });

  it('after a gap looks at every process anew before it stops one, also when a pass was under way', async () => {
    for (let pid = 100; pid < 300; pid++) kernel.add({ pid, uid: 1_001 });
    const engine = createEngine();
    put(engine, 'uid:1001');
    await clock.advance(100);
    void engine.survey(0); // begins a pass in slices
    engine.noticeGap(2_000);
    expect(kernel.stopped()).toEqual([]);
    // While it looks, every process is another one under the same pid.
    for (let pid = 100; pid < 300; pid++) {
      kernel.remove(pid);
      kernel.add({ pid, startTicks: 900_000 + pid, uid: 1_555 });
    }
    kernel.signals.length = 0;
    for (let turn = 0; turn < 1_000 && engine.closedGate; turn++) {
      await clock.advance(100);
      await settle();
    }
    expect(engine.closedGate).toBeUndefined();
    await clock.advance(3_000);
    expect(kernel.pidsSent('SIGSTOP')).toEqual([]);
    engine.releaseAll();
  });

  it('keeps the gate of a gap closed while it cannot look, and gives up when it is told to stop', async () => {
    kernel.add({ pid: 10, uid: 1_001 });
    const engine = createEngine();
    put(engine, 'uid:1001');
    onGap = () => Promise.reject(new Error('no guard'));
    engine.noticeGap(2_000);
    await clock.advance(5_000);
    expect(engine.closedGate?.gate).toBe('gap');
    expect(kernel.stopped()).toEqual([]);
    engine.closeGate('stopping', 'the end');
    engine.releaseAll();
    await clock.advance(5_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('a parent that is stopped by another loop is not taken for one that stops with its child, and stays written down', async () => {
    kernel.add({ pid: 10, uid: 1_001 });
    kernel.add({ pid: 11, ppid: 10, uid: 1_002 });
    const engine = createEngine();
    put(engine, 'uid:1001', { runMs: 10, stopMs: 90 });
    put(engine, 'uid:1002', { runMs: 10, stopMs: 200 });
    for (let ms = 0; ms < 3_000; ms += 7) {
      await clock.advance(7);
      for (const pid of kernel.stopped())
        expect(journalled, `at ${ms} ms`).toContain(`${pid} ${kernel.processes.get(pid)!.startTicks}`);
    }
    expect([...engine.loops.values()].map(({ state }) => state)).toEqual(['hobbling', 'hobbling']);
    engine.releaseAll();
  });

  it('the same when the parent becomes a target while it is watched', async () => {
    kernel.add({ pid: 10, uid: 1_001 });
    kernel.add({ pid: 11, ppid: 10, uid: 1_002 });
    const engine = createEngine();
    put(engine, 'uid:1002');
    while (!kernel.stopped().includes(11)) await clock.advance(1);
    put(engine, 'uid:1001', { runMs: 10, stopMs: 90 });
    for (let ms = 0; ms < 1_000; ms += 7) {
      await clock.advance(7);
      for (const pid of kernel.stopped())
        expect(journalled, `at ${ms} ms`).toContain(`${pid} ${kernel.processes.get(pid)!.startTicks}`);
    }
    expect([...engine.loops.values()].map(({ state }) => state)).toEqual(['hobbling', 'hobbling']);
    engine.releaseAll();
  });

  it('a pid target whose processes have all ended is gone; a user target stays armed', async () => {
    kernel.add({ pid: 10, uid: 1_001 });
    kernel.add({ pid: 20, uid: 1_002 });
    const engine = createEngine();
    const key = pidKey(10);
    put(engine, key);
    put(engine, 'uid:1002');
    kernel.remove(10);
    kernel.remove(20);
    await clock.advance(20_000);
    expect(ended).toEqual([key]);
    expect([...engine.loops.values()].map((loop) => [loop.key, loop.state])).toEqual([['uid:1002', 'armed']]);
    engine.releaseAll();
  });
});

type Step =
  | { kind: 'spawn'; uid: number; parent: number; exempt: boolean }
  | { kind: 'exit' | 'reuse' | 'ctrl-z' | 'tarpit-pid' | 'untarpit'; which: number; cycle: typeof CYCLE }
  | { kind: 'tarpit-uid'; uid: number; cycle: typeof CYCLE }
  | { kind: 'gate'; gate: 'hold' | 'guard' | 'lease'; isOpen: boolean }
  | { kind: 'journal'; isFull: boolean }
  | { kind: 'wait' | 'late'; ms: number };

const cycle = fc.record({ runMs: fc.integer({ min: 5, max: 100 }), stopMs: fc.integer({ min: 10, max: 400 }) });
const uid = fc.integer({ min: 1_001, max: 1_004 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('spawn' as const), uid, parent: fc.nat(), exempt: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'exit' as const,
        'reuse' as const,
        'ctrl-z' as const,
        'tarpit-pid' as const,
        'untarpit' as const,
      ),
      which: fc.nat(),
      cycle,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tarpit-uid' as const), uid, cycle }) },
  fc.record({
    kind: fc.constant('gate' as const),
    gate: fc.constantFrom('hold' as const, 'guard' as const, 'lease' as const),
    isOpen: fc.constantFrom(true, true, false),
  }),
  fc.record({ kind: fc.constant('journal' as const), isFull: fc.constantFrom(true, false, false) }),
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 1_500 }) }) },
  fc.record({ kind: fc.constant('late' as const), ms: fc.integer({ min: 1, max: 4_000 }) }),
);

it('any history: nobody exempt, nobody unwritten, nobody behind a closed gate, and nobody at the end is stopped', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60 }), async (steps) => {
      for (const pid of [...kernel.processes.keys()]) if (pid > WORKER) kernel.remove(pid);
      kernel.signals.length = 0;
      journalled.clear();
      isJournalFull = false;
      ended = [];
      clock = new FakeClock();
      const engine = createEngine();
      let nextPid = 10;
      const exempt = new Set<number>([1, WORKER]);
      const foreign = new Set<number>();
      const stopped = (one: { pid: number; startTicks: number }) => {
        // At the very moment of each stop.
        expect(journalled.has(`${one.pid} ${one.startTicks}`), `${one.pid} in the journal`).toBe(true);
        expect(exempt.has(one.pid), `${one.pid} is exempt`).toBe(false);
        kernel.processes.get(one.pid)!.state = 'T';
      };
      const pick = (which: number) => {
        const all = [...kernel.processes.values()].filter(({ pid }) => pid > WORKER);
        return all[which % Math.max(1, all.length)];
      };
      const spawn = (pid: number, ppid: number, owner: number, isExempt: boolean, startTicks: number) => {
        if (isExempt) exempt.add(pid);
        else exempt.delete(pid);
        foreign.delete(pid);
        kernel.add({ pid, ppid, uid: isExempt ? 1_999 : owner, startTicks, onStop: stopped });
      };
      for (const owner of [1_001, 1_001, 1_002, 1_003]) spawn(nextPid, 1, owner, false, 10_000 + nextPid++);
      put(engine, 'uid:1001');
      for (const step of steps) {
        switch (step.kind) {
          case 'spawn':
            spawn(nextPid, pick(step.parent)?.pid ?? 1, step.uid, step.exempt, 10_000 + nextPid);
            nextPid++;
            break;
          case 'exit': {
            const one = pick(step.which);
            if (one) kernel.remove(one.pid);
            break;
          }
          case 'reuse': {
            // The pid goes to a stranger; the window that is left is the time to the next scan (invariant 4).
            const one = pick(step.which);
            if (!one) break;
            kernel.remove(one.pid);
            await clock.advance(16_000);
            spawn(one.pid, 1, 1_500, false, one.startTicks + 50_000);
            break;
          }
          case 'ctrl-z': {
            const one = pick(step.which);
            if (!one || one.state === 'T') break;
            kernel.change(one.pid, { state: 'T', tty: 34_816 });
            foreign.add(one.pid);
            break;
          }
          case 'tarpit-pid': {
            const one = pick(step.which);
            if (one) put(engine, pidKey(one.pid), step.cycle);
            break;
          }
          case 'tarpit-uid':
            put(engine, `uid:${step.uid}`, step.cycle);
            break;
          case 'untarpit': {
            const loops = [...engine.loops.keys()];
            engine.untarpit(loops[step.which % Math.max(1, loops.length)] ?? formatTarget({ kind: 'uid', uid: 1 }));
            break;
          }
          case 'gate':
            if (step.isOpen) engine.openGate(step.gate);
            else engine.closeGate(step.gate, 'a test');
            break;
          case 'journal':
            isJournalFull = step.isFull;
            if (!isJournalFull) engine.openGate('journal');
            break;
          case 'wait':
            await clock.advance(step.ms);
            break;
          case 'late':
            clock.stall(step.ms);
            await clock.advance(0);
            break;
        }
        if (engine.closedGate)
          expect(
            kernel.stopped().filter((pid) => !foreign.has(pid)),
            `behind ${engine.closedGate.gate}`,
          ).toEqual([]);
        for (const pid of kernel.pidsSent('SIGSTOP')) expect(pid).toBeGreaterThan(WORKER);
      }
      engine.closeGate('stopping', 'the end');
      engine.releaseAll();
      expect(kernel.stopped().filter((pid) => !foreign.has(pid))).toEqual([]);
      expect([...journalled]).toEqual([]);
      await clock.advance(1_000);
      expect(clock.pendingTimers).toBe(0);
    }),
    { numRuns: 30 },
  );
});

/** The brake on a whole engine: who is over the share is never stopped, is told why, and is let in when there is room. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { parseTarget } from '../../../shared/target.ts';
import type { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import { Engine } from '../../../worker/engine/engine.ts';
import type { Journal } from '../../../worker/journal.ts';
import { Mechanisms } from '../../../worker/mechanisms/mechanism.ts';
import { SIGNALS_ONLY } from '../../../worker/mechanisms/probe.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let clock: FakeClock;
let engine: Engine;
let changed: string[];
beforeEach(() => {
  kernel = new FakeKernel();
  clock = new FakeClock();
  changed = [];
  const parts = {
    proc: kernel.proc,
    table: new ProcessTable(kernel.proc),
    cgroups: { directoriesOf: () => [], pidsOf: () => [] } as unknown as Cgroups,
    journal: { willStop: () => true, left: () => {} } as unknown as Journal,
  };
  engine = new Engine(
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
      bounds: { loops: 100, processesPerTarget: 1_000 },
      brake: { share: 0.5, atLeast: 2 },
      budget: { cpuRatio: 1, maxPeriodMs: 1_000 },
      ownCpuMs: () => 0,
      log: silentLogger(),
    },
    { onChange: (key) => changed.push(key), onEnd: () => {}, onGap: async () => {} },
  );
});
afterEach(() => {
  engine.releaseAll();
  expect(kernel.stopped()).toEqual([]);
  kernel.end();
});

const user = (uid: number, count = 1) => {
  for (let index = 0; index < count; index++) kernel.add({ pid: uid * 10 + index, uid });
};
const put = (uid: number) =>
  engine.tarpit(parseTarget(`uid:${uid}`), { cycle: { runMs: 100, stopMs: 900 }, every: true, mechanism: 'auto' });
const stoppedUids = () => new Set(kernel.pidsSent('SIGSTOP').map((pid) => Math.floor(pid / 10)));
const states = () => Object.fromEntries([...engine.loops.values()].map(({ key, state }) => [key, state]));

it('past the share an order is refused with the reason, none of its processes is ever stopped, and later it is taken', async () => {
  for (let uid = 1_001; uid <= 1_006; uid++) user(uid);
  user(1_999, 8); // exempt, and so no user in this sense
  expect([put(1_001), put(1_002), put(1_003)].map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
  expect(put(1_004)).toEqual({ status: 'refused', why: expect.stringContaining('worker.brake') });
  await clock.advance(3_000);
  expect(stoppedUids()).toEqual(new Set([1_001, 1_002, 1_003]));
  expect(engine.brake).toEqual({ held: 0, hobbledRatio: 0.5 });
  engine.untarpit('uid:1001');
  expect(put(1_004).status).toBe('applied');
});

it('so many targets may be in on a host of few users', () => {
  user(1_001);
  user(1_002);
  expect([put(1_001).status, put(1_002).status]).toEqual(['applied', 'applied']);
});

it('when others leave, the newest are held and run, and are hobbled again when there is room', async () => {
  for (let uid = 1_001; uid <= 1_008; uid++) user(uid);
  for (const uid of [1_001, 1_002, 1_003, 1_004]) put(uid);
  for (const uid of [1_007, 1_008]) kernel.remove(uid * 10);
  await clock.advance(16_000);
  expect(states()).toEqual({
    'uid:1001': 'hobbling',
    'uid:1002': 'hobbling',
    'uid:1003': 'hobbling',
    'uid:1004': 'held',
  });
  expect(engine.loops.get('uid:1004')).toMatchObject({ why: expect.stringContaining('brake'), processes: 0 });
  expect(engine.brake.held).toBe(1);
  expect(changed.at(-1)).toBe('uid:1004');
  kernel.signals.length = 0;
  await clock.advance(3_000);
  expect(stoppedUids()).toEqual(new Set([1_001, 1_002, 1_003]));
  user(1_009);
  user(1_010);
  await clock.advance(16_000);
  expect(states()['uid:1004']).toBe('hobbling');
  expect(engine.brake.held).toBe(0);
});

it('a target without processes is armed, and is held when its first are born past the share', async () => {
  for (let uid = 1_001; uid <= 1_005; uid++) user(uid);
  for (const uid of [1_001, 1_002, 1_020, 1_021]) expect(put(uid).status).toBe('applied');
  await clock.advance(1_000);
  kernel.signals.length = 0;
  user(1_020);
  user(1_021);
  await clock.advance(2_000);
  expect(stoppedUids()).toEqual(new Set([1_001, 1_002, 1_020]));
  expect(states()['uid:1021']).toBe('held');
  engine.untarpit('uid:1021');
  expect(engine.brake.held).toBe(0);
});

it('a bomb of forks that grows is not freed by its own numbers', async () => {
  for (let uid = 1_001; uid <= 1_010; uid++) user(uid, 3);
  for (const uid of [1_001, 1_002, 1_003]) put(uid);
  await clock.advance(1_000);
  for (let pid = 20_000; pid < 20_020; pid++) kernel.add({ pid, uid: 1_003 });
  await clock.advance(6_000);
  expect(states()).toEqual({ 'uid:1001': 'hobbling', 'uid:1002': 'hobbling', 'uid:1003': 'hobbling' });
  expect(engine.loops.get('uid:1003')!.processes).toBe(23);
});

it('a release of what the brake holds leaves nothing behind', async () => {
  for (let uid = 1_001; uid <= 1_008; uid++) user(uid);
  for (const uid of [1_001, 1_002, 1_003, 1_004]) put(uid);
  for (const uid of [1_005, 1_006, 1_007, 1_008]) kernel.remove(uid * 10);
  await clock.advance(16_000);
  expect(engine.brake.held).toBe(2);
  engine.releaseAll();
  expect(engine.brake.held).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

/**
 * The conformance suite of the mechanisms: one table of behaviours, run against each of them on real processes and real
 * cgroups. What only one kind of mechanism can show is in freezing.test.ts and quota.test.ts.
 */
import { cpus } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeTestCgroups } from '../../support/cgroups.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import { liveLines } from '../../support/journal.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';
import { type Place, SUBJECTS } from './mechanisms-fixture.ts';

const CYCLE = { runMs: 20, stopMs: 80 };

let host: TestHost;
let place: Place;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  host.stop();
  await expectNothingLeft().finally(removeTestCgroups);
});

async function shareOver(one: TestProcess, ms: number): Promise<number> {
  const [before, from] = [cpuSeconds(one.pid), performance.now()];
  await until(() => performance.now() - from >= ms, { deadlineMs: ms + 5_000, what: 'time to pass' });
  return (cpuSeconds(one.pid) - before) / ((performance.now() - from) / 1_000);
}

describe.each(SUBJECTS)('$name', ({ asked, missing, hasPhases, createPlace, holds, why }) => {
  const settle = async (one: TestProcess) => {
    place.enter(one.pid);
    return one;
  };
  const spin = async () => settle(await spawnSpinner());
  const sleeper = async () => settle((await spawnSleepers(1))[0]!);
  const tarpit = (one: TestProcess, cycle = CYCLE) => host.tarpit(one, cycle, true, asked);
  const held = (pid: number, what = 'it to be held') => until(() => holds(pid), { deadlineMs: 3_000, what });
  const free = (pid: number, deadlineMs = 2_000) => until(() => !holds(pid), { deadlineMs, what: 'it to run' });
  /** Free for longer than any period is. */
  async function staysFree(pid: number): Promise<void> {
    const from = performance.now();
    await until(
      () => {
        expect(holds(pid)).toBe(false);
        return performance.now() - from > 400;
      },
      { deadlineMs: 3_000, what: '400 ms' },
    );
  }

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
    place = createPlace();
  });

  test('slows a busy target down, measures that, says how, and lets it work again', { timeout: 40_000 }, async () => {
    const spinner = await spin();
    expect(tarpit(spinner)).toMatchObject({ status: 'applied' });
    const loop = host.loop(spinner)!;
    await held(spinner.pid);
    expect(loop.state).toBe('hobbling');
    expect(loop.inForce).toMatchObject({ mechanism: asked, why: expect.stringMatching(why) });
    // A quota is of the whole machine: a fifth of two cores is 0.4 of one.
    const most = hasPhases ? 0.3 : 0.2 * cpus().length + 0.1;
    expect(await shareOver(spinner, 3_000)).toBeLessThan(most);
    await until(() => loop.gotRatio !== null && loop.gotRatio < most, { deadlineMs: 8_000, what: 'a measured share' });
    host.host.engine.untarpit(loop.key);
    const used = cpuSeconds(spinner.pid);
    await until(() => cpuSeconds(spinner.pid) > used + 0.3, { deadlineMs: 10_000, what: 'it to work again' });
    expect(liveLines(host)).toEqual([]);
  });

  test('holds and lets run in turns, or holds for good', async () => {
    const one = await sleeper();
    tarpit(one);
    for (let turn = 0; turn < 3; turn++) {
      await held(one.pid);
      if (hasPhases) await free(one.pid);
    }
    expect(holds(one.pid) || hasPhases).toBe(true);
  });

  test('everything runs behind a closed gate, is held again after it, and runs after untarpit', async () => {
    const one = await sleeper();
    tarpit(one);
    await held(one.pid);
    host.host.engine.closeGate('hold', 'a test');
    expect(holds(one.pid)).toBe(false);
    await staysFree(one.pid);
    host.host.engine.openGate('hold');
    await held(one.pid);
    host.host.engine.untarpit(host.loop(one)!.key);
    expect(holds(one.pid)).toBe(false);
    expect(liveLines(host)).toEqual([]);
    await staysFree(one.pid);
  });

  test('everything runs while there is no guard, and is held again when there is one', {
    timeout: 30_000,
  }, async () => {
    const one = await sleeper();
    tarpit(one);
    await held(one.pid);
    const { guard, engine, proc } = host.host;
    signalExactly(proc.identify(guard.pid!)!, 'SIGKILL');
    await until(() => engine.closedGate?.gate === 'guard', { deadlineMs: 3_000, what: 'its death to be noticed' });
    expect(holds(one.pid)).toBe(false);
    await until(() => engine.closedGate === undefined, { deadlineMs: 10_000, what: 'a new guard' });
    await held(one.pid);
  });

  test('everything runs when hobbler ends', async () => {
    const one = await sleeper();
    tarpit(one);
    await held(one.pid);
    host.stop();
    expect(holds(one.pid)).toBe(false);
    expect(readState(one.pid)).not.toBe('T');
  });

  test('what it forks is held with it', async () => {
    const parent = await settle(
      await startProcess('sh', ['-c', 'read -r _; sleep 630 & wait'], { stdio: ['pipe', 'ignore', 'ignore'] }),
    );
    tarpit(parent);
    await held(parent.pid);
    parent.child.stdin!.write('\n');
    const child = await until(() => descendantsOf(parent.pid)[0], { deadlineMs: 3_000, what: 'a child' });
    await held(child!.pid);
    await until(() => host.loop(parent)!.processes === 2, { deadlineMs: 3_000, what: 'two members' });
    host.host.engine.untarpit(host.loop(parent)!.key);
    expect(holds(child!.pid)).toBe(false);
  });

  test('SIGKILL ends a held process: at once, or at the next run phase', async () => {
    const one = await sleeper();
    tarpit(one, { runMs: 20, stopMs: 480 });
    await held(one.pid);
    signalExactly(one, 'SIGKILL');
    await until(() => !isAlive(one), { deadlineMs: 1_000, what: 'its end' });
    await until(() => host.ended.length === 1, { deadlineMs: 8_000, what: 'the target to be gone' });
    expect(liveLines(host)).toEqual([]);
  });

  test('what others stopped stays stopped, and is counted', async () => {
    const root = await settle(
      await startProcess('sh', ['-c', 'read -r _; sleep 631 & kill -STOP $!; wait'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      }),
    );
    root.child.stdin!.write('\n');
    const child = await until(() => descendantsOf(root.pid).find(({ state }) => state === 'T'), {
      deadlineMs: 3_000,
      what: 'a child that is stopped',
    });
    tarpit(root);
    await until(() => host.loop(root)!.stoppedByOthers === 1, { deadlineMs: 4_000, what: 'it to be counted' });
    host.host.engine.untarpit(host.loop(root)!.key);
    const from = performance.now();
    await until(() => performance.now() - from > 300, { deadlineMs: 1_000, what: '300 ms' });
    expect(readState(child!.pid)).toBe('T');
    signalExactly(child!, 'SIGCONT');
  });

  test('another duty cycle takes effect at once, and so does another mechanism', { timeout: 40_000 }, async () => {
    const spinner = await spin();
    tarpit(spinner, { runMs: 5, stopMs: 95 });
    await shareOver(spinner, 1_000);
    const before = await shareOver(spinner, 2_000);
    expect(tarpit(spinner, { runMs: 60, stopMs: 40 })).toMatchObject({ status: 'applied' });
    expect(host.host.engine.loops.size).toBe(1);
    expect(await shareOver(spinner, 2_000)).toBeGreaterThan(before * 2);
    expect(host.tarpit(spinner, CYCLE, true, 'signal')).toMatchObject({ status: 'applied' });
    await until(() => readState(spinner.pid) === 'T', { deadlineMs: 2_000, what: 'signals' });
    expect(host.loop(spinner)!.inForce).toEqual({ mechanism: 'signal', why: 'as asked' });
    expect(tarpit(spinner)).toMatchObject({ status: 'applied' });
    await held(spinner.pid);
    expect(host.loop(spinner)!.inForce.mechanism).toBe(asked);
  });
});

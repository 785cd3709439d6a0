/** The safety net under all tests on real processes: it must see what they leave behind, and must not see too much. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readAll, readStat } from '../../support/proc.ts';
import {
  cpuSeconds,
  expectNothingLeft,
  flatten,
  isAlive,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  spawnTree,
  startProcess,
  treeShape,
  until,
} from '../../support/processes.ts';

afterEach(expectNothingLeft);

describe('expectNothingLeft', () => {
  it('fails on a process that a test left stopped, and ends it all the same', async () => {
    const [left, fine] = await spawnSleepers(2);
    signalExactly(left!, 'SIGSTOP');
    await until(() => readState(left!.pid) === 'T', { deadlineMs: 1_000, what: 'state T' });
    await expect(expectNothingLeft()).rejects.toThrow(`left stopped: pid ${left!.pid} ("sleep", state T)`);
    expect([isAlive(left!), isAlive(fine!)]).toEqual([false, false]);
  });

  it('ends a whole tree, and what double-forked away from it', async () => {
    const tree = await spawnTree(treeShape(3, 2));
    const shell = await startProcess('sh', ['-c', 'sleep 77.7 & exit 0']);
    await until(() => !isAlive(shell), { deadlineMs: 1_000, what: 'the end of the shell' });
    expect(findByArgument('77.7')).toHaveLength(1);
    await expectNothingLeft();
    expect(flatten(tree).filter(isAlive)).toEqual([]);
    expect(findByArgument('77.7')).toEqual([]);
  });

  it('fails on a service that its test had to end', async () => {
    const [service] = await spawnSleepers(1, { mustEnd: true });
    await expect(expectNothingLeft()).rejects.toThrow(`left running: sleep 600 (pid ${service!.pid})`);
  });

  it('leaves alone what the test did not start through it', async () => {
    const stranger = spawn('sleep', ['30'], { stdio: 'ignore' });
    await new Promise((resolve) => stranger.once('spawn', resolve));
    await expectNothingLeft();
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill('SIGKILL');
  });
});

describe('the processes that tests hobble', () => {
  it('come as trees of the shape that was asked for', async () => {
    const tree = await spawnTree({ work: 'spin', children: [treeShape(2, 3), { work: 'spin' }] });
    expect(tree.children.map((child) => child.children.length)).toEqual([3, 0]);
    expect(flatten(tree)).toHaveLength(6);
  });

  it('spin so that their CPU time grows by the second', async () => {
    const spinner = await spawnSpinner();
    const before = cpuSeconds(spinner.pid);
    await until(() => cpuSeconds(spinner.pid) > before + 0.2, { deadlineMs: 5_000, what: '0.2 s of CPU time' });
  });

  it('are read right under names with spaces, parentheses and newlines', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-name-'));
    const hostile = join(dir, 'a) S 1\n(b');
    copyFileSync('/bin/sleep', hostile);
    try {
      const one = await startProcess(hostile, ['600']);
      const stat = await until(() => readStat(one.pid), { deadlineMs: 1_000, what: 'its stat' });
      expect(stat).toMatchObject({ name: 'a) S 1\n(b', ppid: process.pid, startTicks: one.startTicks });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

/** Pids of the `sleep`s with that argument. */
function findByArgument(argument: string): number[] {
  return readAll()
    .filter((stat) => stat.name === 'sleep')
    .map((stat) => stat.pid)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[1] === argument);
}

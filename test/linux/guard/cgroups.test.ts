/**
 * What the guard does with cgroups that a worker left frozen, limited or filled: on plain files, where anything can be
 * made up, and on a thousand real ones.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBootId } from '../../../shared/clock.ts';
import { createCgroup, freezeFile, MOUNTS, removeTestCgroups } from '../../support/cgroups.ts';
import { expectNothingLeft, readState, signalExactly, spawnSleepers, until } from '../../support/processes.ts';

const SCRIPT = fileURLToPath(new URL('../../../worker/guard/guard.sh', import.meta.url));
const BOOT = `boot ${readBootId()}\n`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-guard-'));
});
afterEach(async () => {
  await expectNothingLeft().finally(removeTestCgroups);
  rmSync(dir, { recursive: true });
});

/** A file in a tree of plain directories. */
function file(path: string, text: string): string {
  const whole = join(dir, path);
  mkdirSync(join(whole, '..'), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}
const read = (path: string) => readFileSync(path, 'latin1').trim();
function release(...lines: string[]) {
  writeFileSync(join(dir, 'journal'), BOOT + lines.map((line) => `${line}\n`).join(''));
  const run = spawnSync('bash', [SCRIPT, 'release', dir], { encoding: 'latin1', timeout: 20_000, cwd: dir });
  return { released: Number(run.stdout), status: run.status, said: run.stderr };
}

describe('what is frozen', () => {
  it('is thawed, v1 and v2, whatever its name holds; what was struck out is not', () => {
    const v2 = file("a  b'$(touch x);é*/cgroup.freeze", '1');
    const v1 = file('[z] "q" \\n/freezer.state', 'FROZEN');
    const left = file('left/cgroup.freeze', '1');
    expect(release(`freeze ${v2}`, `freeze ${v1}`, `freeze ${left}`, `thawed ${left}`)).toEqual({
      released: 2,
      status: 0,
      said: '',
    });
    expect([read(v2), read(v1), read(left)]).toEqual(['0', 'THAWED', '1']);
    expect(release(`freeze ${left}`, `thawed ${left}`, `freeze ${left}`).released).toBe(1);
    expect(existsSync(join(dir, 'x'))).toBe(false);
  });

  it('no other file is written, none is made, and no link is followed', () => {
    const other = file('a/passwd', 'root');
    const target = file('b/cgroup.freeze', '1');
    symlinkSync(target, join(dir, 'cgroup.freeze'));
    const lines = [
      `freeze ${other}`,
      `freeze ${dir}/a/../b/cgroup.freeze`,
      `freeze ${dir}/./b/cgroup.freeze`,
      `freeze ${dir}/cgroup.freeze`,
      `freeze ${dir}/nowhere/cgroup.freeze`,
      `freeze ${dir}/a/cgroup.freeze`,
      'freeze b/cgroup.freeze',
      'freeze',
      `freeze ${dir}/b/\tcgroup.freeze`,
      `freeze /${'b/'.repeat(3_000)}cgroup.freeze`,
    ];
    expect(release(...lines)).toEqual({ released: 0, status: 0, said: '' });
    expect([read(other), read(target), readdirSync(join(dir, 'a'))]).toEqual(['root', '1', ['passwd']]);
  });

  it('is left alone when the journal is of another boot', () => {
    const v2 = file('a/cgroup.freeze', '1');
    expect(release(`boot 00000000-0000-0000-0000-000000000000`, `freeze ${v2}`).released).toBe(0);
    expect(read(v2)).toBe('1');
  });

  it('a thousand cgroups are thawed within a second', async ({ skip }) => {
    if (MOUNTS.v2 === undefined) return skip('no cgroup v2 on this machine');
    const groups = Array.from({ length: 1_000 }, () => createCgroup('v2'));
    const sleepers = await spawnSleepers(20);
    for (const [index, { pid }] of sleepers.entries()) groups[index * 50]!.enter(pid);
    for (const group of groups) group.write(freezeFile('v2'), '1');
    const from = performance.now();
    expect(release(...groups.map(({ directory }) => `freeze ${directory}/cgroup.freeze`)).released).toBe(1_000);
    expect(performance.now() - from).toBeLessThan(1_000);
    expect(groups.filter((group) => group.read(freezeFile('v2')) !== '0')).toEqual([]);
  });

  it('is thawed before anything else: a frozen process that was stopped, too, runs', async ({ skip }) => {
    if (MOUNTS.freezer === undefined) return skip('no v1 freezer on this machine');
    const [one] = await spawnSleepers(1);
    const group = createCgroup('freezer');
    group.enter(one!.pid);
    signalExactly(one!, 'SIGSTOP');
    await until(() => readState(one!.pid) === 'T', { deadlineMs: 2_000, what: 'its stop' });
    group.write('freezer.state', 'FROZEN');
    expect(release(`stop ${one!.pid} ${one!.startTicks}`, `freeze ${group.directory}/freezer.state`).released).toBe(2);
    await until(() => readState(one!.pid) === 'S', { deadlineMs: 2_000, what: 'it to run' });
  });
});

describe('a quota', () => {
  it('is put back where ours still stands, v1 and v2', () => {
    const max = file('a b/cpu.max', '9523 100000');
    const changed = file('c/cpu.max', '50000 100000');
    const [quota, period] = [file('d/cpu.cfs_quota_us', '1000'), file('d/cpu.cfs_period_us', '500000')];
    const struck = file('e/cpu.max', '5 6');
    const { released } = release(
      `quota max:100000 9523:100000 ${max}`,
      `quota max:100000 9523:100000 ${changed}`,
      `quota 100000 500000 ${period}`,
      `quota -1 1000 ${quota}`,
      `quota 1:2 5:6 ${struck}`,
      `restored ${struck}`,
    );
    expect(released).toBe(3);
    expect([max, changed, quota, period, struck].map(read)).toEqual([
      'max 100000',
      '50000 100000',
      '-1',
      '100000',
      '5 6',
    ]);
  });

  it('of any other form, or in any other file, is not', () => {
    const max = file('a/cpu.max', '5 6');
    const other = file('a/memory.max', '5 6');
    expect(
      release(
        `quota $(touch${'\u00a0'}x) 5:6 ${max}`,
        `quota 1:2:3 5:6 ${max}`,
        `quota 1 ${max}`,
        `quota ${max}`,
        'quota',
        `quota a 5:6 ${max}`,
        `quota 1:2 5:6 ${other}`,
        `quota 1:2 5:6 ${dir}/a/../a/cpu.max`,
      ),
    ).toMatchObject({ released: 0, status: 0 });
    expect([read(max), read(other)]).toEqual(['5 6', '5 6']);
  });
});

describe('what was moved', () => {
  it('goes back to the root of its hierarchy, and the empty cgroups are removed', async ({ skip }) => {
    if (MOUNTS.freezer === undefined) return skip('no v1 freezer on this machine');
    // Named as a hobbler names its own; of a pid that cannot be.
    const base = createCgroup('freezer', `hobbler-${process.pid}@0`);
    const own = createCgroup('freezer', '1', base);
    const sleepers = await spawnSleepers(30);
    for (const { pid } of sleepers) own.enter(pid);
    own.write('freezer.state', 'FROZEN');
    expect(release(`adopt ${own.directory}`, `freeze ${own.directory}/freezer.state`).status).toBe(0);
    expect(existsSync(base.directory)).toBe(false);
    await until(() => sleepers.every(({ pid }) => readState(pid) === 'S'), { deadlineMs: 2_000, what: 'all to run' });
  });

  it('no other directory is emptied or removed', () => {
    for (const name of ['mine', 'hobbler-', 'hobbler-5', 'hobbler-5@6x', 'hobbler-5@6/x', 'hobbler-5@7'])
      mkdirSync(join(dir, name), { recursive: true });
    const procs = file('mine/cgroup.procs', '1\n');
    const lines = ['mine', 'hobbler-', 'hobbler-5', 'hobbler-5@6x', 'hobbler-5@6/x', 'x/../hobbler-5@7'];
    expect(
      release(...lines.map((name) => `adopt ${dir}/${name}`), `adopt ${dir}/hobbler-5@7`, `emptied ${dir}/hobbler-5@7`),
    ).toEqual({ released: 0, status: 0, said: '' });
    expect(readdirSync(dir).sort()).toEqual(
      ['hobbler-', 'hobbler-5', 'hobbler-5@6', 'hobbler-5@6x', 'hobbler-5@7', 'journal', 'mine'].sort(),
    );
    expect(read(procs)).toBe('1');
  });
});

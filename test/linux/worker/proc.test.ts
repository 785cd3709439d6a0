/** The door to /proc on the real one: every process of this machine, hostile names, and descriptors that stay open. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { Proc } from '../../../worker/process/proc.ts';
import { parseStat } from '../../../worker/process/stat.ts';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSleepers,
  startProcess,
  until,
} from '../../support/processes.ts';
import { parseByWords } from '../../support/stat-by-words.ts';

afterEach(expectNothingLeft);

test('every stat of this machine is read as a plain parser reads it: stopped, dead, hostile and of the kernel', async () => {
  const [stopped] = await spawnSleepers(1);
  signalExactly(stopped!, 'SIGSTOP');
  const names = ['x) R 1 (', 'a\\nb', ')))(((', '\\xff\\xfe', ' ', ') S 1 1 1 1 1'];
  for (const name of names)
    await startProcess('python3', [
      '-c',
      `import time; open('/proc/self/comm','wb').write(b'${name}'); time.sleep(600)`,
    ]);
  const zombie = await startProcess('python3', ['-c', 'import os,time\nif os.fork()==0: os._exit(0)\ntime.sleep(600)']);
  await until(() => readdirSync('/proc').some((name) => /^\d+$/.test(name) && isZombieOf(name, zombie.pid)), {
    deadlineMs: 5_000,
    what: 'the zombie',
  });
  await until(() => readState(stopped!.pid) === 'T', { deadlineMs: 2_000, what: 'the stop' });
  const states = new Set<string>();
  let count = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = read(`/proc/${name}/stat`);
    if (!line) continue;
    const stat = parseStat(line, line.length);
    expect(stat, line.toString('latin1')).toEqual(parseByWords(line.toString('latin1')));
    states.add(stat!.state);
    count++;
  }
  expect(count).toBeGreaterThan(names.length);
  expect([...states]).toEqual(expect.arrayContaining(['S', 'T', 'Z', 'R']));
  signalExactly(stopped!, 'SIGCONT');
});

test('the last pid is read anew over its kept descriptor: every birth shows', async () => {
  const proc = new Proc();
  let before = proc.lastPid()!;
  expect(before).toBeGreaterThan(0);
  for (let birth = 0; birth < 20; birth++) {
    const [sleeper] = await spawnSleepers(1);
    const now = proc.lastPid()!;
    expect(now).not.toBe(before);
    // Others may have been born since; only where the pids began anew is the last one lower than this one.
    if (now > before) expect(now).toBeGreaterThanOrEqual(sleeper!.pid);
    before = now;
  }
  proc.close();
  expect(proc.lastPid(), 'after a close it is opened again').toBeGreaterThan(0);
  proc.close();
});

function isZombieOf(name: string, ppid: number): boolean {
  const stat = parseByWords(read(`/proc/${name}/stat`)?.toString('latin1') ?? '');
  return stat?.ppid === ppid && stat.state === 'Z';
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

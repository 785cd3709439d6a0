/** Invariant 1's paper: what is or may be stopped stands in the journal before it is stopped, whatever the disk does. */

/** Invariant 1's paper: what is or may be stopped stands in the journal before it is stopped, whatever the disk does. */
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { Journal } from '../../../worker/journal.ts';

/** What the disk does to the next writes: how many bytes get through, or an error. Empty: all is well. */
const faults = vi.hoisted(() => ({ next: [] as (number | string)[] }));
vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const writeSync = (descriptor: number, text: string, ...rest: never[]) => {
    const fault = faults.next.shift();
    if (fault === undefined) return real.writeSync(descriptor, text, ...rest);
    if (typeof fault === 'string') throw Object.assign(new Error(fault), { code: fault });
    return real.writeSync(descriptor, text.slice(0, fault), ...rest);
  };
  return { ...real, default: real, writeSync };
});

let dir: string;
let journal: Journal;
const path = () => join(dir, 'journal');
function openJournal(): Journal {
  const opened = new Journal(path(), 'boot-1', silentLogger());
  expect(opened.ensure()).toBe(true);
  return opened;
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-journal-'));
  journal = openJournal();
});
afterEach(() => {
  faults.next = [];
  try {
    journal.close();
  } catch {
    // a test closed it
  }
  rmSync(dir, { recursive: true });
});

const id = (pid: number, startTicks = pid * 10) => ({ pid, startTicks });

/** What the guard makes of the file: the last word on each process. */
function live(): string[] {
  const last = new Map<string, string>();
  for (const line of readFileSync(path(), 'latin1').replaceAll('\0', '').split('\n')) {
    const [word, pid, ticks] = line.split(' ');
    if (word === 'stop' || word === 'left') last.set(`${pid} ${ticks}`, word);
  }
  return [...last].filter(([, word]) => word === 'stop').map(([key]) => key);
}

describe('the journal', () => {
  it('begins with the boot id and is for its owner alone', () => {
    expect(readFileSync(path(), 'latin1')).toBe('boot boot-1\n');
    expect(fs.statSync(path()).mode & 0o777).toBe(0o600);
  });

  it('holds a process when willStop returns, once', () => {
    expect(journal.willStop([id(5), id(6)])).toBe(true);
    expect(journal.willStop([id(5)])).toBe(true);
    expect(readFileSync(path(), 'latin1')).toBe('boot boot-1\nstop 5 50\nstop 6 60\n');
  });

  it('takes a process that left and is stopped again', () => {
    journal.willStop([id(5)]);
    journal.left([id(5)]);
    expect(live()).toEqual([]);
    journal.willStop([id(5)]);
    expect(live()).toEqual(['5 50']);
  });

  it('tells two processes under one pid apart', () => {
    journal.willStop([id(5, 1)]);
    journal.willStop([id(5, 2)]);
    expect(live()).toContain('5 2');
    journal.left([id(5, 1)]);
    expect(live()).toContain('5 2');
  });

  it('empties what an earlier worker left, which has been released before', () => {
    journal.willStop([id(5)]);
    journal.close();
    journal = openJournal();
    expect(live()).toEqual([]);
  });
});

describe('of cgroups', () => {
  const text = () => readFileSync(path(), 'utf8').split('\n').slice(1).join('\n');
  const change = { path: '/sys/fs/cgroup/a b/cpu.max', old: 'max 100000', ours: '9523 100000' };

  it('it holds what is frozen, limited and moved before that is done, once, and strikes it out', () => {
    expect(journal.willFreeze(['/c/a b/cgroup.freeze', '/c/é/freezer.state'])).toBe(true);
    expect(journal.willFreeze(['/c/a b/cgroup.freeze'])).toBe(true);
    expect(journal.willLimit([change])).toBe(true);
    expect(journal.willLimit([{ ...change, ours: '5 100000' }])).toBe(true);
    expect(journal.willAdopt('/c/hobbler-5@6/1')).toBe(true);
    expect(text()).toBe(
      'freeze /c/a b/cgroup.freeze\nfreeze /c/é/freezer.state\n' +
        'quota max:100000 9523:100000 /sys/fs/cgroup/a b/cpu.max\n' +
        'quota max:100000 5:100000 /sys/fs/cgroup/a b/cpu.max\nadopt /c/hobbler-5@6/1\n',
    );
    journal.thawed(['/c/é/freezer.state', '/c/never/freezer.state']);
    journal.restored([change.path]);
    journal.emptied('/c/hobbler-5@6/1');
    expect(text()).toMatch(
      /\nthawed \/c\/é\/freezer.state\nrestored \/sys\/fs\/cgroup\/a b\/cpu.max\nemptied \/c\/hobbler-5@6\/1\n$/,
    );
    expect(text()).not.toContain('never');
  });

  it('when it cannot be written, they must not be done, and later they may', () => {
    faults.next = ['ENOSPC', 'ENOSPC', 'ENOSPC'];
    expect(journal.willFreeze(['/c/a/cgroup.freeze'])).toBe(false);
    expect(journal.willLimit([change])).toBe(false);
    expect(journal.willAdopt('/c/hobbler-5@6/1')).toBe(false);
    expect(text()).toBe('');
    expect(journal.willFreeze(['/c/a/cgroup.freeze'])).toBe(true);
    expect(text()).toBe('freeze /c/a/cgroup.freeze\n');
  });

  it.each(['c/a', '/c/\n', '/c/a\tb', ''])(
    'a path that could not stand on a line (%j) is a programmer’s error',
    (bad) => {
      expect(() => journal.willFreeze([bad])).toThrow('not a path for the journal');
      expect(text()).toBe('');
    },
  );
});

describe('when it cannot be written', () => {
  it.each(['ENOSPC', 'EROFS', 'EIO'])('with %s nothing new may be stopped, and later it may', (code) => {
    journal.willStop([id(5)]);
    faults.next = [code];
    expect(journal.willStop([id(6)])).toBe(false);
    expect(live()).toEqual(['5 50']);
    expect(journal.willStop([id(6)])).toBe(true);
    expect(live()).toEqual(['5 50', '6 60']);
  });

  it('with a closed descriptor nothing new may be stopped, and nothing throws', () => {
    journal.willStop([id(5)]);
    journal.close();
    expect(journal.willStop([id(6)])).toBe(false);
    expect(() => journal.left([id(5)])).not.toThrow();
    journal = openJournal();
  });

  it('takes a torn line back, so that it hides nobody after it', () => {
    faults.next = [9];
    expect(journal.willStop([id(5), id(6)])).toBe(false);
    expect(readFileSync(path(), 'latin1')).toBe('boot boot-1\n');
    expect(journal.willStop([id(7)])).toBe(true);
    expect(readFileSync(path(), 'latin1')).toBe('boot boot-1\nstop 7 70\n');
  });

  it('a second torn line takes back itself alone', () => {
    faults.next = [4];
    journal.willStop([id(5)]);
    journal.willStop([id(6)]);
    faults.next = [4];
    journal.willStop([id(7)]);
    journal.willStop([id(8)]);
    expect(readFileSync(path(), 'latin1')).toBe('boot boot-1\nstop 6 60\nstop 8 80\n');
  });

  it('never says yes to a process that the guard would not find', () => {
    const step = fc.record({
      pid: fc.integer({ min: 2, max: 12 }),
      isStop: fc.boolean(),
      fault: fc.option(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('ENOSPC', 'EIO')), { freq: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        faults.next = [];
        journal.close();
        journal = openJournal();
        const mayBeStopped = new Set<number>();
        for (const { pid, isStop, fault } of steps) {
          faults.next = fault === null ? [] : [fault];
          if (isStop && journal.willStop([id(pid)])) mayBeStopped.add(pid);
          else if (!isStop) {
            journal.left([id(pid)]);
            mayBeStopped.delete(pid);
          }
          const found = live();
          for (const one of mayBeStopped) expect(found).toContain(`${one} ${one * 10}`);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('made shorter', () => {
  /** Enough comings and goings for the file to be rewritten. */
  const churn = () => {
    for (let pid = 100; pid < 100 + 2_100; pid++) {
      journal.willStop([id(pid)]);
      journal.left([id(pid)]);
    }
  };

  it('it keeps the living and its boot id', () => {
    journal.willStop([id(5), id(6)]);
    churn();
    expect(readFileSync(path(), 'latin1').split('\n').length).toBeLessThan(200);
    expect(readFileSync(path(), 'latin1')).toMatch(/^boot boot-1\nstop 5 50\nstop 6 60\n/);
    expect(live()).toEqual(['5 50', '6 60']);
  });

  it('it keeps what is frozen, limited and moved', () => {
    journal.willFreeze(['/c/a b/cgroup.freeze', '/c/gone/cgroup.freeze']);
    journal.thawed(['/c/gone/cgroup.freeze']);
    journal.willLimit([{ path: '/c/cpu.max', old: 'max 1', ours: '2 1' }]);
    journal.willAdopt('/c/hobbler-5@6');
    churn();
    const text = readFileSync(path(), 'latin1');
    expect(text).toContain('\nfreeze /c/a b/cgroup.freeze\nquota max:1 2:1 /c/cpu.max\nadopt /c/hobbler-5@6\n');
    expect(text).not.toContain('gone');
  });

  it('a failed rewrite loses nobody and leaves no file', () => {
    const many = Array.from({ length: 300 }, (_, index) => id(10_000 + index));
    journal.willStop(many);
    for (let pid = 100; pid < 2_100; pid++) {
      journal.willStop([id(pid)]);
      // left: the line itself gets through; if the file is then rewritten, that is cut short.
      faults.next = [9_999, 700];
      journal.left([id(pid)]);
      faults.next = [];
    }
    expect(live()).toHaveLength(300);
    expect(readdirSync(dir)).toEqual(['journal']);
  });
});

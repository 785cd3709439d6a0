/**
 * Invariant 4 on real processes: a signal reaches the process it was meant for, or nobody. By pidfd, and without; and
 * what the worker says where there are none. Pids are given anew in pid namespaces of the test's own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { HeldProcess } from '../../../worker/process/held.ts';
import { type IdentityMechanism, type Koffi, loadPidfds, systemPidfds } from '../../../worker/process/pidfd.ts';
import { Proc } from '../../../worker/process/proc.ts';
import { expectNothingLeft, readState, signalExactly, spawnSleepers, until } from '../../support/processes.ts';

afterEach(expectNothingLeft);

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const PIDFD = path('../../../worker/process/pidfd.ts');
const hasNamespaces = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;

/** Runs the program that gives pids anew, and returns what it saw. */
function throughReuse(way: 'pidfd' | 'start-time', rounds: number, watchMs: number) {
  const program = path('./pid-reuse-program.ts');
  const args = ['--pid', '--fork', '--mount-proc', process.execPath, program, way, String(rounds), String(watchMs)];
  const output = execFileSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
  return JSON.parse(output.trim().split('\n').at(-1)!) as {
    identity: IdentityMechanism;
    handle: { sent: string; continued: string; isStopped: boolean; wasRead: boolean };
    engine: { stops: number; lastMs: number; isJournalled: boolean; state: string }[];
  };
}

describe('invariant 4: a stranger who gets the pid of a hobbled process', () => {
  test('is never signalled where there are pidfds, also between two looks', { timeout: 80_000 }, ({ skip }) => {
    if (!hasNamespaces) return skip('no pid namespaces here');
    const seen = throughReuse('pidfd', 3, 1_500);
    expect(seen.identity.name, seen.identity.why).toBe('pidfd');
    expect(seen.handle).toMatchObject({ sent: 'gone', continued: 'gone', isStopped: false, wasRead: false });
    for (const round of seen.engine) expect(round).toMatchObject({ stops: 0, isJournalled: false });
  });

  test('is let go at the next look where there are none: an inspection comes every second', {
    timeout: 80_000,
  }, ({ skip }) => {
    if (!hasNamespaces) return skip('no pid namespaces here');
    const seen = throughReuse('start-time', 2, 3_000);
    expect(seen.identity.name).toBe('start time');
    // The very window that pidfds close: without this the test above would prove nothing.
    expect(seen.handle).toMatchObject({ sent: 'sent', isStopped: true, wasRead: false });
    for (const round of seen.engine) {
      expect(round).toMatchObject({ isJournalled: false, state: 'S' });
      // A look each second, and a stop phase of 0.2 s.
      expect(round.lastMs).toBeLessThan(1_800);
    }
  });
});

describe('which of the two it is', () => {
  const ask = `const { identityMechanism } = await import('${PIDFD}'); console.log(JSON.stringify(identityMechanism()))`;
  const node = [process.execPath, '--input-type=module', '-e', ask];
  const answer = (text: string) => JSON.parse(text.trim().split('\n').at(-1)!) as IdentityMechanism;

  test('is pidfd on this machine', () => {
    expect(answer(execFileSync(node[0]!, node.slice(1), { encoding: 'utf8' })).name).toBe('pidfd');
  });

  // A filter as Docker's, for these two calls alone: load the number, compare, give the error or allow.
  const FILTERED = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
step = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
calls = [int(n) for n in sys.argv[2].split(',')]
program = step(0x20, 0, 0, 0)
for i, n in enumerate(calls): program += step(0x15, len(calls) - 1 - i, 1 if i == len(calls) - 1 else 0, n)
program += step(0x06, 0, 0, 0x50000 | int(sys.argv[1])) + step(0x06, 0, 0, 0x7fff0000)
code = ctypes.create_string_buffer(program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(code))), 0, 0) == 0
os.execvp(sys.argv[3], sys.argv[3:])`;

  test.each([
    { what: 'a kernel before 5.3', errno: 38, calls: '434,424', says: 'pidfd_open says ENOSYS' },
    { what: 'a seccomp filter', errno: 1, calls: '434,424', says: 'pidfd_open says EPERM' },
    { what: 'a filter on signals alone', errno: 1, calls: '424', says: 'pidfd_send_signal says EPERM' },
  ])('is start time under $what, and it says why', ({ errno, calls, says }) => {
    const output = execFileSync('python3', ['-c', FILTERED, String(errno), calls, ...node], { encoding: 'utf8' });
    expect(answer(output)).toEqual({ name: 'start time', why: `no pidfds: ${says}` });
  });
});

describe('pidfds', () => {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  /** A C library that is too old for the functions (glibc before 2.36, musl), so that syscall(2) is used. */
  const old: Koffi = {
    errno: koffi.errno,
    load: (name) => {
      const library = koffi.load(name);
      return {
        func: (definition) => {
          if (definition.includes('pidfd_')) throw new Error(`Cannot find function in library: ${definition}`);
          return library.func(definition);
        },
      };
    },
  };

  test.each([
    ['the C library’s functions', () => systemPidfds()],
    ['syscall(2)', () => loadPidfds(() => old).pidfds],
  ])('through %s stop and continue one process, and say when it is gone', async (_, find) => {
    const pidfds = find()!;
    const [sleeper] = await spawnSleepers(1);
    const pidfd = pidfds.open(sleeper!.pid)!;
    expect(pidfds.stop(pidfd)).toBe('sent');
    await until(() => readState(sleeper!.pid) === 'T', { deadlineMs: 2_000, what: 'the stop' });
    expect(pidfds.continue(pidfd)).toBe('sent');
    await until(() => readState(sleeper!.pid) !== 'T', { deadlineMs: 2_000, what: 'the continue' });
    const ended = new Promise((resolve) => sleeper!.child.once('exit', resolve));
    signalExactly(sleeper!, 'SIGKILL');
    await ended;
    expect(pidfds.stop(pidfd)).toBe('gone');
    expect(pidfds.open(sleeper!.pid)).toBeUndefined();
    pidfds.close(pidfd);
    expect(() => pidfds.stop(pidfd)).toThrow(/EBADF/);
  });

  test('are never opened for pid 1, groups or nonsense', () => {
    for (const pid of [1, 0, -1, -process.pid, 1.5, Number.NaN]) expect(systemPidfds()!.open(pid)).toBeUndefined();
  });

  test('say when we may not: a process of another user', async () => {
    const [sleeper] = await spawnSleepers(1);
    const program = `
const { systemPidfds } = await import('${PIDFD}');
const pidfds = systemPidfds();
process.setgid(65534); process.setuid(65534);
console.log(pidfds.stop(pidfds.open(${sleeper!.pid})));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(output.trim()).toBe('not-permitted');
    expect(readState(sleeper!.pid)).not.toBe('T');
  });

  test('are held for exactly the process that was meant', async () => {
    const proc = new Proc();
    const [sleeper] = await spawnSleepers(1);
    const wrong = new HeldProcess(proc, sleeper!.pid, sleeper!.startTicks - 1);
    expect(wrong.read()).toBeUndefined();
    wrong.close();
    expect(proc.kept).toBe(0);
    const held = new HeldProcess(proc, sleeper!.pid, sleeper!.startTicks);
    expect(held.read()).toMatchObject({ pid: sleeper!.pid, startTicks: sleeper!.startTicks });
    expect(proc.kept).toBe(2);
    held.close();
    expect(proc.kept).toBe(0);
  });
});

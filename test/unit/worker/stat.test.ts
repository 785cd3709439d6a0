/** The parsers of /proc: real lines, hostile names, and anything at all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDead, isStopped, parseStat, parseStatus } from '../../../worker/process/stat.ts';

const TAIL =
  'S 1 4242 4241 34817 4242 4194304 95 7 0 0 12 3 40 7 20 0 3 0 8812345 2650112 300 18446744073709551615 1 1 0';

describe('parseStat', () => {
  it('reads a real line', () => {
    expect(parseStat(`4242 (bash) ${TAIL}\n`)).toEqual({
      pid: 4242,
      comm: 'bash',
      state: 'S',
      ppid: 1,
      pgrp: 4242,
      session: 4241,
      tty: 34817,
      isKernelThread: false,
      ownTicks: 15,
      reapedTicks: 47,
      threads: 3,
      startTicks: 8812345,
    });
  });

  it.each([
    ['a space', 'tmux: server'],
    ['a closing parenthesis', 'a) S 1 1 1'],
    ['only parentheses', ')))((('],
    ['a newline', 'a\nb'],
    ['a forged rest of a line', 'x) R 2 2 2 0 0 2097152'],
    ['nothing', ''],
    ['bytes that are no UTF-8', '\xff\xfe\x80'],
    ['a NUL', 'a\0b'],
  ])('is not led astray by a name with %s', (_, comm) => {
    expect(parseStat(`4242 (${comm}) ${TAIL}`)).toMatchObject({ comm, state: 'S', ppid: 1, isKernelThread: false });
  });

  it.each([
    ['kthreadd', '2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0', true],
    ['a kernel worker', '33 (kworker/0:1-e) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0', true],
    ['pid 1', '1 (systemd) S 0 1 1 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 5 0 0', false],
  ])('tells a kernel thread by its flag: %s', (_, line, isKernelThread) => {
    expect(parseStat(line)?.isKernelThread).toBe(isKernelThread);
  });

  it.each([
    ['empty', ''],
    ['cut in the name', '4242 (ba'],
    ['cut after the name', '4242 (bash)'],
    ['cut before the start time', '4242 (bash) S 1 4242 4241 34817 4242 4194304 95 7 0 0 12 3 40 7 20 0 3 0'],
    ['no pid', ` (bash) ${TAIL}`],
    ['pid 0', `0 (swapper) ${TAIL}`],
    ['a negative pid', `-1 (bash) ${TAIL}`],
    ['words for numbers', '4242 (bash) S a b c d e f g h i j k l m n o p q r s'],
    ['a parenthesis before the name', ')4242 bash('],
  ])('takes a line that is no stat for a process that is gone: %s', (_, line) => {
    expect(parseStat(line)).toBeUndefined();
  });

  it('gives back what the kernel was asked to print, whatever the name', () => {
    const ticks = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4_194_304 }),
        fc.string({ unit: 'binary', maxLength: 15 }),
        fc.constantFrom(...'RSDZTtXI'),
        fc.integer({ min: 0, max: 4_194_304 }),
        ticks,
        ticks,
        ticks,
        (pid, comm, state, ppid, user, system, startTicks) => {
          const line = `${pid} (${comm}) ${state} ${ppid} 5 6 0 -1 4194304 0 0 0 0 ${user} ${system} 0 0 20 0 1 0 ${startTicks} 9`;
          expect(parseStat(line)).toMatchObject({ pid, comm, state, ppid, ownTicks: user + system, startTicks });
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('never throws, and never gives half a process', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .array(fc.constantFrom('(', ')', ' ', '1', '-', 'S', '\n', '4242 (a) ', TAIL), { maxLength: 12 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (line) => {
        const stat = parseStat(line);
        if (!stat) return;
        for (const value of [stat.pid, stat.ppid, stat.startTicks, stat.ownTicks, stat.reapedTicks])
          expect(Number.isFinite(value)).toBe(true);
        expect(stat.pid).toBeGreaterThan(0);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('parseStatus', () => {
  const text = (name: string) =>
    `Name:\t${name}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\nPPid:\t1\nUid:\t1001\t0\t0\t0\nGid:\t1001\t42\t42\t42\nFDSize:\t64\nGroups:\t27 1001 \nVmPeak:\t1 kB\n`;

  it('reads owner and groups of a real one', () => {
    expect(parseStatus(text('passwd'))).toEqual({ tgid: 4242, realUid: 1001, effectiveUid: 0, gids: [42, 27, 1001] });
  });

  it('cannot be forged by a name: the kernel writes its newline as two characters', () => {
    expect(parseStatus(text('x\\nUid:\t0\t0\t0\t0\\n'))).toMatchObject({ realUid: 1001 });
    expect(parseStatus(text('Uid:\t0\t0\t0\t0'))).toMatchObject({ realUid: 1001 });
  });

  it('takes a process without groups', () => {
    expect(parseStatus(text('a').replace('27 1001 ', ''))?.gids).toEqual([42]);
  });

  it('never throws', () => {
    const part = fc.constantFrom('Uid:\t', 'Gid:\t', 'Tgid:\t', 'Groups:\t', '1', '\t', '\n', ' ', '-1', 'x');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(part).map((parts) => parts.join('')),
        ),
        (any) => {
          parseStatus(any);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('the state of a process', () => {
  it.each([
    ['R', false, false],
    ['S', false, false],
    ['D', false, false],
    ['T', false, true],
    ['t', false, true],
    ['Z', true, false],
    ['X', true, false],
    ['I', false, false],
  ])('%s: dead %s, stopped %s', (state, dead, stopped) => {
    expect(isDead({ state, threads: 1 })).toBe(dead);
    expect(isStopped(state)).toBe(stopped);
  });

  it('a process whose first thread has ended lives on in its others (state Z all the same)', () => {
    expect(isDead({ state: 'Z', threads: 2 })).toBe(false);
  });
});

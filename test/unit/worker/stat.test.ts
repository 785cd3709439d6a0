/** The parsers of /proc: real lines, hostile names, and anything at all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyFields,
  isDead,
  isStopped,
  parseLastPid,
  parseStat as parseStatBytes,
  parseStatus,
  scanStat,
} from '../../../worker/process/stat.ts';
import { parseByWords } from '../../support/stat-by-words.ts';

/** What was left in the buffer by an earlier, longer read must never be taken for more of this one. */
const STALE = ' 1 2 3) R 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27';
const bytesOf = (text: string) => ({ line: Buffer.from(text + STALE, 'latin1'), length: text.length });
const parseStat = (text: string) => {
  const { line, length } = bytesOf(text);
  return parseStatBytes(line, length);
};

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
    ['cut in the start time', '4242 (bash) S 1 4242 4241 34817 4242 4194304 95 7 0 0 12 3 40 7 20 0 3 0 88123'],
    ['a field that is empty', `4242 (bash) ${TAIL.replace('4242 4241', '4242  4241')}`],
    ['no state', `4242 (bash)  ${TAIL.slice(2)}`],
    ['a state of two letters', `4242 (bash) S${TAIL}`],
    ['a number past all bounds', `4242 (bash) ${TAIL.replace('8812345', '99999999999999999999')}`],
    ['a sign alone', `4242 (bash) ${TAIL.replace('34817', '-')}`],
  ])('takes a line that is no stat for a process that is gone: %s', (_, line) => {
    expect(parseStat(line)).toBeUndefined();
  });

  it('gives back what the kernel was asked to print, whatever the name', () => {
    const ticks = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4_194_304 }),
        fc.string({ unit: 'binary', maxLength: 15 }).map((name) => Buffer.from(name).toString('latin1')),
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

  it('sees what a parser by words sees, whatever the name', () => {
    const number = fc.oneof(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 2 ** 50 }));
    const signed = fc.oneof(number, fc.constant(-1), fc.integer({ min: -(2 ** 31), max: 2 ** 31 }));
    const name = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 64 }),
      fc
        .array(fc.constantFrom('(', ')', ' ', '\n', 'R', '-1', '1', ') S 1 2 3 4', TAIL), { maxLength: 6 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4_194_304 }),
        name,
        fc.constantFrom(...'RSDZTtXIxWKP'),
        fc.array(signed, { minLength: 20, maxLength: 49 }),
        (pid, comm, state, numbers) => {
          const text = `${pid} (${Buffer.from(comm).toString('latin1')}) ${state} ${numbers.join(' ')}\n`;
          expect(parseStat(text)).toEqual(parseByWords(text));
          const fields = emptyFields();
          const { line, length } = bytesOf(text);
          expect(scanStat(line, length, fields)).toBe(true);
          const { comm: _, ...expected } = parseByWords(text)!;
          expect(fields).toEqual(expected);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('takes every cut of a line for a process that is gone, until all that matters is there', () => {
    const line = `4242 (a) b) ${TAIL}\n`;
    const whole = line.indexOf(' 8812345 ') + ' 8812345 '.length;
    for (let length = 0; length < line.length; length++)
      expect(parseStat(line.slice(0, length)) !== undefined, `${length} bytes`).toBe(length >= whole);
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

describe('parseLastPid', () => {
  const parse = (text: string) => {
    const { line, length } = bytesOf(text);
    return parseLastPid(line, length);
  };

  it.each([
    ['0.10 0.20 0.30 1/200 4242\n', 4242],
    ['0.10 0.20 0.30 1/200 4194304', 4194304],
    ['0.10 0.20 0.30 1/200 0\n', 0],
    ['', undefined],
    ['\n', undefined],
    ['4242\n', undefined],
    ['0.10 0.20 0.30 1/200 \n', undefined],
    ['0.10 0.20 0.30 1/200 -1\n', undefined],
    ['0.10 0.20 0.30 1/200', undefined],
    ['0.10 0.20 0.30 1/200 99999999999999999999\n', undefined],
    ['nonsense', undefined],
  ])('of %j is %s', (text, pid) => {
    expect(parse(text)).toBe(pid);
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

  it('takes nothing where a line is not as the kernel writes it', () => {
    for (const [from, to] of [
      ['Tgid:\t4242', 'Tgid:\t'],
      ['Tgid:\t4242', 'Tgid:\t42 42'],
      ['Uid:\t1001\t0\t0\t0', 'Uid:\t1001\t0'],
      ['Uid:\t1001', 'Uid:\t-1'],
      ['\nGid:', '\nGrid:'],
    ] as const)
      expect(parseStatus(text('a').replace(from, to)), to).toBeUndefined();
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

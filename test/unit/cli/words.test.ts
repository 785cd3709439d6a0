/** How the CLI writes: tables, shares, one-line errors, exit codes. Unknown is never written as zero (invariant 9). */
import { describe, expect, test } from 'vitest';
import { describeError, EXIT, exitCodeOf, exitCodeOfChild } from '../../../cli/exit.ts';
import { columnsOf, createPalette, cut, formatRatio, formatTable, plain, toWidth } from '../../../cli/print.ts';
import { formatLive, formatSummary } from '../../../cli/run-words.ts';
import { HobblerError } from '../../../shared/errors.ts';
import type { LocalRow } from '../../../worker/local.ts';

const row: LocalRow = {
  target: 'pid:4242@77',
  status: 'hobbling',
  why: null,
  processes: 3,
  mechanism: 'signal',
  mechanismWhy: 'as asked',
  askedRatio: 10 / 210,
  gotRatio: 0.0471,
  beforeRatio: 0.98,
  stops: 120,
  usedSeconds: 1.234,
};

describe('printing', () => {
  test('columns line up, whatever colours the cells have', () => {
    const { red } = createPalette(true);
    const lines = formatTable(
      [{ title: 'A' }, { title: 'N', align: 'right' }],
      [
        ['long name', red('5')],
        ['x', '1000'],
      ],
    );
    expect(lines).toEqual(['A             N', `long name     ${red('5')}`, 'x          1000']);
  });

  test('there are no colours where none are wanted', () => {
    expect(createPalette(false).red('text')).toBe('text');
  });

  test.each([
    [0.0476, '4.8 %'],
    [1.97, '197 %'],
    [0, '0.0 %'],
    [null, '?'],
    [Number.NaN, '?'],
  ])('a share of %s is written %s: an unknown is not a zero', (ratio, text) => {
    expect(formatRatio(ratio)).toBe(text);
  });

  test('text from outside cannot steer the terminal', () => {
    expect(plain('a\u001b[2Jb\nc')).toBe('a\uFFFD[2Jb\uFFFDc');
  });

  test('nor turn the direction of writing, nor hide a difference between two names', () => {
    expect(plain('user:\u202eecila')).toBe('user:\uFFFDecila');
    expect(plain('user:a\u200blice\u2028x')).toBe('user:a\uFFFDlice\uFFFDx');
    expect(plain('Müller 日本')).toBe('Müller 日本');
  });

  test.each([
    ['abc', 3],
    ['Mu\u0308ller', 6],
    ['日本', 4],
    ['😀!', 3],
    [createPalette(true).red('abc'), 3],
  ])('%j takes %i columns of a terminal', (text, columns) => {
    expect(columnsOf(text)).toBe(columns);
  });

  test('a line is cut by columns, not inside a wide character, and its colour is ended', () => {
    const { red } = createPalette(true);
    expect(cut('abcdef', 4)).toBe('abc…');
    expect(cut('abcd', 4)).toBe('abcd');
    expect(cut('日本語', 4)).toBe('日…');
    expect(cut(`${red('abc')}def`, 3)).toBe(`${red('ab…')}`);
    expect(cut('abc', 0)).toBe('');
    expect([toWidth('abc', 5, 'right'), toWidth('abcdef', 5)]).toEqual(['  abc', 'abcd…']);
  });

  test('the live line says what was asked beside what was got, and never wraps', () => {
    expect(formatLive([row], 200)).toBe('pid:4242@77 4.7 % of a core (asked 4.8 %), 3 processes, 1.2 s CPU');
    expect(formatLive([row, row, row], 40).length).toBeLessThan(40);
  });

  test('the summary tells a target that was denied from one that was hobbled', () => {
    const denied: LocalRow = { ...row, status: 'denied', why: 'su (pid 9) stops with its child' };
    expect(formatSummary({ rows: [row, denied], ownCpuRatio: 0.01, elapsedMs: 61_000 })).toEqual([
      'pid:4242@77: got 4.7 % of a core of 4.8 % asked, 98 % before; 1.23 s CPU, 120 stops',
      'pid:4242@77: denied, su (pid 9) stops with its child',
      'let go after 1m 01s; hobbler itself used 1.0 % of a core',
    ]);
  });
});

describe('exit codes', () => {
  test.each([
    [new HobblerError('invalid-input', 'x'), EXIT.usage],
    [new HobblerError('invalid-config', 'x'), EXIT.usage],
    [new HobblerError('redis-unavailable', 'x'), EXIT.unavailable],
    [new HobblerError('host-locked', 'x'), EXIT.unavailable],
    [new HobblerError('denied', 'x'), EXIT.failed],
    [new TypeError('x'), EXIT.failed],
  ])('%s', (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });

  test('an error is one line per fault, without a stack', () => {
    expect(describeError(new HobblerError('invalid-config', 'a\nb'))).toBe('hobbler: a\nhobbler: b');
  });

  test('a child that a signal ended is shown as a shell shows it', () => {
    expect([exitCodeOfChild(7, null), exitCodeOfChild(null, 'SIGINT'), exitCodeOfChild(null, 'SIGKILL')]).toEqual([
      7, 130, 137,
    ]);
  });
});

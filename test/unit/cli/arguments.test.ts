/** What the CLI is told: targets, commands after --, options. Hostile input ends in an error that names its place. */
import { describe, expect, test } from 'vitest';
import { parseListen } from '../../../cli/listen.ts';
import { parseHobble, parseLease, parseWhole } from '../../../cli/options.ts';
import { splitOperands } from '../../../cli/run.ts';
import { parseLocalTarget, parseRemoteTarget } from '../../../cli/target.ts';

const proc = { identify: (pid: number) => (pid === 4242 ? { pid, startTicks: 99 } : undefined) };

describe('targets as people type them', () => {
  test.each(['4242', 'pid:4242'])('%s is completed with the start time it has on this machine', (text) => {
    expect(parseLocalTarget(text, proc)).toEqual({ kind: 'pid', pid: 4242, startTicks: 99 });
  });

  test('a start time that is given is kept, and not looked up anew', () => {
    expect(parseLocalTarget('pid:4242@5', proc)).toEqual({ kind: 'pid', pid: 4242, startTicks: 5 });
  });

  test('a pid that nobody has is not found', () => {
    expect(() => parseLocalTarget('17', proc)).toThrow(/no process 17 on this machine/);
  });

  test('a pid of another host is not completed with a stranger of this one', () => {
    expect(() => parseRemoteTarget('4242', 'web-2')).toThrow(/expected pid:4242@START.*on web-2/);
  });

  test.each([
    '',
    '-1',
    '0',
    'pid:0',
    'pid:',
    'user:',
    'user:a b',
    'cgroup:/',
    'cgroup:/../x',
    '1e3',
    'uid:-1',
    '99999999',
  ])('hostile: %j is refused', (text) => {
    expect(() => parseLocalTarget(text, { identify: () => ({ pid: 1, startTicks: 1 }) })).toThrow();
  });
});

describe('run tells targets from a command', () => {
  test('what follows -- is the command, options and further dashes included', () => {
    expect(splitOperands(['sh', '-c', 'x', '--', 'y'], ['run', '-q', '--', 'sh', '-c', 'x', '--', 'y'])).toEqual({
      targets: [],
      commandArgs: ['sh', '-c', 'x', '--', 'y'],
    });
  });

  test('without -- all are targets', () => {
    expect(splitOperands(['1', '2'], ['run', '1', '2'])).toEqual({ targets: ['1', '2'], commandArgs: undefined });
  });

  test.each([
    [[], ['run']],
    [[], ['run', '--']],
    [
      ['1', 'true'],
      ['run', '1', '--', 'true'],
    ],
  ])('%j of %j is refused with an example', (operands, args) => {
    expect(() => splitOperands(operands, args)).toThrow(/hobbler run -- make/);
  });
});

describe('options', () => {
  test('a duty cycle in bounds is taken', () => {
    expect(parseHobble({ runMs: 10, stopMs: 200, mechanism: 'auto' })).toEqual({
      runMs: 10,
      stopMs: 200,
      mechanism: 'auto',
    });
  });

  test.each([
    { runMs: 0, stopMs: 200 },
    { runMs: 10, stopMs: 10_001 },
  ])('$runMs of $stopMs is refused', (phases) => {
    expect(() => parseHobble({ ...phases, mechanism: 'auto' })).toThrow(/duty cycle/);
  });

  test.each(['', '-5', '1.5', '0x10', '1e3', ' 1', '9'.repeat(16)])('%j is no whole number', (text) => {
    expect(() => parseWhole('--run-ms')(text)).toThrow(/--run-ms: not a whole number/);
  });

  test('no order lives longer than a day, and none for no time', () => {
    expect(parseLease('24h')).toBe(86_400_000);
    for (const text of ['24h1s', '0s', 'forever']) expect(() => parseLease(text)).toThrow(/--for/);
  });

  test('an address to listen on', () => {
    expect(parseListen('[::1]:80')).toEqual({ host: '::1', port: 80 });
    expect(parseListen('localhost:0')).toEqual({ host: 'localhost', port: 0 });
    for (const text of ['80', ':80', 'a:65536', 'a:b', 'a b:1', '::1:80']) expect(() => parseListen(text)).toThrow();
  });
});

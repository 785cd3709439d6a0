/** The arguments of the bench. */
import { expect, it } from 'vitest';
import { parseOptions } from '../../../bench/options.ts';

const parse = (...args: string[]) => parseOptions(args, ['idle', 'busy']);

it('without arguments: everything, five rounds', () => {
  expect(parse()).toMatchObject({ scenarios: undefined, rounds: 5, seconds: 10, targets: undefined, write: false });
});

it('takes lists, and a window of less than a second', () => {
  expect(parse('--scenario', 'idle,busy', '--targets', '50,200', '--seconds', '0.5', '--rounds', '1')).toMatchObject({
    scenarios: ['idle', 'busy'],
    targets: [50, 200],
    seconds: 0.5,
    rounds: 1,
  });
});

it.each([
  [['--scenario', 'nothing'], /--scenario: no such scenario; expected idle, busy; got "nothing"/],
  [['--rounds', '0'], /--rounds: .*from 1 to 100; got "0"/],
  [['--rounds', '1.5'], /--rounds: .*whole number/],
  [['--targets', '50,x'], /--targets: .*got "x"/],
  [['--targets', ''], /--targets/],
  [['--seconds', 'ten'], /--seconds: .*got "ten"/],
  [['--fast'], /--fast/],
])('refuses %j and says why', (args, message) => {
  expect(() => parse(...args)).toThrow(message);
});

/** Errors reach people and logs: they say what, where, expected and got on one line, whatever a hostile value holds. */
import { expect, it } from 'vitest';
import { HobblerError, messageOf, quote } from '../../../shared/errors.ts';

it('a HobblerError says what, where, expected, got and what to do, on one line', () => {
  const error = new HobblerError('invalid-input', 'not a uid', {
    where: 'order.target',
    expected: 'a number',
    got: 'a\nb',
    hint: 'look it up with: id -u',
    cause: 'x',
  });
  expect(error.message).toBe('order.target: not a uid; expected a number; got "a\\nb"; look it up with: id -u');
  expect(error).toMatchObject({ name: 'HobblerError', code: 'invalid-input', where: 'order.target', cause: 'x' });
});

it.each<[string, unknown, string]>([
  ['text', 'a', '"a"'],
  ['nothing', undefined, 'undefined'],
  ['a bigint', 5n, '5'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['a cycle', cycle(), '[object Object]'],
  ['what is nested past the stack', nested(100_000), '[object Array]'],
  ['what has no text', Object.create(null), '{}'],
  [
    'what throws',
    {
      toJSON: () => {
        throw new Error('no');
      },
    },
    '[object Object]',
  ],
  ['what is long', 'x'.repeat(500), `"${'x'.repeat(79)}… (502 characters)`],
])('%s is quoted, bounded, and never throws', (_, value, text) => expect(quote(value)).toBe(text));

it('anything thrown has a message', () => {
  expect([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)]).toEqual(['a', 'b', 'undefined']);
});

function cycle(): unknown {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

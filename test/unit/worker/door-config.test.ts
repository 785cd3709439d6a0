/** `worker.http`: closed unless asked for, and never open to others without a token. Messages repeat no token. */
import { expect, test } from 'vitest';
import { parseSection } from '../../../shared/config.ts';
import { workerConfigSchema } from '../../../worker/config.ts';

const parse = (http: unknown) =>
  parseSection(JSON.stringify({ worker: { http } }), 'hobbler.yaml', 'worker', workerConfigSchema).http;
const TOKEN = '0123456789abcdef';

test('without it no port is opened', () => {
  expect(workerConfigSchema.parse({}).http).toBeUndefined();
});

test('a token is enough, on any address', () => {
  expect(parse({ tokens: [TOKEN] })).toEqual({ host: '127.0.0.1', port: 9713, tokens: [TOKEN], open: false });
  expect(parse({ host: '10.0.0.1', tokens: [TOKEN] })).toMatchObject({ host: '10.0.0.1' });
});

test.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('on %s it may be open', (host) => {
  expect(parse({ host, open: true })).toMatchObject({ host, tokens: [], open: true });
});

test.each([
  ['neither token nor open', {}, 'no tokens'],
  ['open to others', { host: '0.0.0.0', open: true }, 'no tokens'],
  ['open to a name that only looks like loopback', { host: '127.0.0.1.example', open: true }, 'no tokens'],
  ['a token that can be guessed', { tokens: ['secret'] }, 'tokens: expected texts of 16 or more'],
  ['a token with spaces', { tokens: ['0123 4567 89ab cdef'] }, 'tokens: expected texts of 16 or more'],
  ['a number', { tokens: [TOKEN, 1234567890123456] }, 'tokens: expected texts of 16 or more'],
])('%s is refused', (_, http, message) => {
  expect(() => parse(http)).toThrow(message);
  expect(() => parse(http)).not.toThrow(/secret|0123|1234567/);
});

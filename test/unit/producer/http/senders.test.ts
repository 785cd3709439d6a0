/** Tokens as the config lists them: names, scopes, files, and no token in any message. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ALL_SCOPES, parseSenders, readTokenFiles, type SenderConfig } from '../../../../producer/http/senders.ts';

const TOKEN = 'correct-horse-battery-staple';
const scopes = ['readings:write'];
const directory = mkdtempSync(join(tmpdir(), 'hobbler-senders-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a plain text is a token that may do everything', () => {
  expect(parseSenders([TOKEN])).toEqual({ senders: [{ name: 'token-1', token: TOKEN, scopes: ALL_SCOPES }] });
});

test('a sender has a name, what it may do, and how much', () => {
  const sender = { name: 'billing', token: TOKEN, scopes, readingsPerMinute: 600 };
  expect(parseSenders([sender])).toEqual({ senders: [sender] });
});

test.each<[string, unknown]>([
  ['[0].scopes', { name: 'a', token: TOKEN }],
  ['[0].scopes', { name: 'a', token: TOKEN, scopes: [] }],
  ['[0].scopes.0', { name: 'a', token: TOKEN, scopes: ['everything'] }],
  ['[0].name', { name: 'A B', token: TOKEN, scopes }],
  ['[0]: expected token or tokenFile', { name: 'a', scopes }],
  ['[0]: expected token or tokenFile', { name: 'a', token: TOKEN, tokenFile: '/x', scopes }],
  ['[0].token', { name: 'a', token: 'hunter2', scopes }],
  ['[0].token', { name: 'a', token: ['hunter2-hunter2-hunter2'], scopes }],
  ['[0].tokenFile', { name: 'a', tokenFile: 'relative', scopes }],
  ['[0]', { name: 'a', token: TOKEN, scopes, tokn: 'hunter2-hunter2-hunter2' }],
  ['16 to 512', 'hunter2'],
  ['[0]', 7],
])('%s: what is wrong is named, and no token is repeated', (where, entry) => {
  const { fault } = parseSenders([entry]) as { fault: string };
  expect(fault).toContain(where);
  expect(fault).not.toContain('hunter2');
  expect(fault).not.toContain(TOKEN);
});

test('two of one name would share nothing but the name', () => {
  const entry = { name: 'a', token: TOKEN, scopes };
  expect(parseSenders([entry, { ...entry, token: `${TOKEN}-2` }])).toEqual({ fault: 'two are named a' });
});

test('a token may stand in a file of its own; one that is none is refused with the path alone', () => {
  const tokenFile = join(directory, 'token');
  const senders: SenderConfig[] = [{ name: 'a', tokenFile, scopes: ALL_SCOPES }];
  writeFileSync(tokenFile, `${TOKEN}\n`);
  readTokenFiles(senders);
  expect(senders[0]!.token).toBe(TOKEN);
  writeFileSync(tokenFile, 'hunter2');
  expect(() => readTokenFiles(senders)).toThrow(tokenFile);
  expect(() => readTokenFiles(senders)).not.toThrow('hunter2');
  expect(() => readTokenFiles([{ name: 'a', tokenFile: '/nonexistent/token', scopes: ALL_SCOPES }])).toThrow('ENOENT');
});

test('one token under two names is refused, as it would be by chance what it may do', () => {
  const both = [
    { name: 'a', token: TOKEN, scopes: ALL_SCOPES },
    { name: 'b', token: TOKEN, scopes: ALL_SCOPES },
  ];
  expect(() => readTokenFiles(both)).toThrow('two have the same token; got ["a","b"]');
});

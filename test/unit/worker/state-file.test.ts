/** The small files of the state directory, with anything in their place: nothing is followed, and nothing is waited for. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isThere, readStateFile, writeStateFile } from '../../../worker/state-file.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-state-file-'));
  path = join(dir, 'file');
  writeFileSync(join(dir, 'victim'), 'precious');
});
afterEach(() => {
  expect(readFileSync(join(dir, 'victim'), 'utf8')).toBe('precious');
  rmSync(dir, { recursive: true });
});

it('is written for its owner alone, replaced in one step, and read up to a bound', () => {
  writeStateFile(path, 'one, über');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readStateFile(path, 100)).toBe('one, über');
  writeStateFile(path, 'two');
  expect(readStateFile(path, 2)).toBe('tw');
  writeStateFile(path, '');
  expect(readStateFile(path, 100)).toBe('');
  expect(readdirSync(dir).sort()).toEqual(['file', 'victim']);
});

describe.each<[string, (path: string) => void, RegExp]>([
  ['a FIFO', (at) => void execFileSync('mkfifo', [at]), /got a FIFO/],
  ['a link', (at) => symlinkSync(join(dir, 'victim'), at), /ELOOP/],
  ['a link to nowhere', (at) => symlinkSync('/nowhere/at/all', at), /ELOOP/],
  ['a link to itself', (at) => symlinkSync(at, at), /ELOOP/],
])('%s', (_, put, said) => {
  it('is there, is not read, and is replaced, under the name itself and where the new file is made', () => {
    put(path);
    put(`${path}.new`);
    expect(isThere(path)).toBe(true);
    expect(() => readStateFile(path, 100)).toThrow(said);
    writeStateFile(path, 'mine');
    expect(readStateFile(path, 100)).toBe('mine');
  });
});

it.each(['', '.new'])('a directory (at the name%s) is left, and it is said', (ending) => {
  mkdirSync(`${path}${ending}`);
  expect(() => writeStateFile(path, 'mine')).toThrow(/EISDIR|directory/);
  expect(statSync(`${path}${ending}`).isDirectory()).toBe(true);
});

it('a socket is not read', async () => {
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once('listening', resolve));
  expect(() => readStateFile(path, 100)).toThrow(/ENXIO/);
  await new Promise((resolve) => server.close(resolve));
});

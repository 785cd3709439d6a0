/**
 * `hobbler readings send` as scripts use it: a real process, told apart by exit code and output, against a real
 * producer and against servers that are full or not there.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ProducerService } from '../../producer/service.ts';
import { HttpStub } from '../redis/client/http-stub.ts';
import { ProducerFixture, TOKEN } from '../redis/producer/producer-fixture.ts';
import { expectNothingLeft, startProcess } from '../support/processes.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

let fixture: ProducerFixture;
let producer: ProducerService;
let directory: string;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
  producer = await fixture.start();
  directory = await mkdtemp(join(tmpdir(), 'hobbler-readings-'));
});
afterEach(expectNothingLeft);
afterAll(async () => {
  await fixture.clear();
  await fixture.close();
  await rm(directory, { recursive: true, force: true });
});

async function send(args: readonly string[], { input = '', url = producer.url!, token = TOKEN } = {}) {
  const { child } = await startProcess(process.execPath, [CLI, 'readings', 'send', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HOBBLER_PRODUCER_URL: url,
      HOBBLER_PRODUCER_TOKEN: token,
      HOBBLER_REDIS_URL: 'redis://127.0.0.1:1',
      HOBBLER_CONFIG: '',
    },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout!.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    output.stderr += chunk;
  });
  child.stdin!.end(input);
  const code = await new Promise((resolve) => child.once('close', (exit, signal) => resolve(exit ?? signal)));
  return { code, ...output };
}

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

test('a file goes in whole, in batches, and orders come of it', async () => {
  const lines = Array.from({ length: 2_500 }, (_, n) => `{"account":"user-${n}","used":${n === 2_400 ? 9_999 : 1}}`);
  const path = await file('good.jsonl', `${lines.join('\n')}\n`);
  expect(await send([path])).toEqual({ code: 0, stdout: '2500 readings taken, 0 refused\n', stderr: '' });
  await expect.poll(() => fixture.standing('*', 'user:user-2400')).toMatchObject({ action: 'tarpit' });
});

test('from a pipe, each line that is refused is named with its number, and the exit code says it', async () => {
  const input =
    '{"account":"ann","used":1}\n\n{"account":"bob"\n{"account":"cid","used":-1}\n{"account":"dan","used":2}';
  const { code, stdout, stderr } = await send(['-', '--batch', '2'], { input });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '2 readings taken, 2 refused\n' });
  expect(stderr).toMatch(/^-:3: reading: not JSON .*\n-:4: reading\.used: .*\n$/);
  expect(JSON.parse((await send(['-', '--json'], { input })).stdout)).toMatchObject({
    accepted: 2,
    refused: 2,
    refusals: [{ line: 3 }, { line: 4 }],
  });
});

test('while the producer is full it waits as it is told, and says so', async () => {
  const full = {
    status: 429,
    headers: { 'retry-after': '1' },
    body: { error: { code: 'bound-exceeded', message: 'full' } },
  };
  const stub = await HttpStub.open(full, { status: 200, body: { accepted: 1, refused: [] } });
  try {
    const run = await send(['-'], { input: '{"account":"a","used":1}', url: stub.url });
    expect(run).toEqual({ code: 0, stdout: '1 reading taken, 0 refused\n', stderr: 'hobbler: waiting 1 s: full\n' });
    expect(stub.asked).toHaveLength(2);
  } finally {
    await stub.close();
  }
});

test('nobody there: 3, and what to do', async () => {
  const stub = await HttpStub.open({ status: 200 });
  await stub.close();
  const run = await send(['-', '--retry-for', '0s'], { input: '{"account":"a","used":1}', url: stub.url });
  expect(run).toMatchObject({ code: 3, stdout: '' });
  expect(run.stderr).toMatch(/ECONNREFUSED.*send the file again/);
});

test('a wrong token: 1, at once', async () => {
  const run = await send(['-'], { input: '{"account":"a","used":1}', token: 'not-the-token-of-this-one' });
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('token is not known') });
});

test.each([
  ['a file that is not there', ['/nonexistent/readings.jsonl']],
  ['a directory', ['/']],
  ['an address that is none', ['-', '--url', 'ftp://x']],
  ['a batch that is none', ['-', '--batch', '0']],
  ['a token file that is not there', ['-', '--token-file', '/nonexistent/token']],
])('%s: 2, and nothing is sent', async (_title, args) => {
  expect(await send(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^hobbler: /) });
});

/** docs/readings.md is true: its examples run as they stand there, against a real producer; its tokens are a config. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseSenders, SCOPES } from '../../../producer/http/senders.ts';
import { ROOT } from '../../support/sources.ts';
import { ProducerFixture, TOKEN } from './producer-fixture.ts';

const run = promisify(execFile);
const page = readFileSync(join(ROOT, 'docs/readings.md'), 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]!);

let fixture: ProducerFixture;
let env: NodeJS.ProcessEnv;
/** Where `hobbler` is a command and a package, as after an installation. */
let site: string;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
  site = mkdtempSync(join(tmpdir(), 'hobbler-page-'));
  writeFileSync(join(site, 'hobbler'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/cli.ts' "$@"\n`, {
    mode: 0o755,
  });
  const installed = join(site, 'node_modules/hobbler');
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(installed, 'package.json'), '{ "type": "module", "exports": "./client.js" }');
  writeFileSync(join(installed, 'client.js'), `export * from '${ROOT}/client/producer.ts';\n`);
});
afterAll(async () => {
  rmSync(site, { recursive: true });
  await fixture.close();
});
beforeEach(async () => {
  const { url } = await fixture.start();
  env = { ...process.env, PATH: `${site}:${process.env.PATH}`, PRODUCER: url!, HOBBLER_PRODUCER_TOKEN: TOKEN };
});
afterEach(() => fixture.clear());

const expectSlowed = (account: string) =>
  expect.poll(() => fixture.standing('*', `user:${account}`)).toMatchObject({ action: 'tarpit', by: 'policy' });

test('from a shell: by curl, and by hobbler readings send', async () => {
  const [curl, cli, ...more] = blocks('sh');
  expect(more).toEqual([]);
  expect(JSON.parse((await run('sh', ['-euc', curl!], { env })).stdout)).toEqual({ accepted: 2, refused: [] });
  await expectSlowed('alice');
  expect((await run('sh', ['-euc', cli!], { env })).stdout).toBe('1 reading taken, 0 refused\n');
  await expectSlowed('carol');
});

test('from Node', async () => {
  const path = join(site, 'example.mts');
  writeFileSync(path, blocks('ts')[0]!);
  const { stdout } = await run(process.execPath, [path], { env });
  expect(stdout).toMatch(/^2 taken, 0 refused\nalice is /);
});

test('from Python’s standard library', async () => {
  const { stdout } = await run('python3', ['-I', '-c', blocks('python')[0]!], { env });
  expect(stdout).toMatch(/^1 reading\.used: expected either/);
  await expectSlowed('dora');
});

test('its tokens are a config, and its scopes are all there are', () => {
  const { tokens } = parse(blocks('yaml')[0]!).producer.http;
  expect(parseSenders(tokens)).toMatchObject({ senders: [{ name: 'billing' }, { name: 'prometheus' }] });
  const table = /^(?:\|.*\|\n)+/m.exec(page.slice(page.indexOf('| scope |')))![0];
  const scopes = [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]);
  expect(scopes).toEqual(Object.keys(SCOPES));
});

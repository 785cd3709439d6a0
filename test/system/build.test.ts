/**
 * What is published: `npm pack` of a copy of this checkout, laid out as npm installs it in an empty directory, beside
 * nothing but what package.json says that it needs. There the built JavaScript has to do what the sources do, on real
 * processes and a real Redis. Needs no network; that npm itself can install it is for a person to try before a release.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hostKeys } from '../../shared/keys.ts';
import {
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readState,
  register,
  spawnSpinner,
  startProcess,
  until,
} from '../support/processes.ts';
import { connectTest } from '../support/redis.ts';
import { importsOf, ROOT } from '../support/sources.ts';

/** Not the checkout's, so that a version written down anywhere but in package.json shows. */
const VERSION = '9.8.7';
const FOLDERS = ['shared', 'client', 'producer', 'worker', 'admin', 'cli', 'demo'];
const SPIN = 'while :; do :; done';
/** Nobody listens there, so that no test reaches a Redis by mistake. */
const NO_REDIS = 'redis://127.0.0.1:1';

let temp: string;
/** A copy of the checkout, to be built and broken. */
let stage: string;
/** Where the package is installed. */
let home: string;
let bin: string;
let stateDir: string;

beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'hobbler-build-'));
  stage = join(temp, 'checkout');
  const isCopied = (name: string) => !/^(\.|node_modules|dist$)/.test(name) && !/\.(tgz|pem|log)$/.test(name);
  for (const name of readdirSync(ROOT).filter(isCopied))
    cpSync(join(ROOT, name), join(stage, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(stage, 'node_modules'));
  writeFileSync(join(stage, 'package.json'), JSON.stringify({ ...manifest(), version: VERSION }));
  mkdirSync(join(stage, 'dist'));
  writeFileSync(join(stage, 'dist/stale.js'), 'of an older build');
  runIn(stage, 'npm', 'pack', '--pack-destination', temp);

  home = join(temp, 'site/node_modules/hobbler');
  bin = join(home, 'bin/hobbler.js');
  mkdirSync(home, { recursive: true });
  runIn(home, 'tar', '-xzf', join(temp, `hobbler-${VERSION}.tgz`), '--strip-components=1');
  mkdirSync(join(temp, 'site/node_modules/.bin'));
  symlinkSync('../hobbler/bin/hobbler.js', join(temp, 'site/node_modules/.bin/hobbler'));
  const { dependencies, optionalDependencies } = manifest();
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (!existsSync(join(ROOT, 'node_modules', name))) continue; // optional
    const link = join(temp, 'site/node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
});
afterAll(() => rmSync(temp, { recursive: true, force: true }));

beforeEach(() => {
  stateDir = mkdtempSync(join(temp, 'state-'));
});
afterEach(expectNothingLeft);

function manifest(): { dependencies: Record<string, string>; optionalDependencies: Record<string, string> } {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

/** Runs a program to its end. Throws with what it said when it fails. */
function runIn(cwd: string, program: string, ...args: string[]): string {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** The installed hobbler, started by its bin. */
async function start(args: readonly string[], env: Record<string, string> = {}, node = [process.execPath]) {
  const [program, ...options] = node as [string, ...string[]];
  const started = await startProcess(program, [...options, bin, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HOBBLER_STATE_DIR: stateDir,
      HOBBLER_REDIS_URL: NO_REDIS,
      HOBBLER_CONFIG: '',
      TMPDIR: temp,
      ...env,
    },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    started.child[name]!.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const ended = new Promise<number | string>((resolve) => {
    started.child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  return { ...started, output, ended };
}

async function runToEnd(args: readonly string[], env?: Record<string, string>, node?: string[]) {
  const run = await start(args, env, node);
  return { code: await run.ended, ...run.output };
}

/** Every file below a directory, from there, in order. */
function filesIn(directory: string, pattern = '**/*'): string[] {
  return globSync(pattern, { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted();
}

describe('the package', () => {
  test('holds the bin, the build and the papers: no sources, no tests, nothing of an older build', () => {
    const files = filesIn(home);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'bin/hobbler.js', 'dist/cli.js']));
    const strangers = files.filter(
      (path) =>
        !/^(bin\/hobbler\.js|dist\/.+|packaging\/.+|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path) ||
        /^dist\/(test|bench|stale)|(?<!\.d)\.ts$/.test(path),
    );
    expect(strangers).toEqual([]);
  });

  test('holds beside its modules every file that stands beside their sources', () => {
    const beside = (directory: string) =>
      FOLDERS.flatMap((folder) => filesIn(directory, `${folder}/**/*`)).filter(
        (path) => !/\.ts$/.test(path) && !(/\.js$/.test(path) && existsSync(join(stage, path.replace(/js$/, 'ts')))),
      );
    const expected = beside(stage);
    expect(expected).toEqual(expect.arrayContaining(['worker/guard/guard.sh', 'shared/redis/lua/put-orders.lua']));
    expect(beside(join(home, 'dist'))).toEqual(expected);
    for (const path of expected) {
      expect(readFileSync(join(home, 'dist', path)), path).toEqual(readFileSync(join(stage, path)));
    }
  });

  test('imports nothing that is not there: of its own modules, or of what package.json says that it needs', () => {
    const { dependencies, optionalDependencies } = manifest();
    const modules = filesIn(join(home, 'dist'), '**/*.js');
    const imports = modules.flatMap((path) => {
      const text = readFileSync(join(home, 'dist', path), 'utf8');
      return importsOf({ path, text, lines: 0 }).map((wanted) => ({ path, wanted }));
    });
    const isThere = (wanted: string) =>
      /\.[jt]s$/.test(wanted)
        ? modules.includes(wanted)
        : isBuiltin(wanted) || /^(?:@[^/]+\/)?[^/]+/.exec(wanted)![0] in { ...dependencies, ...optionalDependencies };
    expect(imports.length).toBeGreaterThan(modules.length);
    expect(imports.filter(({ wanted }) => !isThere(wanted))).toEqual([]);
  });
});

describe('an installed hobbler', () => {
  test('has its version from package.json alone', () => {
    const link = join(temp, 'site/node_modules/.bin/hobbler');
    expect(runIn(temp, link, '--version')).toBe(`${VERSION}\n`);
  });

  test('hobbles a process, lets it go, and passes exit codes on', async () => {
    const spinner = await spawnSpinner();
    const run = await start(['run', '--json', String(spinner.pid)]);
    await until(() => readState(spinner.pid) === 'T', {
      deadlineMs: 20_000,
      what: () => `a stop; ${run.output.stderr}`,
    });
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(readState(spinner.pid)).not.toBe('T');
    expect(JSON.parse(run.output.stdout).rows[0].stops).toBeGreaterThan(0);
    expect((await runToEnd(['run', '-q', '--', 'sh', '-c', 'exit 7'])).code).toBe(7);
    expect(await runToEnd(['release-all'])).toMatchObject({
      code: 0,
      stdout: `released 0 processes and cgroups (${stateDir})\n`,
    });
  });

  test('is a whole system: worker, producer, admin and a Redis, with an order from another shell', async () => {
    const spinner = await spawnSpinner({ uid: 4242, gid: 4242 });
    const config = join(stateDir, 'config.yaml');
    writeFileSync(config, 'producer: { http: { port: 0 } }\nadmin: { http: { port: 0 } }\n');
    const shared = { HOBBLER_CONFIG: config, HOBBLER_HOST: 'web-1', HOBBLER_REDIS_URL: '', REDIS_URL: '' };
    const up = await start(['up'], shared);
    const url = await until(() => /HOBBLER_REDIS_URL='(.*)'/.exec(up.output.stdout)?.[1], {
      deadlineMs: 15_000,
      what: () => `the greeting; ${up.output.stderr}`,
    });
    const shell = { ...shared, HOBBLER_REDIS_URL: url! };
    const given = await runToEnd(['tarpit', String(spinner.pid), '--reason', 'test', '--json'], shell);
    expect(JSON.parse(given.stdout).outcomes).toMatchObject([{ host: 'web-1', status: 'applied' }]);
    await until(() => readState(spinner.pid) === 'T', { deadlineMs: 10_000, what: 'the first stop' });

    const redis = connectTest({ url: url! });
    const status = JSON.parse((await redis.get(hostKeys.status('web-1')))!);
    redis.disconnect();
    expect(status.hobblerVersion).toBe(VERSION);

    const admin = /admin +(http:\S+)/.exec(up.output.stdout)![1]!;
    const page = await (await fetch(`${admin}/login`)).text();
    const style = await fetch(admin + /\/static\/\w+\/base\.css/.exec(page)![0]);
    expect(await style.text()).toBe(readFileSync(join(ROOT, 'admin/static/base.css'), 'utf8'));

    up.child.kill('SIGTERM');
    expect(await up.ended).toBe(0);
    expect(readState(spinner.pid)).not.toBe('T');
  });

  test('plays the demo, and leaves nothing when it is ended', async () => {
    const demo = await start(['demo'], { HOBBLER_STATE_DIR: '', HOBBLER_REDIS_URL: '', REDIS_URL: '' });
    await until(() => /ann .*free/.test(demo.output.stdout), {
      deadlineMs: 30_000,
      what: () => `work at full speed; ${demo.output.stdout}${demo.output.stderr}`,
    });
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(1);
    expect(demo.output.stdout).toContain('PASS  nothing is left');
  });
});

describe('a program that imports it', () => {
  const site = () => join(temp, 'site');

  test('gets a client of a producer, and nothing of what runs one', () => {
    writeFileSync(
      join(site(), 'program.mjs'),
      `import { createProducer, ProducerError } from 'hobbler';
const producer = createProducer({ url: 'http://127.0.0.1:1', retryForMs: 0 });
const error = await producer.sendReadings([{ account: 'alice', used: 1 }]).catch((error) => error);
console.log(error instanceof ProducerError, error.code);
`,
    );
    expect(runIn(site(), process.execPath, 'program.mjs')).toBe('true unreachable\n');
    const client = filesIn(join(home, 'dist/client'), '**/*.js').map((path) => `client/${path}`);
    const wanted = new Set(client);
    for (const path of wanted) {
      const text = readFileSync(join(home, 'dist', path), 'utf8');
      for (const found of importsOf({ path, text, lines: 0 })) if (!isBuiltin(found)) wanted.add(found);
    }
    expect([...wanted].filter((path) => !client.includes(path))).toEqual(['shared/clock.js']);
  });

  test('has its types: a misspelt field is found before it is sent', () => {
    symlinkSync(join(ROOT, 'node_modules/@types'), join(site(), 'node_modules/@types'));
    const program = (field: string) => `import { createProducer, type Reading, type SendResult } from 'hobbler';
const reading: Reading = { account: 'alice', ${field}: 2104, limit: 2000, unit: 's' };
export const sent: Promise<SendResult> = createProducer({ url: 'http://127.0.0.1:1' }).sendReadings([reading]);
`;
    const check = (field: string) => {
      writeFileSync(join(site(), 'program.ts'), program(field));
      const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      return spawnSync(tsc, [...options, 'program.ts'], { cwd: site(), encoding: 'utf8' });
    };
    expect(check('used')).toMatchObject({ status: 0, stdout: '' });
    expect(check('usd')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("'usd' does not exist in type 'Reading'"),
    });
  });
});

describe('under a Node that is too old, its own one', () => {
  const old = oldNode();

  test('answers, and passes exit codes and signals on', async () => {
    expect(await runToEnd(['--version'], {}, old)).toMatchObject({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
    expect((await runToEnd(['run', '-q', '--', 'sh', '-c', 'exit 7'], {}, old)).code).toBe(7);
    const { run, command } = await startCommand();
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(isAlive(command)).toBe(false);
  });

  test('gives a worker the small heap that it gives itself elsewhere', async () => {
    const waiting = await start(['worker', '--host', 'x'], {}, old);
    const own = await until(() => descendantsOf(waiting.pid)[0], { deadlineMs: 10_000, what: 'its own Node' });
    register(own!.pid, 'its own Node');
    expect(readFileSync(`/proc/${own!.pid}/cmdline`, 'latin1')).toContain('\0--max-semi-space-size=4\0');
    waiting.child.kill('SIGKILL');
    await until(() => !isAlive(own!), { deadlineMs: 10_000, what: 'the end of both' });
  });

  test('lets everything go and ends when what stands in for it is killed', async () => {
    const { run, command } = await startCommand();
    const [own] = descendantsOf(run.pid);
    run.child.kill('SIGKILL');
    await until(() => !isAlive(own!) && !isAlive(command), { deadlineMs: 5_000, what: 'the end of both' });
  });

  async function startCommand() {
    const run = await start(['run', '-q', '--', 'sh', '-c', SPIN], {}, old);
    const isAtWork = (pid: number) => ['R', 'T'].includes(readState(pid) ?? '');
    const command = await until(
      () => {
        const found = descendantsOf(run.pid).find((stat) => stat.name === 'sh' && isAtWork(stat.pid));
        return found && register(found.pid, 'the command');
      },
      { deadlineMs: 10_000, what: () => `the command at work; ${run.output.stderr}` },
    );
    return { run, command: command! };
  }
});

/** The first Node on the PATH that is too old, as a distribution has it; where there is none, this one disguised. */
function oldNode(): string[] {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const node = join(directory, 'node');
    if (!existsSync(node)) continue;
    const major = Number.parseInt(execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }), 10);
    if (major < 22) return [node];
  }
  const disguise = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } })`;
  return [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(disguise)}`];
}

describe('npm run build', () => {
  const build = () => spawnSync(process.execPath, ['build.ts'], { cwd: stage, encoding: 'utf8' });
  const digest = (directory: string) =>
    filesIn(directory).map((path) => {
      const hash = createHash('sha256').update(readFileSync(join(directory, path)));
      return `${path} ${hash.digest('hex')}`;
    });

  test('makes the same of the same', () => {
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    expect(digest(join(stage, 'dist'))).toEqual(digest(join(home, 'dist')));
  });

  test.each<[string, path: string, change: (text: string) => string | null, RegExp]>([
    [
      'a file that is read is missing',
      'worker/guard/guard.sh',
      () => null,
      /worker\/guard\/guard\.ts reads .*guard\.sh/,
    ],
    ['a type is wrong', 'cli/exit.ts', (text) => `${text}export const wrong: string = 1;\n`, /tsc found faults/],
    [
      'it cannot be told which file is read',
      'cli/exit.ts',
      (text) => `${text}export const where = (name: string) => new URL(name, import.meta.url);\n`,
      /cli\/exit\.ts: which file is read here\?\n {2}.*new URL\(name, import\.meta\.url\)/,
    ],
    [
      'a source is read by its name, which the build changes',
      'cli/exit.ts',
      (text) => `${text}export const self = new URL('./exit.ts', import.meta.url);\n`,
      /cli\/exit\.ts reads \.\/exit\.ts: .*is TypeScript/,
    ],
  ])('fails and leaves the last good build alone where %s', (_, path, change, why) => {
    const source = join(stage, path);
    const before = digest(join(stage, 'dist'));
    const changed = change(readFileSync(source, 'utf8'));
    renameSync(source, `${source}.kept`);
    try {
      if (changed !== null) writeFileSync(source, changed);
      const { status, stderr } = build();
      expect(stderr).toMatch(why);
      expect(status).toBe(1);
      expect(digest(join(stage, 'dist'))).toEqual(before);
      expect(readdirSync(stage).filter((name) => name.startsWith('.dist'))).toEqual([]);
    } finally {
      renameSync(`${source}.kept`, source);
    }
  });

  test('changes nothing for who works on the sources: the bin of a checkout runs those', () => {
    writeFileSync(join(stage, 'dist/cli.js'), 'process.exit(9);\n');
    expect(runIn(stage, process.execPath, 'bin/hobbler.js', '--version')).toBe(`${VERSION}\n`);
  });
});

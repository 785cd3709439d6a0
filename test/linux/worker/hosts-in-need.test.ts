/** Hosts that run out of something: room for the journal, descriptors. Nothing stays stopped, and it recovers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  startProcess,
  until,
} from '../../support/processes.ts';

const CLI = fileURLToPath(new URL('../../../cli.ts', import.meta.url));
const UID = 20_021;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-need-'));
});
afterEach(async () => {
  await expectNothingLeft();
  rmSync(dir, { recursive: true, force: true });
});

async function startLogged(command: string, args: string[]) {
  const one = await startProcess(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOBBLER_LOG_LEVEL: 'warn' },
  });
  let text = '';
  for (const stream of [one.child.stdout!, one.child.stderr!])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  const ended = new Promise<number | null>((resolve) => one.child.once('exit', resolve));
  return { ...one, said: () => text, ended };
}

test('with few descriptors all is hobbled, more slowly, and let go', { timeout: 60_000 }, async () => {
  const sleepers = await spawnSleepers(80);
  const spinner = await spawnSpinner();
  const targets = [...sleepers, spinner].map(({ pid, startTicks }) => `pid:${pid}@${startTicks}`);
  const run = await startLogged('prlimit', [
    '--nofile=60:60',
    process.execPath,
    CLI,
    '--state-dir',
    dir,
    'run',
    '--every',
    ...targets,
  ]);
  for (const { pid } of [...sleepers, spinner])
    await until(() => readState(pid) === 'T', {
      deadlineMs: 20_000,
      what: () => `${pid} to be stopped; it said ${run.said()}`,
    });
  // Long enough for an inspection of every one, and a pass.
  const from = performance.now();
  await until(() => performance.now() - from > 6_000, { deadlineMs: 8_000, what: 'six seconds' });
  expect(run.child.exitCode, run.said()).toBeNull();
  await until(() => readState(spinner.pid) === 'T', { deadlineMs: 3_000, what: 'the spinner to be stopped still' });
  signalExactly(run, 'SIGINT');
  await run.ended;
  for (const { pid } of [...sleepers, spinner]) expect(readState(pid)).not.toBe('T');
});

test('a journal on a full disk: nothing new is stopped, everything runs, it is said, and goes on when there is room', {
  timeout: 90_000,
}, async () => {
  const first = await spawnSleepers(20, { uid: UID, gid: UID, cwd: '/' });
  // A small tmpfs in a mount namespace of its own: 28 kB are seven pages.
  const script = 'mount -t tmpfs -o size=28k,mode=700 none "$1" && shift && exec "$@"';
  const run = await startLogged('unshare', [
    '-m',
    'sh',
    '-c',
    script,
    'sh',
    dir,
    process.execPath,
    CLI,
    '--state-dir',
    dir,
    'run',
    '--every',
    `uid:${UID}`,
  ]);
  const stoppedAmong = (all: { pid: number }[]) => all.filter(({ pid }) => readState(pid) === 'T').length;
  await until(() => stoppedAmong(first) === 20, {
    deadlineMs: 20_000,
    what: () => `the first to be stopped; it said ${run.said()}`,
  });
  const inside = (command: string) =>
    spawnSync('nsenter', ['-t', String(run.pid), '-m', 'sh', '-c', command], { encoding: 'utf8' });
  // Just what is free: the guard goes on writing down what it hears.
  inside(`head -c $(df --output=avail -B1 ${dir} | tail -1) /dev/zero > ${dir}/filler`);
  // Their lines do not fit into what is left of the journal's last page.
  const second = await spawnSleepers(250, { uid: UID, gid: UID, cwd: '/' });
  await until(() => run.said().includes('journal cannot be written'), {
    deadlineMs: 10_000,
    what: () => `it to be said: ${run.said()}`,
  });
  await until(() => stoppedAmong(first) === 0, { deadlineMs: 5_000, what: 'everything to run' });
  inside(`rm ${dir}/filler`);
  await until(() => stoppedAmong([...first, ...second]) === 270, { deadlineMs: 20_000, what: 'all to be stopped' });
  signalExactly(run, 'SIGINT');
  await run.ended;
  expect(stoppedAmong([...first, ...second])).toBe(0);
});

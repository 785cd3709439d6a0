/**
 * The command line as people and scripts use it: a real process on the real machine, told apart by its exit code, its
 * output, and what it leaves behind. Each test has a state directory of its own, so that none meets a worker of this host.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readStartTicks,
  readState,
  register,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../support/processes.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const SPIN = 'while :; do :; done';
/** Nobody listens there, so that no test reaches a Redis by mistake. */
const NO_REDIS = 'redis://127.0.0.1:1';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'hobbler-cli-'));
});
afterEach(async () => {
  try {
    await expectNothingLeft();
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});

interface Run extends TestProcess {
  output: { stdout: string; stderr: string };
  ended: Promise<number | string>;
}

async function start(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const started = await startProcess(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOBBLER_STATE_DIR: stateDir, HOBBLER_REDIS_URL: NO_REDIS, HOBBLER_CONFIG: '', ...env },
  });
  const output = { stdout: '', stderr: '' };
  started.child.stdout!.on('data', (chunk) => {
    output.stdout += chunk;
  });
  started.child.stderr!.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const ended = new Promise<number | string>((resolve) => {
    started.child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  return { ...started, output, ended };
}

async function runToEnd(args: readonly string[], env?: Record<string, string>) {
  const run = await start(args, env);
  const code = await run.ended;
  return { code, ...run.output };
}

/** The command of `hobbler run --`, once it is past its gate and at work. */
async function commandOf(run: Run): Promise<{ pid: number; startTicks: number }> {
  return until(
    () => {
      const child = descendantsOf(run.pid).find((stat) => stat.name === 'sh' && stat.ppid === run.pid);
      return child && cpuSeconds(child.pid) > 0.02 ? register(child.pid, 'the command') : undefined;
    },
    { deadlineMs: 10_000, what: () => `the command at work; ${run.output.stderr}` },
  ) as Promise<{ pid: number; startTicks: number }>;
}

/** CPU time of one process, and time that it was runnable and waited for a core (man 5 proc: schedstat). */
function timesOf(pid: number): { cpuSeconds: number; waitSeconds: number; atSeconds: number } {
  const [cpuNs, waitNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ').map(Number);
  return { cpuSeconds: cpuNs! / 1e9, waitSeconds: waitNs! / 1e9, atSeconds: performance.now() / 1_000 };
}

/** The guard that a hobbler has started, by the file in which it says its pid. */
function guardsOf(run: { pid: number }) {
  return descendantsOf(run.pid).filter((stat) => stat.name === 'bash');
}

describe('hobbler run', () => {
  test('gives a busy loop about 4.8 % of a core, and SIGINT leaves nothing behind', async () => {
    const run = await start(['run', '--', 'sh', '-c', SPIN]);
    const command = await commandOf(run);
    const guards = guardsOf(run);
    expect(guards).toHaveLength(1);
    const before = timesOf(command.pid);
    await new Promise((resolve) => setTimeout(resolve, 6_000)); // a share is measured over time
    const after = timesOf(command.pid);
    const elapsed = after.atSeconds - before.atSeconds;
    const cpuShare = (after.cpuSeconds - before.cpuSeconds) / elapsed;
    const runnableShare = cpuShare + (after.waitSeconds - before.waitSeconds) / elapsed;
    // On a machine with other work it waits for a core in part of its run phase: that much less CPU is not our doing.
    expect(runnableShare).toBeGreaterThan(0.03);
    expect(cpuShare).toBeLessThan(0.07);

    run.child.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(isAlive(command)).toBe(false);
    await until(() => guards.every((guard) => !isAlive(guard)), { deadlineMs: 2_000, what: 'the end of the guard' });
    expect(run.output.stderr).toMatch(/got [\d.]+ % of a core of 4\.8 % asked/);
  });

  test('ends what the command started too, where that ignores SIGINT as background jobs do', async () => {
    const run = await start(['run', '-q', '--', 'sh', '-c', `(trap '' INT; ${SPIN}) & (trap '' INT; ${SPIN}) & wait`]);
    const spinners = await until(
      () => {
        const found = descendantsOf(run.pid).filter((stat) => stat.name === 'sh');
        return found.length === 3 ? found : undefined;
      },
      { deadlineMs: 10_000, what: 'a shell with two children' },
    );
    for (const { pid } of spinners!) register(pid);
    run.child.kill('SIGINT');
    await run.ended;
    expect(spinners!.filter(isAlive)).toEqual([]);
  });

  test("passes the command's exit code on, and says 127 for one that is not there", async () => {
    expect((await runToEnd(['run', '-q', '--', 'sh', '-c', 'exit 7'])).code).toBe(7);
    expect((await runToEnd(['run', '-q', '--', 'no-such-program-here'])).code).toBe(127);
  });

  test('hobbles a process by its bare pid, lets it go at its end, and says what it got', async () => {
    const spinner = await spawnSpinner();
    const { code, stdout } = await runToEnd(['run', '--for', '2s', '--json', String(spinner.pid)]);
    expect(code).toBe(0);
    const { rows } = JSON.parse(stdout);
    expect(rows[0]).toMatchObject({ target: `pid:${spinner.pid}@${spinner.startTicks}`, status: 'hobbling' });
    expect(rows[0].stops).toBeGreaterThan(3);
    expect(readState(spinner.pid)).toBe('R');
  });

  test('twice on one host: the second says who has the lock, and does not run its command', async () => {
    const first = await start(['run', '-q', '--', 'sh', '-c', SPIN]);
    await commandOf(first);
    const second = await runToEnd(['run', '--', 'touch', join(stateDir, 'ran')]);
    expect(second.code).toBe(3);
    expect(second.stderr).toMatch(new RegExp(`another hobbler runs on this host \\(pid ${first.pid}\\)`));
    expect(readdirSync(stateDir)).not.toContain('ran');
    first.child.kill('SIGTERM');
    await first.ended;
  });

  test('never its own ancestors, nor pid 1', async () => {
    for (const pid of [process.pid, 1]) {
      const { code, stderr } = await runToEnd(['run', String(pid)]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/never stopped|ancestor|belongs to/);
    }
  });
});

describe('release-all', () => {
  test('lets everything go after kill -9 of hobbler and of its guard', async () => {
    const spinner = await spawnSpinner();
    const run = await start(['run', '-q', '--stop-ms', '5000', String(spinner.pid)]);
    await until(() => readState(spinner.pid) === 'T', { deadlineMs: 10_000, what: 'the first stop' });
    const [guard] = guardsOf(run);
    const guardChild = { pid: guard!.pid, startTicks: readStartTicks(guard!.pid)! };
    process.kill(guardChild.pid, 'SIGKILL');
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    await until(() => !isAlive(guardChild), { deadlineMs: 1_000, what: 'the end of the guard' });
    // Killed in a run phase, there is nothing to release; else it is still stopped, since nobody is there to do it.
    const { code, stdout } = await runToEnd(['release-all']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^released 1 process or cgroup /);
    expect(readState(spinner.pid)).toBe('R');
  });

  test('holds a hobbler that still runs, so that what was let go stays so', async () => {
    const spinner = await spawnSpinner();
    const run = await start(['run', '-q', String(spinner.pid)]);
    await until(() => readState(spinner.pid) === 'T', { deadlineMs: 10_000, what: 'the first stop' });
    const { code, stdout } = await runToEnd(['release-all']);
    expect(code).toBe(0);
    expect(stdout).toContain('hobbler unhold --local');
    expect(readdirSync(stateDir)).toContain('hold');
    run.child.kill('SIGTERM');
    await run.ended;
    expect((await runToEnd(['unhold', '--local', '--reason', 'done'])).stdout).toContain('lifted');
    expect(readdirSync(stateDir)).not.toContain('hold');
  });
});

test('up, then orders from another shell: tarpit says what came of it, untarpit lets go', async () => {
  const spinner = await spawnSpinner({ uid: 4242, gid: 4242 });
  await writeFile(join(stateDir, 'config.yaml'), 'producer: { http: { port: 0 } }\nadmin: { http: { port: 0 } }\n');
  const config = { HOBBLER_CONFIG: join(stateDir, 'config.yaml'), HOBBLER_HOST: 'web-1' };
  const up = await start(['up'], { ...config, HOBBLER_REDIS_URL: '', REDIS_URL: '' });
  const url = await until(() => /HOBBLER_REDIS_URL='(.*)'/.exec(up.output.stdout)?.[1], {
    deadlineMs: 15_000,
    what: () => `the greeting; ${up.output.stderr}`,
  });
  const shell = { ...config, HOBBLER_REDIS_URL: url! };
  const given = await runToEnd(['tarpit', String(spinner.pid), '--reason', 'test', '--json'], shell);
  expect(JSON.parse(given.stdout).outcomes).toMatchObject([{ host: 'web-1', status: 'applied' }]);
  await until(() => readState(spinner.pid) === 'T', { deadlineMs: 2_000, what: 'the first stop' });
  expect((await runToEnd(['status'], shell)).stdout).toMatch(/web-1 +pid:\d+@\d+ +hobbling +signal +1/);
  expect((await runToEnd(['status', '--local'], shell)).code).toBe(0);

  const denied = await runToEnd(['tarpit', 'uid:0', '--reason', 'test'], shell);
  expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining('web-1: denied, uid 0 is below minUid')]);
  const asleep = await runToEnd(['tarpit', 'uid:4242', '--host', 'web-9', '--reason', 'test'], shell);
  expect([asleep.code, asleep.stderr]).toEqual([3, expect.stringContaining('web-9: pending')]);

  expect((await runToEnd(['release-all', '--fleet'], shell)).stdout).toMatch(/took back [23] orders/);
  expect(readState(spinner.pid)).toBe('R');
  expect((await runToEnd(['unhold', '--reason', 'test'], shell)).stdout).toContain('lifted');
  up.child.kill('SIGTERM');
  expect(await up.ended).toBe(0);
});

describe('hostile and mistaken arguments', () => {
  test.each<[string[], RegExp]>([
    [['run'], /nothing to hobble/],
    [['run', '--'], /nothing to hobble/],
    [['run', '1', '--', 'true'], /targets and a command/],
    [['run', 'user:'], /not a user name/],
    [['run', '--run-ms', '-5', '--', 'true'], /--run-ms/],
    [['run', '--run-ms', '0', '--', 'true'], /runMs/],
    [['run', '--stop-ms', '99999999999999999999', '--', 'true'], /--stop-ms/],
    [['run', '--mechanism', 'magic', '--', 'true'], /--mechanism/],
    [['run', '--state-dir', 'relative', '--', 'true'], /--state-dir/],
    [['tarpit', 'user:a'], /--reason/],
    [['tarpit', 'user:a', '--reason', 'x', '--for', '25h'], /at most 24h/],
    [['tarpit', 'user:a', '--reason', 'x', '--host', 'a{b}'], /not a host name/],
    [['tarpit', 'user:a', '--reason', 'x', '--host', 'a', '--fleet'], /not both/],
    [['tarpit', 'cgroup:/../../etc', '--reason', 'x'], /not a cgroup path/],
    [['tarpit', '4242', '--host', 'elsewhere', '--reason', 'x'], /pid:4242@START/],
    [['hold', '--reason', 'a\nb'], /--reason/],
    [['no-such-command'], /unknown command/],
    [['--no-such-option'], /unknown option/],
    [['worker', '--config', '/no/such/file'], /cannot read it/],
    [['worker', '--host', 'UPPER_case'], /not a host name/],
    [['keys', '--role', 'king'], /--role/],
    [['admin', '--listen', 'nowhere'], /HOST:PORT/],
  ])('%j: exit code 2 and one line that says why', async (args, why) => {
    const { code, stdout, stderr } = await runToEnd(args);
    expect(stderr).toMatch(why);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
  });

  test('a Redis that does not answer is exit code 3, and the password in its URL is not repeated', async () => {
    const { code, stderr } = await runToEnd(['status'], { HOBBLER_REDIS_URL: 'redis://me:geheim@127.0.0.1:1' });
    expect(code).toBe(3);
    expect(stderr).toMatch(/start it, or set/);
    expect(stderr).not.toContain('geheim');
  });

  test('without a worker `status --local` is exit code 1', async () => {
    expect((await runToEnd(['status', '--local'])).code).toBe(1);
  });
});

test('doctor tries it for real, says what to do about Redis, and prints JSON alone with --json', async () => {
  const { code, stdout } = await runToEnd(['doctor', '--json']);
  const { ok, findings } = JSON.parse(stdout) as {
    ok: boolean;
    findings: { name: string; status: string; hint?: string }[];
  };
  expect([code, ok]).toEqual([1, false]);
  expect(findings.find(({ name }) => name === 'redis')).toMatchObject({ status: 'fail', hint: expect.any(String) });
  expect(findings.find(({ name }) => name === 'signals to others')?.status).not.toBe('fail');
  expect(findings.find(({ name }) => name === 'identity')).toMatchObject({ status: 'ok' });
  for (const finding of findings) if (finding.status !== 'ok') expect(finding.hint).toBeTruthy();
});

/**
 * Under systemd, played by the test: what a service says on the notify socket, when it goes silent, and that what the
 * units say to do then lets everything run. The last case of invariant 1: worker and guard both hung.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type NotifySocket, openNotifySocket } from '../support/notify-socket.ts';
import { openOutside } from '../support/outside.ts';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startService } from '../support/service.ts';
import { commandOf, readUnit, spanMs } from '../support/units.ts';
import { removeStateDirs, startWorker } from '../support/worker.ts';

let redis: TestRedis;
let socket: NotifySocket;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});
beforeEach(async () => {
  await redis.flush();
  socket = await openNotifySocket();
});
afterEach(async () => {
  await socket.stop();
  await expectNothingLeft();
});

/** An interval that is short enough for a test to wait for the beats that do not come. */
const WATCHDOG_USEC = 1_500_000;
const underSystemd = () => ({ NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: String(WATCHDOG_USEC) });
const beats = (more: number) => {
  const before = socket.count('WATCHDOG=1');
  return until(() => socket.count('WATCHDOG=1') >= before + more, {
    deadlineMs: 8_000,
    what: () => `${more} beats; got ${JSON.stringify(socket.messages)}`,
  });
};
/** No beat for two whole intervals; one that was on its way may still come at the start. */
async function noBeats(): Promise<void> {
  let last = performance.now();
  let count = socket.count('WATCHDOG=1');
  await until(
    () => {
      const now = socket.count('WATCHDOG=1');
      if (now !== count) [count, last] = [now, performance.now()];
      return performance.now() - last > (2 * WATCHDOG_USEC) / 1_000;
    },
    { deadlineMs: 12_000, what: 'the beats to end' },
  );
}

test('a worker says READY once it is, beats while it turns and its guard listens, and says STOPPING', async () => {
  const worker = await startWorker({ redis, env: underSystemd() });
  await until(() => socket.count('READY=1') === 1, { deadlineMs: 2_000, what: 'READY' });
  await beats(2);
  // From its own process: what a child sends, systemd may take for somebody else's.
  expect(new Set(socket.messages.map(({ pid }) => pid))).toEqual(new Set([worker.pid]));
  expect(socket.messages.at(-1)!.text).toContain('STATUS=web-1 carries out orders: 0 targets, 0 processes');

  signalExactly(worker, 'SIGSTOP');
  await noBeats();
  signalExactly(worker, 'SIGCONT');
  await beats(2);

  const guard = worker.guard();
  signalExactly(guard, 'SIGSTOP');
  await noBeats();
  expect(socket.messages.at(-1)!.text).toBe('STATUS=no beat for the watchdog: no guard listens');
  signalExactly(guard, 'SIGCONT');
  await beats(2);

  expect(await worker.stop()).toBe(0);
  await until(() => socket.messages.at(-1)!.text.startsWith('STOPPING=1'), { deadlineMs: 2_000, what: 'STOPPING' });
  expect(socket.count('READY=1')).toBe(1);
});

test('a worker that waits for Redis is not ready, and says what it waits for', async () => {
  const worker = await startWorker({ redis: { url: 'redis://127.0.0.1:1' }, isUnready: true, env: underSystemd() });
  await until(() => socket.messages.some(({ text }) => text.startsWith('STATUS=waits: redis://127.0.0.1:1: ')), {
    deadlineMs: 15_000,
    what: () => `what it waits for; got ${JSON.stringify(socket.messages)}`,
  });
  await worker.stop();
  expect(socket.count('READY=1')).toBe(0);
  expect(socket.count('WATCHDOG=1')).toBe(0);
});

test('producer and admin say the same, to a socket without a file too', async () => {
  const abstract = await openNotifySocket('abstract');
  const env = { ...underSystemd(), NOTIFY_SOCKET: abstract.path };
  const services = await Promise.all([
    startService('producer', redis, { ...env, HOBBLER_PRODUCER_TOKEN: 'a token of a test'.replaceAll(' ', '-') }),
    startService('admin', redis, { ...env, HOBBLER_ADMIN_USER: 'ann', HOBBLER_ADMIN_PASSWORD: 'a password' }),
  ]);
  const saidBy = (pid: number, assignment: string) =>
    abstract.messages.some((message) => message.pid === pid && message.text.split('\n').includes(assignment));
  const allSay = (assignment: string) =>
    until(() => services.every(({ pid }) => saidBy(pid, assignment)), { deadlineMs: 8_000, what: assignment });
  await allSay('READY=1');
  await allSay('WATCHDOG=1');
  for (const service of services) expect(await service.stop()).toBe(0);
  await allSay('STOPPING=1');
  await abstract.stop();
});

test('where koffi cannot be loaded, systemd-notify speaks', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hobbler-notify-'));
  // The program's part that matters here: it sends its arguments.
  const program = `#!/usr/bin/env python3
import os, socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("\\n".join(sys.argv[1:]).encode(), os.environ["NOTIFY_SOCKET"])
`;
  writeFileSync(join(directory, 'systemd-notify'), program, { mode: 0o755 });
  const withoutKoffi = `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module';
    registerHooks({ resolve: (specifier, context, next) => {
      if (specifier === 'koffi') throw new Error("Cannot find module 'koffi'");
      return next(specifier, context);
    } });`)}`;
  const worker = await startWorker({
    redis,
    env: {
      ...underSystemd(),
      PATH: `${directory}${delimiter}${process.env.PATH}`,
      NODE_OPTIONS: `--import=${withoutKoffi}`,
    },
  });
  await beats(2);
  expect(worker.log()).toContain('systemd is told by systemd-notify');
  expect(socket.count('READY=1')).toBe(1);
  expect(socket.messages.some(({ pid }) => pid === worker.pid)).toBe(false);
  await worker.stop();
  rmSync(directory, { recursive: true, force: true });
});

test('worker and guard both hung: the watchdog sees it, and what the units say lets everything run', async () => {
  const worker = readUnit('hobbler-worker.service');
  const guard = readUnit('hobbler-guard.service');
  const stateDir = mkdtempSync(join(tmpdir(), 'hobbler-systemd-'));
  const configPath = join(stateDir, 'hobbler.yaml');
  writeFileSync(configPath, JSON.stringify({ worker: { minUid: 0, host: 'web-1' } }));
  const watchdogMs = spanMs(worker.one('Service.WatchdogSec'));
  const env = {
    ...process.env,
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: String(watchdogMs * 1_000),
    HOBBLER_REDIS_URL: redis.url,
    HOBBLER_CONFIG: configPath,
  };
  const run = (unit: typeof worker, key: string): Promise<TestProcess> => {
    const { program, args } = commandOf(unit, key, stateDir);
    return startProcess(program, args, { env, mustEnd: true, detached: true });
  };
  const ended = ({ child }: TestProcess) =>
    until(() => child.exitCode !== null || child.signalCode !== null, { deadlineMs: 5_000, what: 'its end' });
  const startBoth = async () => {
    const ready = socket.count('READY=1');
    const processes = [await run(guard, 'Service.ExecStart'), await run(worker, 'Service.ExecStart')] as const;
    await until(() => socket.count('READY=1') > ready, { deadlineMs: 20_000, what: 'READY' });
    return processes;
  };
  const [guardProcess, workerProcess] = await startBoth();
  const outside = openOutside(redis);
  const spinners = await Promise.all([spawnSpinner(), spawnSpinner()]);
  // Stop phases longer than all of this takes: who runs at the end, was let go.
  for (const spinner of spinners)
    await outside.order('tarpit', spinner, { hobble: { runMs: 10, stopMs: 10_000, every: true, mechanism: 'signal' } });
  const allStopped = () =>
    until(() => spinners.every(({ pid }) => readState(pid) === 'T'), { deadlineMs: 15_000, what: 'all to be stopped' });
  await allStopped();
  signalExactly(guardProcess, 'SIGSTOP');
  signalExactly(workerProcess, 'SIGSTOP');

  // systemd's part: no beat for WatchdogSec=, so WatchdogSignal=, then ExecStopPost=.
  let heard = socket.messages.length;
  let heardAtMs = performance.now();
  await until(
    () => {
      if (socket.messages.length !== heard) [heard, heardAtMs] = [socket.messages.length, performance.now()];
      return performance.now() - heardAtMs > watchdogMs;
    },
    { deadlineMs: 3 * watchdogMs, what: 'the watchdog to miss its beats' },
  );
  expect(spinners.map(({ pid }) => readState(pid))).toEqual(['T', 'T']);
  signalExactly(workerProcess, worker.one('Service.WatchdogSignal') as NodeJS.Signals);
  await ended(workerProcess);
  const release = await run(worker, 'Service.ExecStopPost');
  await ended(release);
  expect(release.child.exitCode).toBe(0);
  for (const { pid } of spinners) expect(readState(pid)).not.toBe('T');

  // BindsTo=: the guard is ended too, with a SIGCONT after the SIGTERM, and is there again before the next worker.
  signalExactly(guardProcess, 'SIGTERM');
  signalExactly(guardProcess, 'SIGCONT');
  await ended(guardProcess);
  const [nextGuard, nextWorker] = await startBoth();
  await allStopped();
  signalExactly(nextWorker, 'SIGTERM');
  await ended(nextWorker);
  for (const { pid } of spinners) expect(readState(pid)).not.toBe('T');
  signalExactly(nextGuard, 'SIGTERM');
  await ended(nextGuard);
  await outside.close();
  rmSync(stateDir, { recursive: true, force: true });
});

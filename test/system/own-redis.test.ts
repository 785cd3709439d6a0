/** Invariant 5: the Redis that orders come from is never stopped, though it belongs to a user who is in the tarpit. */
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Outside, openOutside } from '../support/outside.ts';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSpinner,
  startProcess,
  until,
} from '../support/processes.ts';
import { connectTest, freePort } from '../support/redis.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const UID = 41_001;
let dir: string;
let worker: TestWorker;
let outside: Outside;
afterEach(async () => {
  await outside.close();
  await worker.stop();
  await expectNothingLeft();
  removeStateDirs();
  rmSync(dir, { recursive: true });
});

test.each(['a unix socket', 'TCP'])('over %s', { timeout: 60_000 }, async (road) => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-own-'));
  chownSync(dir, UID, UID);
  chmodSync(dir, 0o755);
  const socket = join(dir, 'redis.sock');
  const port = await freePort();
  const start = async () => {
    const started = await startProcess(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socket, '--dir', dir, '--save', ''],
      { uid: UID, gid: UID, cwd: dir, stdio: 'ignore' },
    );
    const probe = connectTest({ url: `unix://${socket}` });
    const answers = () =>
      probe.ping().then(
        () => true,
        () => false,
      );
    await until(answers, { deadlineMs: 15_000, what: 'Redis' });
    probe.disconnect();
    return started;
  };
  const first = await start();
  worker = await startWorker({
    redis: { url: road === 'TCP' ? `redis://127.0.0.1:${port}` : `unix://${socket}` },
    config: { minUid: 40_000 },
  });
  outside = openOutside({ url: `unix://${socket}` });
  const spinner = await spawnSpinner({ uid: UID, gid: UID, cwd: '/' });
  const order = () =>
    outside.order('tarpit', `uid:${UID}`, { hobble: { runMs: 10, stopMs: 500, every: true, mechanism: 'signal' } });
  expect(await order()).toMatchObject({ status: 'applied', processes: 1 });
  const spared = async (pid: number) => {
    for (let cycle = 0; cycle < 3; cycle++) {
      await until(() => readState(spinner.pid) === 'T', { deadlineMs: 20_000, what: 'a stop of the spinner' });
      expect(readState(pid)).not.toBe('T');
      await until(() => readState(spinner.pid) !== 'T', { deadlineMs: 5_000, what: 'a run of the spinner' });
    }
  };
  await spared(first.pid);
  // Another process after a restart: found with the next connection.
  signalExactly(first, 'SIGKILL');
  await until(() => readState(first.pid) === undefined || readState(first.pid) === 'Z', {
    deadlineMs: 5_000,
    what: 'its end',
  });
  const second = await start();
  await until(() => worker.log().includes(`"redisPid":${second.pid}`), {
    deadlineMs: 20_000,
    what: () => `the worker to find ${second.pid}; it said ${worker.log().slice(-800)}`,
  });
  await order();
  await spared(second.pid);
});

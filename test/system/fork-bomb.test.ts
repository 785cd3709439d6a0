/**
 * A capped bomb of forks against a real worker: 500 processes of one user, each of which forks and ends as fast as it
 * can, so that whoever is being stopped has children already. It gets little more than its share of the machine, and
 * another loop keeps its own.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { MechanismName } from '../../shared/order.ts';
import { createCgroup, removeTestCgroups, type TestCgroup } from '../support/cgroups.ts';
import { type Outside, openOutside } from '../support/outside.ts';
import { cpuSeconds, expectNothingLeft, spawnSpinner, startProcess, until } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const MALLORY = 20_077;
const BOB = 20_078;
const CYCLE = { runMs: 10, stopMs: 200 };
const BOBS_CYCLE = { runMs: 100, stopMs: 100 };
/** 490 chains of processes that fork and end; the first process reaps what they leave. Ends with the file, or after 60 s. */
const BOMB = `
$SIG{CHLD} = 'IGNORE'; syscall(157, 36, 1, 0, 0, 0);
my $end = time() + 60;
sub born { my $pid; until (defined($pid = fork())) { exit if -e $ARGV[0] } $pid }
for my $chain (1 .. 490) {
  next if born();
  while (time() < $end && ! -e $ARGV[0]) { exit if born(); }
  exit;
}
sleep 1 while time() < $end && ! -e $ARGV[0];`;

let redis: TestRedis;
let worker: TestWorker;
let outside: Outside;
let cgroup: TestCgroup;
let dir: string;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});
beforeEach(async () => {
  await redis.flush();
  worker = await startWorker({ redis, config: { minUid: 1_000 } });
  outside = openOutside(redis);
  cgroup = createCgroup('v2');
  dir = mkdtempSync(join(tmpdir(), 'hobbler-bomb-'));
  chmodSync(dir, 0o755);
});
afterEach(async () => {
  writeFileSync(join(dir, 'end'), '');
  await outside.close();
  expect(await worker.stop()).toBe(0);
  await until(() => cgroup.read('cgroup.procs') === '', { deadlineMs: 20_000, what: 'the bomb to end' });
  await expectNothingLeft();
  removeTestCgroups();
  rmSync(dir, { recursive: true });
});

const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** CPU seconds of everything that is or was in the cgroup. */
const bombSeconds = () => Number(/^usage_usec (\d+)$/m.exec(cgroup.read('cpu.stat'))![1]) / 1e6;

async function shareOver(seconds: () => number, ms: number): Promise<number> {
  const [before, from] = [seconds(), performance.now()];
  await pass(ms);
  return (seconds() - before) / ((performance.now() - from) / 1_000);
}

test.each<MechanismName>(['signal', 'freezer'])(
  'by %s it gets at most 1.5 times its share, and another loop its own',
  { timeout: 120_000 },
  async (mechanism) => {
    // Its group is entered by the bomb itself, so that all of it is counted.
    const script = `echo $$ > "$0/cgroup.procs" && exec setpriv --reuid ${MALLORY} --regid ${MALLORY} --clear-groups \
setsid bash -c 'ulimit -u 500; exec perl -e "$0" "$1"' "$1" "$2"`;
    await startProcess('sh', ['-c', script, cgroup.directory, BOMB, join(dir, 'end')], { cwd: '/' });
    const live = () => cgroup.read('cgroup.procs').split('\n').length;
    await until(() => live() > 400, { deadlineMs: 20_000, what: () => `400 processes; ${live()} live` });
    const bob = await spawnSpinner({ uid: BOB, gid: BOB, cwd: '/' });
    await outside.order('tarpit', `uid:${BOB}`, { hobble: { ...BOBS_CYCLE, mechanism: 'signal' } });
    await outside.order('tarpit', `uid:${MALLORY}`, { hobble: { ...CYCLE, mechanism } });
    await pass(16_000); // each of its chains is met at least once, and the period is what the budget wants
    const bobs = shareOver(() => cpuSeconds(bob.pid), 6_000);
    const share = await shareOver(bombSeconds, 6_000);
    const asked = (CYCLE.runMs / (CYCLE.runMs + CYCLE.stopMs)) * availableParallelism();
    expect(share).toBeLessThan(asked * 1.5);
    expect(await bobs).toBeGreaterThan(0.25);
    expect(live()).toBeGreaterThan(100); // it was not ended, and did not end
  },
);

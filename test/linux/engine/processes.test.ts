/** Trees, forks, deaths and owners on real processes. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHost, type TestHost } from '../../support/host.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  flatten,
  readState,
  signalExactly,
  spawnSpinner,
  spawnTree,
  startProcess,
  treeShape,
  until,
} from '../../support/processes.ts';

let host: TestHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  host.stop();
  await expectNothingLeft();
});

const stoppedAtOnce = (pids: number[]) =>
  until(() => pids.every((pid) => readState(pid) === 'T'), {
    deadlineMs: 3_000,
    what: `all of ${pids} to be stopped at once`,
  });
const runningAtOnce = (pids: number[]) =>
  until(() => pids.every((pid) => readState(pid) !== 'T'), {
    deadlineMs: 3_000,
    what: `all of ${pids} to run at once`,
  });

test('all members of a tree are in the same phase', async () => {
  const tree = await spawnTree(treeShape(3, 2));
  host.tarpit(tree);
  const pids = flatten(tree).map(({ pid }) => pid);
  await stoppedAtOnce(pids);
  await runningAtOnce(pids);
  await stoppedAtOnce(pids);
});

test('the order is parents before children, and back: a parent that waits for stops sees none', {
  timeout: 30_000,
}, async () => {
  // The parent asks the kernel for every stop of its child (WUNTRACED) and prints each; the child has a process group of
  // its own, as the jobs of a shell have.
  const parent = await startProcess(
    'python3',
    [
      '-uc',
      'import os,time\npid=os.fork()\nif pid==0:\n os.setpgid(0,0)\n while 1: time.sleep(.001)\nwhile 1:\n _,s=os.waitpid(-1,os.WUNTRACED|os.WCONTINUED)\n print("stopped" if os.WIFSTOPPED(s) else "other", flush=True)',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let seen = '';
  parent.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  const child = await until(() => descendantsOf(parent.pid).find(({ pid, processGroup }) => processGroup === pid), {
    deadlineMs: 5_000,
    what: 'the child',
  });
  host.tarpit(parent);
  await until(() => host.loop(parent)!.stops > 60, { deadlineMs: 20_000, what: '60 stops' });
  expect(seen).not.toContain('stopped');
  // And the test can fail: a stop of the child alone is seen.
  host.host.engine.untarpit(host.loop(parent)!.key);
  signalExactly(child!, 'SIGSTOP');
  await until(() => seen.includes('stopped'), { deadlineMs: 2_000, what: 'the parent to see a stop' });
  signalExactly(child!, 'SIGCONT');
});

test('a child forked in a run phase is caught', async () => {
  const parent = await startProcess('sh', ['-c', 'while :; do sleep 0.4; sleep 613 & done']);
  host.tarpit(parent, { runMs: 100, stopMs: 100 });
  const sleeper = await until(
    () =>
      descendantsOf(parent.pid).find(
        (stat) => stat.name === 'sleep' && readFileSync(`/proc/${stat.pid}/cmdline`, 'latin1').includes('613'),
      ),
    { deadlineMs: 8_000, what: 'a fork' },
  );
  await stoppedAtOnce([sleeper!.pid]);
});

test('a descendant once seen stays, also after its parent has ended', async () => {
  const root = await startProcess('sh', ['-c', 'sh -c "sleep 614 & sleep 1" ; sleep 615']);
  host.tarpit(root, { runMs: 100, stopMs: 100 });
  const orphan = await until(
    () =>
      descendantsOf(root.pid).find(
        (stat) => stat.name === 'sleep' && readFileSync(`/proc/${stat.pid}/cmdline`, 'latin1').includes('614'),
      ),
    { deadlineMs: 5_000, what: 'the grandchild' },
  );
  await until(() => !descendantsOf(root.pid).some((stat) => stat.pid === orphan!.pid), {
    deadlineMs: 10_000,
    what: 'it to be re-parented',
  });
  await stoppedAtOnce([orphan!.pid]);
});

test('the dead leave, and a pid target with nobody left is gone', async () => {
  const tree = await spawnTree({ work: 'sleep', children: [{ work: 'sleep' }] });
  host.tarpit(tree);
  await until(() => host.loop(tree)!.processes === 2, { deadlineMs: 3_000, what: 'two members' });
  signalExactly(tree.children[0]!, 'SIGKILL');
  signalExactly(tree, 'SIGKILL');
  await until(() => host.ended.length === 1, { deadlineMs: 5_000, what: 'the target to end as gone' });
  expect(host.host.engine.loops.size).toBe(0);
});

test('a pid with another start time is gone, and nobody is signalled', async () => {
  const spinner = await spawnSpinner();
  const outcome = host.tarpit({ pid: spinner.pid, startTicks: spinner.startTicks + 1 });
  expect(outcome.status).toBe('gone');
  expect(host.host.engine.processes).toBe(0);
});

test('a third party’s SIGCONT lasts until the next stop phase', async () => {
  const spinner = await spawnSpinner();
  host.tarpit(spinner);
  const before = cpuSeconds(spinner.pid);
  const until_ = Date.now() + 3_000;
  while (Date.now() < until_) {
    signalExactly(spinner, 'SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // Woken for half of each stop phase at the worst, never for good.
  expect(cpuSeconds(spinner.pid)! - before!).toBeLessThan(2.4);
  expect(host.loop(spinner)!.stops).toBeGreaterThan(10);
});

test('a process has one owner: the loop with the lowest run share, and untarpit says what still holds it', async () => {
  const tree = await spawnTree({ work: 'sleep', children: [{ work: 'sleep' }] });
  const child = tree.children[0]!;
  host.tarpit(tree, { runMs: 10, stopMs: 200 });
  host.tarpit(child, { runMs: 100, stopMs: 100 });
  expect(host.loop(tree)!.processes).toBe(2);
  expect(host.loop(child)!.processes).toBe(0);
  expect(host.loop(child)!.ownedElsewhere).toBe(1);
  expect(host.host.engine.untarpit(host.loop(child)!.key).heldBy).toBe(`pid:${tree.pid}@${tree.startTicks}`);
});

test('a changed duty cycle takes effect on the running loop', async () => {
  const spinner = await spawnSpinner();
  host.tarpit(spinner, { runMs: 10, stopMs: 200 });
  host.tarpit(spinner, { runMs: 100, stopMs: 100 });
  expect(host.host.engine.loops.size).toBe(1);
  await until(() => (host.loop(spinner)!.gotRatio ?? 0) > 0.15, {
    deadlineMs: 15_000,
    what: 'three times the old share, on a machine that may be busy',
  });
});

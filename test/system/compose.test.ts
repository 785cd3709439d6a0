/**
 * docker-compose.yml on a real engine: what its five containers do to real processes of the host, and what becomes of
 * those when a container is killed (invariants 1, 3, 7). The processes have a uid above the default floor.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { prepareStack, SERVICES, type Stack } from '../support/compose.ts';
import { describeWithEngine, type Engine, run, startEngine } from '../support/docker.ts';
import { readAll } from '../support/proc.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  flatten,
  isAlive,
  readStartTicks,
  readState,
  signalExactly,
  spawnSpinner,
  spawnTree,
  type TestProcess,
  treeShape,
  until,
} from '../support/processes.ts';

/** Nobody's on any machine, and above worker.minUid. */
const STRANGER = { uid: 54_321, gid: 54_321 };
/** Stop phases so long that a look at any moment but a few finds everything stopped, those included that only sleep. */
const LONG_STOP = { runMs: 10, stopMs: 3_000, every: true };
/** Engine, images, build: 20 s where nothing else runs. */
const PREPARE_LIMIT_MS = 150_000;

describeWithEngine('with docker-compose', () => {
  let engine: Engine;
  let stack: Stack;
  let before: Set<string>;
  /** What this test put in the tarpit for longer than it lasts. */
  const tarpitted: TestProcess[] = [];

  beforeAll(async () => {
    before = new Set(await traces());
    engine = await startEngine();
    stack = await prepareStack();
    await stack.up();
  }, PREPARE_LIMIT_MS);
  beforeEach(({ onTestFailed }) =>
    onTestFailed(async () => console.warn(await stack.logs().catch(() => 'no logs: it is down'))),
  );
  afterEach(async () => {
    try {
      for (const one of tarpitted.splice(0)) await letGo(one);
    } finally {
      await expectNothingLeft();
    }
  });
  afterAll(async () => {
    await stack?.remove();
    await engine?.stop();
  });

  const targetOf = ({ pid, startTicks }: { pid: number; startTicks: number }) => `pid:${pid}@${startTicks}`;
  const order = async (action: 'tarpit' | 'untarpit', of: TestProcess, more: object = {}) => {
    const body = { action, host: stack.host, target: targetOf(of), reason: 'a test', by: 'compose-test', ...more };
    const { status, answer } = await stack.post('/v1/orders', body);
    expect(status, JSON.stringify(answer)).toBe(202);
    return answer as { order: Record<string, unknown> };
  };
  const tarpitLong = async (...processes: TestProcess[]) => {
    for (const one of processes) await order('tarpit', one, { hobble: LONG_STOP });
    tarpitted.push(...processes);
  };
  const letGo = async (root: TestProcess) => {
    await order('untarpit', root);
    await until(() => [root, ...descendantsOf(root.pid)].every(runs), { deadlineMs: 5_000, what: 'all to run' });
  };
  const read = async (used: number, of: TestProcess) => {
    const reading = { account: 'alice', used, limit: 2_000, unit: 'cpu s', host: stack.host, target: targetOf(of) };
    expect(await stack.post('/v1/readings', reading)).toMatchObject({ status: 200, answer: { accepted: 1 } });
  };

  it('every service gets healthy without having been restarted', async () => {
    for (const service of SERVICES) {
      expect(await stack.healthOf(service), service).toBe('healthy');
      expect(await stack.restartsOf(service), service).toBe(0);
    }
    const page = await fetch(`${stack.adminUrl}/`, { redirect: 'follow' });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('password');
  });

  it('the worker finds what it needs of the host, and knows its users', async () => {
    const { findings } = JSON.parse(await stack.exec('worker', ['hobbler', 'doctor', '--json']));
    expect(findings.filter(({ status }: { status: string }) => status === 'fail')).toEqual([]);
    const names = (passwd: string) => passwd.match(/^[^:\n]+/gm)?.sort();
    expect(names(await stack.exec('worker', ['getent', 'passwd']))).toEqual(names(readFileSync('/etc/passwd', 'utf8')));
  });

  it('a reading by HTTP slows a process of the host, and the next one lets it go', async () => {
    const slow = await spawnSpinner(STRANGER);
    const bystander = await spawnSpinner(STRANGER);
    await read(2_104, slow);
    await allStopped([slow]);
    const [slowShare, otherShare] = await Promise.all([shareOf(slow, 2_000), shareOf(bystander, 2_000)]);
    expect(slowShare).toBeLessThan(otherShare / 5);
    await read(10, slow);
    await until(() => readState(slow.pid) === 'R', { deadlineMs: 2_000, what: 'the process to run' });
    await staysRunning([slow], 600);
  });

  it('an order by HTTP is signed, carried out and taken back; an unsigned one is refused', async () => {
    const spinner = await spawnSpinner(STRANGER);
    const unsigned = { HOBBLER_SIGNING_KEY: '', HOBBLER_SIGNING_KEY_ID: '' };
    const forged = ['hobbler', 'tarpit', targetOf(spinner), '--host', stack.host, '--reason', 'a forgery'];
    await expect(stack.exec('producer', forged, unsigned)).rejects.toThrow('the order is not signed');
    await staysRunning([spinner], 600);
    const given = await order('tarpit', spinner);
    expect(given.order).toMatchObject({ keyId: 'producer-1', signature: expect.any(String) });
    await allStopped([spinner]);
    await order('untarpit', spinner);
    await until(() => readState(spinner.pid) === 'R', { deadlineMs: 2_000, what: 'the process to run' });
    await staysRunning([spinner], 600);
  });

  it('the worker’s container killed with 1,000 processes stopped: all run within 1 s; started again, it goes on', async () => {
    const trees = await Promise.all(Array.from({ length: 4 }, () => spawnTree(treeShape(2, 249), STRANGER)));
    const members = trees.flatMap(flatten);
    expect(members).toHaveLength(1_000);
    await tarpitLong(...trees);
    await allStopped(members);
    const releasedAfterMs = await timeRelease(members, await processOf('worker'), () => stack.kill('worker'));
    expect(releasedAfterMs).toBeLessThan(1_000);
    await staysRunning(members, 1_000);
    await stack.start('worker');
    await allStopped(members);
  });

  it('the worker’s process killed, as out of memory does it: Docker starts it again by itself', async () => {
    const spinner = await spawnSpinner(STRANGER);
    await tarpitLong(spinner);
    await allStopped([spinner]);
    const worker = await processOf('worker');
    const releasedAfterMs = await timeRelease([spinner], worker, async () => {
      signalExactly(worker, 'SIGKILL');
    });
    expect(releasedAfterMs).toBeLessThan(1_000);
    await allStopped([spinner]);
    expect(await stack.restartsOf('worker')).toBe(1);
  });

  it('the guard’s container killed: everything runs and nothing is stopped until it is back', async () => {
    const spinners = await Promise.all([spawnSpinner(STRANGER), spawnSpinner(STRANGER), spawnSpinner(STRANGER)]);
    await tarpitLong(...spinners);
    await allStopped(spinners);
    const releasedAfterMs = await timeRelease(spinners, await processOf('guard'), () => stack.kill('guard'));
    expect(releasedAfterMs).toBeLessThan(1_000);
    await staysRunning(spinners, 2_000);
    expect(await stack.pidOf('worker')).toBeGreaterThan(0);
    await stack.start('guard');
    await allStopped(spinners);
  });

  it('both killed at once: the guard’s start alone lets everything go', async () => {
    const spinners = await Promise.all([spawnSpinner(STRANGER), spawnSpinner(STRANGER), spawnSpinner(STRANGER)]);
    await tarpitLong(...spinners);
    await allStopped(spinners);
    await stack.kill('guard', 'worker');
    await stack.start('guard');
    await until(() => spinners.every(({ pid }) => readState(pid) === 'R'), { deadlineMs: 1_000, what: 'all to run' });
    await stack.start('worker');
    await allStopped(spinners);
  });

  it('down lets everything go, and leaves the machine as it was', async () => {
    const spinners = await Promise.all([spawnSpinner(STRANGER), spawnSpinner(STRANGER)]);
    await tarpitLong(...spinners);
    await allStopped(spinners);
    await stack.down();
    tarpitted.length = 0;
    await staysRunning(spinners, 300);
    const ours = ['--quiet', '--filter', `label=com.docker.compose.project=${stack.project}`];
    for (const kind of [
      ['ps', '--all'],
      ['network', 'ls'],
      ['volume', 'ls'],
    ]) {
      expect(await run('docker', [...kind, ...ours]), kind.join(' ')).toBe('');
    }
    await stack.remove();
    await engine.stop();
    if (engine.isOurs) expect((await traces()).filter((trace) => !before.has(trace))).toEqual([]);
  });

  /** The container's process, as the host sees it. */
  async function processOf(service: 'worker' | 'guard') {
    const pid = await stack.pidOf(service);
    return { pid, startTicks: readStartTicks(pid)! };
  }
});

const allStopped = (processes: readonly { pid: number }[]) =>
  until(() => processes.every(({ pid }) => readState(pid) === 'T'), {
    deadlineMs: 15_000,
    what: () => `${processes.length} processes to be stopped; ${processes.filter(runs).length} are not`,
  });

const runs = ({ pid }: { pid: number }) => readState(pid) !== 'T';

/** Milliseconds from the death of `dying`, which `kill` brings about, until all of `processes` run. */
async function timeRelease(
  processes: readonly { pid: number }[],
  dying: { pid: number; startTicks: number },
  kill: () => Promise<void>,
): Promise<number> {
  const killed = kill();
  await until(() => !isAlive(dying), { deadlineMs: 10_000, what: `the end of process ${dying.pid}` });
  const diedAtMs = performance.now();
  await until(() => processes.every(runs), { deadlineMs: 10_000, what: 'all to run' });
  const tookMs = performance.now() - diedAtMs;
  await killed;
  return tookMs;
}

async function staysRunning(processes: readonly { pid: number }[], forMs: number): Promise<void> {
  const fromMs = performance.now();
  while (performance.now() - fromMs < forMs) {
    expect(processes.filter((one) => !runs(one))).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Share of a core that a process gets over that time. */
async function shareOf({ pid }: { pid: number }, overMs: number): Promise<number> {
  const [fromSeconds, fromMs] = [cpuSeconds(pid), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, overMs));
  return (cpuSeconds(pid) - fromSeconds) / ((performance.now() - fromMs) / 1_000);
}

/** What an engine and its containers might leave: mounts, interfaces, forwarding, firewall rules, cgroups, daemons. */
async function traces(): Promise<string[]> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  const links = readdirSync('/sys/class/net').map((name) => `interface ${name}`);
  const forwarding = readFileSync('/proc/sys/net/ipv4/ip_forward', 'latin1');
  const cgroups = readdirSync('/sys/fs/cgroup', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [name, ...readdirSync(`/sys/fs/cgroup/${name}`).map((below) => `${name}/${below}`)])
    .filter((path) => /(?:^|\/)(?:docker|hobbler-docker|hobbler)$/.test(path));
  const daemons = readAll()
    .filter(({ name, state }) => state !== 'Z' && /^(?:dockerd|docker-proxy|runc|containerd)/.test(name))
    .map(({ name, pid }) => `${name} ${pid}`);
  const rules = (await run('iptables-save', []).catch(() => '')).split('\n').filter((line) => /^(?:-A|:)/.test(line));
  const uncounted = rules.map((rule) => rule.replace(/ \[\d+:\d+\]/, ''));
  return [...mounts, ...links, `forwarding ${forwarding}`, ...uncounted, ...cgroups, ...daemons];
}

/**
 * The CPU of users' slices, on real cgroups of both versions: what /proc does not see is counted too. The slices are the
 * test's own, below a cgroup that stands for user.slice.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import { UserSlices } from '../../../worker/cgroups/user-slices.ts';
import { MeteredCpu } from '../../../worker/metered-cpu.ts';
import { Proc } from '../../../worker/process/proc.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { createCgroup, MOUNTS, removeTestCgroups, type TestCgroup } from '../../support/cgroups.ts';
import { expectNothingLeft, startProcess, until } from '../../support/processes.ts';

const UID = 20_031;
const HIERARCHIES = (['v2', 'cpuacct'] as const).filter((name) => MOUNTS[name] !== undefined);
/** Ten children of children that use 0.05 s each and are reaped by init: gone before anybody looks. Starts at a line. */
const ORPHANS = `
import os, sys, time
sys.stdin.readline()
for _ in range(10):
    if os.fork() == 0:
        if os.fork() > 0: os._exit(0)
        while time.process_time() < 0.05: pass
        os._exit(0)
    os.wait()
time.sleep(600)
`;

it('this machine has cgroups to look at', () => {
  expect(HIERARCHIES.length).toBeGreaterThan(0);
});

describe.each(HIERARCHIES)('%s', (hierarchy) => {
  const proc = new Proc();
  let parent: TestCgroup;
  let slices: UserSlices;
  beforeEach(() => {
    parent = createCgroup(hierarchy);
    slices = new UserSlices(new Cgroups(proc), parent.path.slice(1));
  });
  afterEach(async () => {
    await expectNothingLeft();
    removeTestCgroups();
  });

  it('shows the slices that are there, with everybody in them, and nothing else', async () => {
    expect(slices.look()).toEqual([]);
    const slice = createCgroup(hierarchy, `user-${UID}.slice`, parent);
    const session = createCgroup(hierarchy, 'session-1.scope', slice);
    for (const other of ['user-x.slice', 'user-1.slicex', 'machine.slice']) createCgroup(hierarchy, other, parent);
    const inSession = await startProcess('sleep', ['600'], { uid: UID, gid: UID });
    session.enter(inSession.pid);
    const [found, ...others] = slices.look();
    expect(others).toEqual([]);
    expect(found).toMatchObject({ uid: UID, pids: [inSession.pid] });
    expect(found!.usedUs).toBeGreaterThanOrEqual(0);
  });

  it('count what was gone before anybody could see it in /proc', async () => {
    const slice = createCgroup(hierarchy, `user-${UID}.slice`, parent);
    const program = await startProcess('python3', ['-c', ORPHANS], {
      uid: UID,
      gid: UID,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    slice.enter(program.pid);
    const table = new ProcessTable(proc);
    const [withSlices, byProcAlone] = [new MeteredCpu(1_000), new MeteredCpu(1_000)];
    const look = () => {
      table.sweep();
      const processes = [...table.entries()];
      return {
        all: withSlices.look(processes, slices.look()).get(UID) ?? 0,
        seen: byProcAlone.look(processes, []).get(UID) ?? 0,
      };
    };
    look();
    program.child.stdin!.write('\n');
    // By the cgroup's own counter: the ten have worked.
    const before = slices.look()[0]!.usedUs;
    await until(() => slices.look()[0]!.usedUs - before > 450_000, { deadlineMs: 20_000, what: 'the orphans to work' });
    await until(() => slices.look()[0]!.pids!.length === 1, { deadlineMs: 20_000, what: 'the orphans to end' });
    const { all, seen } = look();
    expect(all).toBeGreaterThan(0.45);
    expect(seen).toBeLessThan(all / 2);
  });
});

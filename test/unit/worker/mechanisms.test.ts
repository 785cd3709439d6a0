/** What is found out about a host, and what is said of it: on machines that have little, or refuse half of it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import type { Journal } from '../../../worker/journal.ts';
import { Mechanisms } from '../../../worker/mechanisms/mechanism.ts';
import { probeMechanisms } from '../../../worker/mechanisms/probe.ts';
import type { SignalParts } from '../../../worker/mechanisms/signal.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let dir: string;
let noted: string[];
const log = {
  willAdopt: (directory: string) => noted.push(`+${directory}`) > 0,
  emptied: (directory: string) => void noted.push(`-${directory}`),
};
beforeEach(() => {
  kernel = new FakeKernel();
  kernel.add({ pid: process.pid, comm: 'hobbler' });
  dir = mkdtempSync(join(tmpdir(), 'hobbler-mounts-'));
  noted = [];
});
afterEach(() => {
  kernel.end();
  rmSync(dir, { recursive: true });
});

function mounts(...lines: string[]): Cgroups {
  mkdirSync(join(kernel.root, 'self'), { recursive: true });
  writeFileSync(join(kernel.root, 'self/mounts'), lines.map((line) => `cgroup ${line} 0 0\n`).join(''));
  return new Cgroups(kernel.proc);
}

describe('the probe', () => {
  it('of a host without cgroups leaves signals', () => {
    const { probes } = probeMechanisms(mounts(), kernel.proc, log);
    expect(probes).toEqual({
      signal: { supported: true, why: 'SIGSTOP and SIGCONT work on every Linux' },
      freezer: { supported: false, why: 'v2: no (no cgroup v2); v1: no (no v1 freezer)' },
      quota: { supported: false, why: 'v2: no (no cgroup v2); v1: no (no v1 cpu)' },
    });
    expect(noted).toEqual([]);
  });

  it('says why what is there cannot be used, and leaves nothing behind', () => {
    // Plain directories: cgroups can be made in them, and have no switch.
    for (const name of ['two', 'freezer']) mkdirSync(join(dir, name));
    const cgroups = mounts(
      `${dir}/two cgroup2 rw`,
      `${dir}/freezer cgroup rw,freezer`,
      `${dir}/gone/for\\040ever cgroup rw,cpu,cpuacct`,
    );
    expect(cgroups.v1('cpuacct')!.mount).toBe(`${dir}/gone/for ever`);
    const { probes, freezers, quotas, adoption } = probeMechanisms(cgroups, kernel.proc, log);
    expect(probes.freezer.why).toMatch(/^v2: no \(.*cgroup\.freeze.*\); v1: no \(.*freezer\.state.*\)$/);
    expect(probes.quota.why).toMatch(
      /^v2: no \(its root hands out no cpu controller\); v1: no \(no quota files in .*\)$/,
    );
    expect([freezers, quotas, adoption]).toEqual([[], [], undefined]);
    expect([...readdirSync(join(dir, 'two')), ...readdirSync(join(dir, 'freezer'))]).toEqual([]);
    expect(noted.filter((line) => line.startsWith('+')).map((line) => line.slice(1))).toEqual(
      noted.filter((line) => line.startsWith('-')).map((line) => line.slice(1)),
    );
  });

  it('makes nothing that cannot be written down', () => {
    mkdirSync(join(dir, 'two'));
    const { probes } = probeMechanisms(mounts(`${dir}/two cgroup2 rw`), kernel.proc, {
      ...log,
      willAdopt: () => false,
    });
    expect(probes.freezer.why).toContain('v2: no (the journal cannot be written)');
  });
});

describe('the mechanisms of a host that has none but signals', () => {
  it('refuse what cannot be had, and take signals for auto, with the reason', () => {
    const cgroups = mounts();
    const table = new ProcessTable(kernel.proc);
    const parts = { cgroups, proc: kernel.proc, table, journal: {} as Journal };
    const mechanisms = new Mechanisms({ ...parts, found: probeMechanisms(cgroups, kernel.proc) });
    expect(mechanisms.whyNot('auto')).toBeUndefined();
    expect(mechanisms.whyNot('signal')).toBeUndefined();
    expect(mechanisms.whyNot('freezer')).toBe('mechanism freezer: v2: no (no cgroup v2); v1: no (no v1 freezer)');
    expect(mechanisms.whyNot('quota')).toContain('mechanism quota: ');
    const groupParts = parts as unknown as SignalParts;
    expect(mechanisms.createGroup('auto', groupParts, () => 0.05).inForce).toEqual({
      mechanism: 'signal',
      why: 'auto: signals, since this host cannot freeze (v2: no (no cgroup v2); v1: no (no v1 freezer))',
    });
    expect(mechanisms.createGroup('signal', groupParts, () => 0.05).inForce).toEqual({
      mechanism: 'signal',
      why: 'as asked',
    });
  });
});

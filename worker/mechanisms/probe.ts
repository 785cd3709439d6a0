/**
 * What each mechanism can do on this host, tried for real: a cgroup of our own is made in each hierarchy, its switch is
 * turned on and off, its quota set, and it is removed again, also when something fails on the way. Nobody is moved.
 */
import { join } from 'node:path';
import { messageOf } from '../../shared/errors.ts';
import type { MechanismName } from '../../shared/order.ts';
import type { MechanismProbe } from '../../shared/report.ts';
import { CpuQuota } from '../cgroups/cpu-quota.ts';
import { counts } from '../cgroups/cpu-usage.ts';
import { FreezerSwitch } from '../cgroups/freezer-switch.ts';
import type { Cgroups, Hierarchy } from '../cgroups/hierarchies.ts';
import { OwnCgroup, ownName } from '../cgroups/own-cgroup.ts';
import type { Proc } from '../process/proc.ts';

export type Probes = Record<MechanismName, MechanismProbe>;

export interface Found {
  probes: Probes;
  /** Hierarchies in which cgroups can be frozen, the best first; and the one in which processes can be adopted. */
  freezers: Hierarchy[];
  adoption: Hierarchy | undefined;
  /** Hierarchies in which cgroups can be given a quota. */
  quotas: Hierarchy[];
  /** Hierarchies whose cgroups count what they use of the CPU. */
  counters: Hierarchy[];
}

/** Writes a directory down before it is made, and strikes it out when it is removed: for a journal. */
export interface ProbeLog {
  willAdopt(directory: string): boolean;
  emptied(directory: string): void;
}

/** A host on which nothing but signals is tried. */
export const SIGNALS_ONLY: Found = {
  probes: {
    signal: { supported: true, why: 'SIGSTOP and SIGCONT work on every Linux' },
    freezer: { supported: false, why: 'no cgroups are used here' },
    quota: { supported: false, why: 'no cgroups are used here' },
  },
  freezers: [],
  adoption: undefined,
  quotas: [],
  counters: [],
};

/** Tries everything. Never throws; leaves nothing behind. */
export function probeMechanisms(cgroups: Cgroups, proc: Proc, log?: ProbeLog): Found {
  const v2 = tryIn(cgroups.v2, 'no cgroup v2', proc, log, tryFreezer(2, proc));
  const v1 = tryIn(cgroups.v1('freezer'), 'no v1 freezer', proc, log, tryFreezer(1, proc));
  const cpu2 = tryIn(cgroups.v2, 'no cgroup v2', proc, log, tryQuota(2));
  const cpu1 = tryIn(cgroups.v1('cpu'), 'no v1 cpu', proc, log, tryQuota(1));
  const freezers = [v2, v1].flatMap(({ works, hierarchy }) => (works && hierarchy ? [hierarchy] : []));
  const adoption = v1.works ? v1.hierarchy : undefined;
  const quotas = [cpu2, cpu1].flatMap(({ works, hierarchy }) => (works && hierarchy ? [hierarchy] : []));
  const freezer = [
    v2.works ? 'v2: cgroups that hold a target and nobody else' : `v2: no (${v2.why})`,
    v1.works ? 'v1: such cgroups too, and any process by adoption' : `v1: no (${v1.why})`,
  ];
  const quota = [
    cpu2.works ? 'v2: cgroups that hold a target and nobody else' : `v2: no (${cpu2.why})`,
    cpu1.works ? 'v1: cgroups that hold a target and nobody else' : `v1: no (${cpu1.why})`,
  ];
  const counters = cgroups.hierarchies.filter(counts);
  const counted = countedWords(counters);
  if (freezers.length > 0) freezer.push(counted);
  if (quotas.length > 0) quota.push(counted);
  return {
    probes: {
      signal: SIGNALS_ONLY.probes.signal,
      freezer: { supported: freezers.length > 0, why: freezer.join('; ') },
      quota: { supported: quotas.length > 0, why: quota.join('; ') },
    },
    freezers,
    adoption,
    quotas,
    counters,
  };
}

/** By what the CPU of such a target is known. */
function countedWords(counters: readonly Hierarchy[]): string {
  if (counters.length === 0) return 'no cgroup here counts its CPU, so each process is looked at once a second';
  return `their CPU as cgroups of ${counters.map(({ version }) => `v${version}`).join(' or ')} count it`;
}

interface Tried {
  works: boolean;
  why: string;
  hierarchy: Hierarchy | undefined;
}

function tryIn(
  hierarchy: Hierarchy | undefined,
  whyNone: string,
  proc: Proc,
  log: ProbeLog | undefined,
  trial: (directory: string) => string | undefined,
): Tried {
  if (!hierarchy) return { works: false, why: whyNone, hierarchy };
  const own = proc.identify(process.pid);
  if (!own) return { works: false, why: 'our own process cannot be seen', hierarchy };
  const cgroup = new OwnCgroup(hierarchy.mount, ownName(own));
  if (log?.willAdopt(cgroup.directory) === false)
    return { works: false, why: 'the journal cannot be written', hierarchy };
  try {
    cgroup.make();
    const why = trial(cgroup.directory);
    return { works: why === undefined, why: why ?? '', hierarchy };
  } catch (error) {
    return { works: false, why: reasonOf(error, hierarchy), hierarchy };
  } finally {
    if (cgroup.remove()) log?.emptied(cgroup.directory);
  }
}

function reasonOf(error: unknown, { mount }: Hierarchy): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EROFS':
      return `${mount} is mounted read-only`;
    case 'EACCES':
    case 'EPERM':
      return `${mount} may not be written by us`;
    default:
      return messageOf(error);
  }
}

/** Turns the switch of an empty cgroup on and off. */
function tryFreezer(version: 1 | 2, proc: Proc): (directory: string) => string | undefined {
  return (directory) => {
    const freezer = new FreezerSwitch(directory, version, proc);
    try {
      if (freezer.freeze() !== 'done' || freezer.isOn() !== true) return `${freezer.path} cannot be turned on`;
      if (freezer.thaw() !== 'done' || freezer.isOn() !== false) return `${freezer.path} cannot be turned off`;
      return undefined;
    } finally {
      freezer.close();
    }
  };
}

/** Sets a quota of half a core on an empty cgroup. */
function tryQuota(version: 1 | 2): (directory: string) => string | undefined {
  return (directory) => {
    const quota = new CpuQuota(directory, version);
    const old = quota.read();
    if (!old)
      return version === 2 ? 'its root hands out no cpu controller' : `no quota files in ${join(directory, '..')}`;
    return quota.apply(quota.changes(old, { quotaUs: Math.floor(old.periodUs / 2), periodUs: old.periodUs }));
  };
}

/**
 * The bench's own cgroups: meters, which account for the CPU of all that runs in them, and groups of targets. Makes,
 * thaws and removes only cgroups under its own name, and takes nobody into them but what the bench has started.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sleep, systemClock } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { LeftOut } from './scenario.ts';
import { isLeftover, OWN_PREFIX } from './scratch.ts';
import type { Undo } from './undo.ts';

/** The last of a contender's processes leave a cgroup when they are reaped. */
const REMOVE_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 20;
let made = 0;

interface Hierarchy {
  version: 1 | 2;
  mount: string;
  /** v1: what the mount options name, controllers among them; v2: empty. */
  controllers: string[];
}

export interface Meter {
  /** A program that writes 0 here puts itself, and what it starts from then on, into the meter. */
  readonly procsPath: string;
  /** It is a cgroup of v1's cpuacct. */
  readonly countsV1: boolean;
  /** CPU seconds used so far. */
  seconds(): number;
  /** Who is in it now. */
  pids(): number[];
  /** Puts a running process into it. */
  adopt(pid: number): void;
}

export interface TargetGroup {
  /** As an order names it. */
  readonly path: string;
  /** The file that freezes it; null where its hierarchy has none. */
  readonly freezerPath: string | null;
  /** Puts targets into it. They are thawed before they are ended: with v1 a frozen process cannot end. */
  fill(pids: readonly number[]): void;
}

/** Which hierarchy groups of targets are made in; each offers hobbler one mechanism. */
export type GroupKind = 'freezer v1' | 'freezer v2' | 'cpu v1' | 'cpu v2';

/** A new meter, removed by `undo`. Throws unsupported where this machine has no writable CPU accounting. */
export function openMeter(undo: Undo): Meter {
  const all = hierarchies();
  const v1 = all.find(({ controllers }) => controllers.includes('cpuacct'));
  const hierarchy = v1 ?? all.find(({ version }) => version === 2);
  if (!hierarchy) throw new HobblerError('unsupported', 'no cgroup hierarchy that accounts for CPU is mounted');
  const directory = makeDirectory(undo, hierarchy);
  const procsPath = join(directory, 'cgroup.procs');
  const read = (file: string) => readFileSync(join(directory, file), 'latin1');
  return {
    procsPath,
    countsV1: v1 !== undefined,
    seconds: () =>
      v1 ? Number(read('cpuacct.usage')) / 1e9 : Number(/^usage_usec (\d+)$/m.exec(read('cpu.stat'))![1]) / 1e6,
    pids: () => pidsIn(directory),
    adopt: (pid) => writeFileSync(procsPath, String(pid)),
  };
}

/**
 * A new group for targets, removed by `undo`: to be made before its targets. `meter`: theirs; a group of v1 is one below it
 * as well, since container engines and systemd make their groups in the hierarchy that counts CPU too. Throws LeftOut where this machine has no such hierarchy.
 */
export function openGroup(undo: Undo, kind: GroupKind, meter?: Meter): TargetGroup {
  const [controller, version] = kind.split(' ') as ['freezer' | 'cpu', 'v1' | 'v2'];
  const hierarchy = hierarchies().find(({ version: other, controllers }) =>
    version === 'v2' ? other === 2 : controllers.includes(controller),
  );
  if (!hierarchy) throw new LeftOut(`no ${kind} hierarchy on this machine`);
  const directory = makeDirectory(undo, hierarchy);
  if (kind === 'cpu v2' && !existsSync(join(directory, 'cpu.max')))
    throw new LeftOut('the cpu controller of cgroup v2 is not enabled for groups below the root');
  const counted = version === 'v1' && meter?.countsV1 ? makeDirectory(undo, { mount: dirname(meter.procsPath) }) : null;
  const directories = [directory, ...(counted === null ? [] : [counted])];
  const freezerPath = ['freezer.state', 'cgroup.freeze']
    .map((file) => join(directory, file))
    .find((path) => existsSync(path));
  return {
    path: directory.slice(hierarchy.mount.length),
    freezerPath: freezerPath ?? null,
    fill: (pids) => {
      const thawed = freezerPath?.endsWith('freezer.state') ? 'THAWED' : '0';
      if (freezerPath) undo.add(`the freezing of ${directory}`, () => writeFileSync(freezerPath, thawed));
      for (const each of directories) for (const pid of pids) writeFileSync(join(each, 'cgroup.procs'), String(pid));
    },
  };
}

/** Removes the cgroups of a bench that was killed: empty, and named for a pid that nobody has. */
export function removeLeftoverGroups(): void {
  for (const { mount } of hierarchies()) {
    for (const name of readdirSync(mount).filter(isLeftover)) {
      try {
        rmdirSync(join(mount, name));
      } catch {
        // Somebody is in it still: the next bench will see.
      }
    }
  }
}

/** Which cgroup versions this machine has, in words. */
export function cgroupWords(): string {
  const all = hierarchies();
  const has2 = all.some(({ version }) => version === 2);
  const has1 = all.some(({ controllers }) => controllers.some((name) => name === 'cpu' || name === 'freezer'));
  if (has1 && has2) return 'v1 controllers beside v2 (hybrid)';
  return has2 ? 'v2' : 'v1';
}

/** Read here and not by the worker's own code, because the bench looks at that from outside. */
function hierarchies(): Hierarchy[] {
  return parseHierarchies(readFileSync('/proc/self/mounts', 'latin1'));
}

/** The cgroup hierarchies of a mount table. */
export function parseHierarchies(mounts: string): Hierarchy[] {
  return mounts.split('\n').flatMap((line) => {
    const [, mount = '', type, options = ''] = line.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ version: type === 'cgroup' ? 1 : 2, mount, controllers: type === 'cgroup' ? options.split(',') : [] }];
  });
}

function makeDirectory(undo: Undo, { mount }: Pick<Hierarchy, 'mount'>): string {
  const directory = join(mount, `${OWN_PREFIX}${++made}`);
  try {
    mkdirSync(directory);
  } catch (error) {
    throw new HobblerError('unsupported', `cannot make a cgroup (${messageOf(error)})`, {
      where: mount,
      hint: 'run the bench as root on the host itself, or in a container that may write there',
    });
  }
  undo.add(`cgroup ${directory}`, () => removeWhenEmpty(directory));
  return directory;
}

async function removeWhenEmpty(directory: string): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + REMOVE_WITHIN_MS;
  for (;;) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      if (systemClock.monotonicMs() > giveUpAtMs)
        throw new Error(`${messageOf(error)}; it still holds ${pidsIn(directory).slice(0, 5).join(', ') || 'nobody'}`);
    }
    await sleep(systemClock, LOOK_EVERY_MS);
  }
}

function pidsIn(directory: string): number[] {
  return readFileSync(join(directory, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number);
}

/**
 * The check-up of a host: is everything here for a worker to do its work? Each finding was tried for real where that can
 * be done without touching anybody's process: signals go to a child of our own under another uid. Knows nothing of
 * Redis; that part is cli/doctor.ts. It changes nothing but makes the state directory as a worker would, and for a
 * moment an empty cgroup in each hierarchy.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { type Clock, sleep } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { Cgroups } from './cgroups/hierarchies.ts';
import { UserSlices } from './cgroups/user-slices.ts';
import { probeMechanisms } from './mechanisms/probe.ts';
import { identityMechanism } from './process/pidfd.ts';
import type { Proc } from './process/proc.ts';
import { sendContinue, sendStop } from './process/signals.ts';
import { isStopped } from './process/stat.ts';
import { prepareStateDir } from './state-dir.ts';

export interface Finding {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  detail: string;
  /** What to do, where it is not ok. */
  hint?: string;
}

export interface HostCheckParts {
  proc: Proc;
  stateDir: string;
  clock: Clock;
}

/** The Debian package of each program that a worker and its guard call. */
const PROGRAMS = { bash: 'bash', flock: 'util-linux', mkfifo: 'coreutils', getent: 'libc-bin' } as const;
/** nobody, on every Linux that has that name. */
const OTHER_UID = 65_534;
/** A stop takes microseconds to show, on a host that is not wedged. */
const SHOWS_WITHIN_MS = 1_000;
/** Bits of a capability set, include/uapi/linux/capability.h. */
const CAP_KILL = 5;
const CAP_SYS_PTRACE = 19;

/** Everything that can be found out about this host. Never throws. */
export async function checkHost(parts: HostCheckParts): Promise<Finding[]> {
  return [
    checkKernel(parts),
    ...checkPrograms(),
    checkStateDir(parts.stateDir),
    await checkPermissions(parts),
    ...checkVisibility(parts),
    checkIdentity(),
    ...checkCgroups(parts.proc),
    checkSupervisor(),
  ];
}

function checkKernel({ proc }: HostCheckParts): Finding {
  const name = 'process table';
  const self = proc.readStat(process.pid);
  if (!self) return { name, status: 'fail', detail: `${proc.root} shows not even ourselves`, hint: 'mount proc there' };
  return { name, status: 'ok', detail: `${proc.listPids().length} processes seen in ${proc.root}` };
}

function checkPrograms(): Finding[] {
  return Object.entries(PROGRAMS).map(([program, debianPackage]) => {
    const name = `program ${program}`;
    const { error } = spawnSync(program, ['--version'], { stdio: 'ignore', timeout: 5_000 });
    return error
      ? { name, status: 'fail', detail: 'cannot be run', hint: `apt-get install ${debianPackage}` }
      : { name, status: 'ok', detail: 'found' };
  });
}

function checkStateDir(stateDir: string): Finding {
  const name = 'state directory';
  try {
    prepareStateDir(stateDir);
  } catch (error) {
    return { name, status: 'fail', detail: messageOf(error), hint: 'run as root, or give another with --state-dir' };
  }
  const mode = (lstatSync(stateDir).mode & 0o777).toString(8);
  return { name, status: 'ok', detail: `${stateDir}, mode ${mode}` };
}

/** Stops and continues a child of another uid, which is what a worker does to targets. */
async function checkPermissions({ proc, clock }: HostCheckParts): Promise<Finding> {
  const name = 'signals to others';
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) {
    const own = await tryStop(proc, clock, {});
    if (own !== 'stopped') return { name, status: 'fail', detail: `a child of our own cannot be stopped (${own})` };
    if (hasCapability(proc, CAP_KILL)) return { name, status: 'ok', detail: 'CAP_KILL is there; own processes tried' };
    return {
      name,
      status: 'warn',
      detail: "only this user's processes can be hobbled (tried)",
      hint: 'run the worker as root or with CAP_KILL, for other users',
    };
  }
  const tried = await tryStop(proc, clock, { uid: OTHER_UID, gid: OTHER_UID });
  if (tried === 'stopped') return { name, status: 'ok', detail: `a process of uid ${OTHER_UID} stopped and continued` };
  if (tried === 'not started') {
    return hasCapability(proc, CAP_KILL)
      ? {
          name,
          status: 'ok',
          detail: 'CAP_KILL is there; not tried, since nothing can be started as another user here',
        }
      : { name, status: 'fail', detail: 'no CAP_KILL', hint: 'give the worker CAP_KILL (compose: cap_add: [KILL])' };
  }
  return {
    name,
    status: 'fail',
    detail: `a process of uid ${OTHER_UID} cannot be stopped (${tried})`,
    hint: 'give the worker CAP_KILL; in Docker an AppArmor profile that lets signals out too (apparmor:unconfined)',
  };
}

type Tried = 'stopped' | 'not started' | 'not permitted' | 'no effect' | 'hidden';

async function tryStop(proc: Proc, clock: Clock, as: { uid?: number; gid?: number }): Promise<Tried> {
  let child: ChildProcess | undefined;
  try {
    // It ends with its standard input, so also when we are killed.
    child = spawn('sh', ['-c', 'read -r _'], { stdio: ['pipe', 'ignore', 'ignore'], cwd: '/', ...as });
    await new Promise((resolve, reject) => child!.once('spawn', resolve).once('error', reject));
    const pid = child.pid!;
    if (!proc.readStat(pid)) return 'hidden';
    if (sendStop(pid) === 'not-permitted') return 'not permitted';
    const giveUpAtMs = clock.monotonicMs() + SHOWS_WITHIN_MS;
    let hasStopped = false;
    while (!hasStopped && clock.monotonicMs() < giveUpAtMs) {
      hasStopped = isStopped(proc.readStat(pid)?.state ?? '');
      if (!hasStopped) await sleep(clock, 2);
    }
    sendContinue(pid);
    return hasStopped ? 'stopped' : 'no effect';
  } catch {
    return 'not started';
  } finally {
    child?.stdin?.destroy();
  }
}

/** hidepid hides other users' processes, pid 1 among them. */
function checkVisibility({ proc }: HostCheckParts): Finding[] {
  const name = "others' processes";
  const hidepid = /^\S+ \/proc proc \S*\bhidepid=(?!0\b|off\b)(\w+)/m.exec(proc.readMounts())?.[1];
  const seesInit = proc.readStatus(1) !== undefined;
  if (seesInit) return [{ name, status: 'ok', detail: hidepid ? `seen, in spite of hidepid=${hidepid}` : 'seen' }];
  return [
    {
      name,
      status: process.getuid?.() === 0 ? 'fail' : 'warn',
      detail: `hidden${hidepid ? ` (hidepid=${hidepid})` : ''}${hasCapability(proc, CAP_SYS_PTRACE) ? '' : ', and no CAP_SYS_PTRACE'}`,
      hint: 'give the worker CAP_SYS_PTRACE, or mount /proc with gid= of its group',
    },
  ];
}

/** Whether a signal can reach a process and nobody after it under the same pid. */
function checkIdentity(): Finding {
  const { name: mechanism, why } = identityMechanism();
  if (mechanism === 'pidfd') return { name: 'identity', status: 'ok', detail: `pidfd: ${why}` };
  return {
    name: 'identity',
    status: 'warn',
    detail: `start time (${why}): looked at before first stops and once a second, so a pid that is reused within that is taken for its owner before`,
    hint: 'use Linux 5.3 or later, let pidfd_open and pidfd_send_signal through the seccomp filter, and install koffi',
  };
}

function checkCgroups(proc: Proc): Finding[] {
  const cgroups = new Cgroups(proc);
  const { hierarchies } = cgroups;
  const v2 = hierarchies.filter(({ version }) => version === 2).map(({ mount }) => mount);
  const v1 = hierarchies.filter(({ version }) => version === 1).flatMap(({ controllers }) => controllers);
  const detail = [v2.length > 0 ? `v2 at ${v2.join(', ')}` : '', v1.length > 0 ? `v1: ${v1.join(', ')}` : '']
    .filter(Boolean)
    .join('; ');
  const found: Finding =
    hierarchies.length === 0
      ? { name: 'cgroups', status: 'warn', detail: 'none found', hint: 'cgroup: targets cannot be used here' }
      : { name: 'cgroups', status: 'ok', detail };
  const mechanisms = Object.entries(probeMechanisms(cgroups, proc).probes).map(
    ([mechanism, { supported, why }]): Finding => ({
      name: `mechanism ${mechanism}`,
      status: supported ? 'ok' : 'warn',
      detail: supported ? why : `cannot be used: ${why}`,
      ...(supported ? {} : { hint: 'nothing to do: auto takes the best that there is' }),
    }),
  );
  return [found, ...mechanisms, checkMeter(cgroups)];
}

/** By which of its two counts the meter knows the users of this host. Neither is a fault. */
function checkMeter(cgroups: Cgroups): Finding {
  const slices = new UserSlices(cgroups).look();
  const unseen = slices.filter(({ pids }) => pids === null).length;
  const byCgroups = `${slices.length} user slices are counted by their cgroups${unseen > 0 ? `, but for ${unseen} that cannot be seen whole` : ''}`;
  return {
    name: 'meter',
    status: 'ok',
    detail:
      slices.length === 0
        ? 'no user slices: counts from /proc, without those who live and die between two looks'
        : `${byCgroups}; the rest from /proc`,
  };
}

function checkSupervisor(): Finding {
  const name = 'supervisor';
  if (existsSync('/run/systemd/system')) {
    return { name, status: 'ok', detail: 'systemd: run the worker as a service with Restart=always' };
  }
  if (existsSync('/.dockerenv')) {
    return { name, status: 'ok', detail: 'a container: run the guard as a service of its own (docker-compose.yml)' };
  }
  return {
    name,
    status: 'warn',
    detail: 'no systemd',
    hint: 'let something restart the worker: what worker and guard leave behind when both die is released at its restart',
  };
}

function hasCapability(proc: Proc, bit: number): boolean {
  try {
    const text = readFileSync(`${proc.root}/self/status`, 'latin1');
    const effective = /^CapEff:\t([0-9a-f]+)$/m.exec(text)?.[1];
    return effective !== undefined && (BigInt(`0x${effective}`) & (1n << BigInt(bit))) !== 0n;
  } catch {
    return false;
  }
}

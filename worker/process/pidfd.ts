/**
 * pidfds: descriptors that stand for one process, whatever becomes of its pid (pidfd_open(2), pidfd_send_signal(2),
 * Linux 5.3). A signal through one reaches that very process or nobody, so no stranger can be hit (invariant 4). Node
 * has no call for them, so they come through koffi, an optional dependency: where it, the kernel or a seccomp filter
 * does not let us, identity goes by start time, and `identityMechanism` says so.
 *
 * The only file that calls the C library, but for shared/systemd.ts. Whom a descriptor must stand for is decided in
 * held.ts.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { messageOf } from '../../shared/errors.ts';
import type { Sent } from './signals.ts';

export interface Pidfds {
  /** A descriptor for whoever has this pid now; undefined when there is none, or no descriptor can be had. */
  open(pid: number): number | undefined;
  stop(pidfd: number): Sent;
  continue(pidfd: number): Sent;
  /** Any signal, for what we started ourselves (ending.ts). */
  send(pidfd: number, signal: NodeJS.Signals): Sent;
  close(pidfd: number): void;
}

export interface IdentityMechanism {
  name: 'pidfd' | 'start time';
  why: string;
}

/** What is used of koffi, so that the types are here where it is not. */
export interface Koffi {
  load(path: null): { func(definition: string): (...values: unknown[]) => number };
  errno(): number;
}

interface Calls {
  /** The descriptor; -1 with errno set. */
  open(pid: number): number;
  /** 0; -1 with errno set. */
  send(pidfd: number, signal: number): number;
  errno(): number;
}

/** The same on every architecture of Linux. */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const { SIGSTOP, SIGCONT } = constants.signals;
const { ESRCH, EPERM } = constants.errno;

interface Loaded {
  pidfds: Pidfds | undefined;
  mechanism: IdentityMechanism;
}
let loaded: Loaded | undefined;

/** The pidfds of this kernel; undefined where they cannot be had. Loaded and tried at the first call. */
export function systemPidfds(): Pidfds | undefined {
  loaded ??= loadPidfds(() => createRequire(import.meta.url)('koffi') as Koffi);
  return loaded.pidfds;
}

/** What tells a process from a later one under its pid, on this host: for people to see. */
export function identityMechanism(): IdentityMechanism {
  loaded ??= loadPidfds(() => createRequire(import.meta.url)('koffi') as Koffi);
  return loaded.mechanism;
}

/** Loads koffi and tries what is needed. Never throws: what fails is the reason for going by start time. */
export function loadPidfds(requireKoffi: () => Koffi): Loaded {
  const without = (why: string): Loaded => ({ pidfds: undefined, mechanism: { name: 'start time', why } });
  let calls: Calls;
  try {
    calls = findCalls(requireKoffi());
  } catch (error) {
    return without(`no pidfds: koffi cannot be loaded (${messageOf(error).split('\n')[0]})`);
  }
  const failed = whyNot(calls);
  if (failed !== undefined) return without(`no pidfds: ${failed}`);
  return {
    pidfds: pidfdsOf(calls),
    mechanism: { name: 'pidfd', why: 'signals go to a process, not to a pid' },
  };
}

/** The functions of glibc 2.36 where they are: 0.4 µs less per signal than syscall(2) with its varargs. */
function findCalls({ load: loadLibrary, errno }: Koffi): Calls {
  const libc = loadLibrary(null);
  try {
    const open = libc.func('int pidfd_open(int pid, unsigned int flags)');
    const send = libc.func('int pidfd_send_signal(int pidfd, int signal, void *info, unsigned int flags)');
    return { open: (pid) => open(pid, 0), send: (pidfd, signal) => send(pidfd, signal, null, 0), errno };
  } catch {
    // Declared with its varargs, since there are ABIs that pass them differently.
    const syscall = libc.func('long syscall(long number, ...)');
    return {
      open: (pid) => syscall(SYS_PIDFD_OPEN, 'int', pid, 'unsigned int', 0),
      send: (pidfd, signal) =>
        syscall(SYS_PIDFD_SEND_SIGNAL, 'int', pidfd, 'int', signal, 'void *', null, 'unsigned int', 0),
      errno,
    };
  }
}

/** Tries both calls on ourselves, with no signal. A kernel that is too old says ENOSYS, a seccomp filter mostly EPERM. */
function whyNot({ open, send, errno }: Calls): string | undefined {
  const pidfd = open(process.pid);
  if (pidfd < 0) return `pidfd_open says ${errnoName(errno())}`;
  const sent = send(pidfd, 0);
  const error = errno();
  closeSync(pidfd);
  return sent === 0 ? undefined : `pidfd_send_signal says ${errnoName(error)}`;
}

function pidfdsOf({ open, send, errno }: Calls): Pidfds {
  const sendTo = (pidfd: number, signal: number): Sent => {
    if (send(pidfd, signal) === 0) return 'sent';
    const error = errno();
    if (error === ESRCH) return 'gone';
    if (error === EPERM) return 'not-permitted';
    throw new Error(`pidfd_send_signal on descriptor ${pidfd}: expected 0, ESRCH or EPERM, got ${errnoName(error)}`);
  };
  return {
    open: (pid) => {
      // As in signals.ts: a bug upstream must end here, not at the init or a group.
      if (!(Number.isSafeInteger(pid) && pid > 1)) return undefined;
      const pidfd = open(pid);
      return pidfd < 0 ? undefined : pidfd;
    },
    stop: (pidfd) => sendTo(pidfd, SIGSTOP),
    continue: (pidfd) => sendTo(pidfd, SIGCONT),
    send: (pidfd, signal) => sendTo(pidfd, constants.signals[signal]),
    close: closeSync,
  };
}

function errnoName(error: number): string {
  return error > 0 ? getSystemErrorName(-error) : `error ${error}`;
}

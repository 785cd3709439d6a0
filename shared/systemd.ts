/**
 * Tells systemd how a service stands (sd_notify(3)): ready, alive, stopping, and a line for `systemctl status`. Owns the
 * socket and the rhythm of the watchdog's beats; what "alive" means is each service's own word. Without NOTIFY_SOCKET it
 * does nothing at all, and nothing here ever throws: a service that cannot tell goes on all the same.
 *
 * The beats come from a timer of the service's own event loop, so a loop that is blocked, or a process that is stopped,
 * does not beat, and systemd ends it and runs the release script (invariant 1: worker and guard both hung).
 *
 * Messages are datagrams on a Unix socket, which Node cannot send. koffi, an optional dependency that the worker loads
 * anyway for its pidfds, makes the two calls in this process: 10 µs, no fork. Where it cannot be loaded, systemd-notify(1)
 * is run for each message: 3 ms, and on a host that cannot fork a beat is lost. Not chosen: Type=exec without a watchdog,
 * which leaves a hung worker with a hung guard to nobody.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import type { Clock, Timer } from './clock.ts';
import type { Environment } from './environment.ts';
import { messageOf } from './errors.ts';
import type { Logger } from './log.ts';
import type { Service } from './service.ts';

export interface SupervisorParts {
  environment: Pick<Environment, 'notifySocket' | 'watchdogUsec' | 'watchdogPid'>;
  clock: Clock;
  log: Logger;
  /** Why the service does no good as it is and should be started anew; null: it does. Asked before every beat. */
  whyUnwell?: () => string | null;
  /** One line for `systemctl status`. */
  summary?: () => string;
}

export interface Supervisor extends Service {
  /** A line for `systemctl status` while the service is not ready yet. */
  say(status: string): void;
  /**
   * READY, and from here on the watchdog's beats, before the end of the start: systemd watches nobody who is not ready,
   * so a worker says this before it stops its first process.
   */
  ready(): void;
}

/** Beats per interval of the watchdog: two may be lost. */
const BEATS_PER_INTERVAL = 3;
const MAX_STATUS_CHARS = 200;

/** The last service of a list: its start says READY, unless that was said before; its stop, the first, STOPPING. */
export function createSupervisor(parts: SupervisorParts): Supervisor {
  const { environment, clock, log, whyUnwell = () => null, summary } = parts;
  const send = openNotifySocket(environment.notifySocket, log);
  const everyMs = watchdogMs(environment);
  let timer: Timer | undefined;
  let unwell: string | null = null;
  let isReady = false;

  const look = (): string | null => {
    const why = whyUnwell();
    if (why !== null && unwell === null) log.warn({ why }, 'no beat for the watchdog while this lasts');
    unwell = why;
    return why;
  };
  const statusLines = (why: string | null) => {
    const status = why === null ? summary?.() : `no beat for the watchdog: ${why}`;
    return status === undefined ? [] : [statusLine(status)];
  };
  const beat = () => {
    const why = look();
    send([...(why === null ? ['WATCHDOG=1'] : []), ...statusLines(why)]);
  };

  const ready = () => {
    if (isReady || environment.notifySocket === undefined) return;
    isReady = true;
    send(['READY=1', ...statusLines(look())]);
    if (everyMs !== undefined) timer = clock.every(everyMs / BEATS_PER_INTERVAL, beat);
  };

  return {
    name: 'systemd',
    start: async () => ready(),
    ready,
    // It has no settings of its own, and must not be why a SIGHUP ends a service that can reload.
    reload: async () => {},
    stop: async () => {
      timer?.cancel();
      send(['STOPPING=1', statusLine('stopping')]);
    },
    say: (status) => send([statusLine(status)]),
  };
}

/**
 * The watchdog's interval, milliseconds; undefined when none is asked for, or of another process. Under a Node that is
 * too old, bin/hobbler.js is the one whom systemd started, and this its child.
 */
function watchdogMs({ watchdogUsec, watchdogPid }: SupervisorParts['environment']): number | undefined {
  const usec = Number(watchdogUsec);
  if (!(Number.isSafeInteger(usec) && usec > 0)) return undefined;
  const isForUs = watchdogPid === undefined || [process.pid, process.ppid].includes(Number(watchdogPid));
  return isForUs ? usec / 1000 : undefined;
}

/** One line of printable text: a line break would begin another assignment. */
function statusLine(status: string): string {
  return `STATUS=${status.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_STATUS_CHARS)}`;
}

type Send = (assignments: readonly string[]) => void;

function openNotifySocket(path: string | undefined, log: Logger): Send {
  if (path === undefined) return () => {};
  const send = openDatagramSocket(path, log) ?? sendByProgram(log);
  return (assignments) => {
    if (assignments.length > 0) send(assignments);
  };
}

/** What is used of koffi, so that the types are here where it is not. */
interface Koffi {
  load(path: null): { func(definition: string): (...values: unknown[]) => number };
  errno(): number;
}

// Of Linux, on every architecture that Node 22 runs on.
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SUN_PATH_BYTES = 108;

/** Undefined where koffi cannot be had, or the address is of another kind (such as vsock: in a virtual machine). */
function openDatagramSocket(path: string, log: Logger): Send | undefined {
  const address = addressOf(path);
  if (address === undefined) return undefined;
  try {
    const { load, errno } = createRequire(import.meta.url)('koffi') as Koffi;
    const libc = load(null);
    const socket = libc.func('int socket(int domain, int type, int protocol)');
    const sendto = libc.func(
      'long sendto(int fd, const void *message, size_t length, int flags, const void *address, unsigned int size)',
    );
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error(`socket(2) says errno ${errno()}`);
    return (assignments) => {
      const message = Buffer.from(assignments.join('\n'));
      // Never waits: a systemd that does not read must not stop our event loop.
      if (sendto(fd, message, message.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length) < 0)
        log.debug({ errno: errno() }, 'systemd did not take a message');
    };
  } catch (error) {
    log.info(`no koffi (${messageOf(error).split('\n')[0]}): systemd is told by systemd-notify`);
    return undefined;
  }
}

/** A struct sockaddr_un. A name with `@` in front lies in no file system: its first byte is 0. */
function addressOf(path: string): Buffer | undefined {
  const name = Buffer.from(path);
  if (!/^[/@]/.test(path) || name.length >= SUN_PATH_BYTES) return undefined;
  const isAbstract = path.startsWith('@');
  if (isAbstract) name[0] = 0;
  const address = Buffer.alloc(2 + name.length + (isAbstract ? 0 : 1));
  if (endianness() === 'LE') address.writeUInt16LE(AF_UNIX, 0);
  else address.writeUInt16BE(AF_UNIX, 0);
  name.copy(address, 2);
  return address;
}

/** Longer than systemd takes to answer, shorter than two beats. */
const PROGRAM_LIMIT_MS = 5_000;

function sendByProgram(log: Logger): Send {
  return (assignments) => {
    const child = spawn('systemd-notify', assignments, { stdio: 'ignore', timeout: PROGRAM_LIMIT_MS });
    child.on('error', (error) => log.debug(`systemd-notify cannot be run: ${error.message}`));
    child.unref();
  };
}

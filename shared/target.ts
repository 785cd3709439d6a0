/**
 * Targets: what is slowed on one host. Owns their written form and nothing else; which processes a target stands for
 * is found out on the host, by the worker.
 */
import { HobblerError } from './errors.ts';

/** A pid never travels without its start time, in clock ticks since boot (/proc/PID/stat field 22; invariant 4). */
export interface ProcessId {
  pid: number;
  startTicks: number;
}

export type Target =
  | { kind: 'user'; name: string }
  | { kind: 'uid'; uid: number }
  | ({ kind: 'pid' } & ProcessId)
  | { kind: 'cgroup'; path: string };

/** The longest written target: a cgroup path is bounded by the kernel's PATH_MAX, ours by what is sane in a key. */
export const MAX_TARGET_CHARS = 1024;

const USER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]{0,63}\$?$/;
const DECIMAL = /^(?:0|[1-9]\d{0,15})$/;
/** Linux's hard bound on pids (PID_MAX_LIMIT, 2^22). */
const MAX_PID = 4_194_304;
/** (uid_t) -1 means "no user" to the kernel. */
const MAX_UID = 4_294_967_294;

const FORMS = 'user:NAME, uid:NUMBER, pid:PID@START or cgroup:/PATH';

/** Parses a written target. Throws invalid-input that says what is wrong with it. */
export function parseTarget(text: string, where = 'target'): Target {
  const fail = (what: string, expected = FORMS) =>
    new HobblerError('invalid-input', what, { where, expected, got: text });
  if (text.length > MAX_TARGET_CHARS) throw fail('target too long', `at most ${MAX_TARGET_CHARS} characters`);
  const colon = text.indexOf(':');
  if (colon < 0) throw fail('not a target');
  const kind = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (kind) {
    case 'user':
      if (!USER_NAME.test(rest)) throw fail('not a user name', 'user:NAME');
      return { kind, name: rest };
    case 'uid': {
      const uid = decimal(rest);
      if (uid === undefined || uid > MAX_UID) throw fail('not a uid', `uid:NUMBER, 0 to ${MAX_UID}`);
      return { kind, uid };
    }
    case 'pid': {
      const [pidText, startText, ...more] = rest.split('@');
      const pid = decimal(pidText ?? '');
      const startTicks = decimal(startText ?? '');
      if (pid === undefined || pid < 1 || pid > MAX_PID || startTicks === undefined || more.length > 0) {
        throw fail('not a pid with its start time', 'pid:PID@START, START being field 22 of /proc/PID/stat');
      }
      return { kind, pid, startTicks };
    }
    case 'cgroup':
      if (!isCleanCgroupPath(rest))
        throw fail('not a cgroup path', 'cgroup:/PATH, absolute, without . or .. parts, not the root');
      return { kind, path: rest };
    default:
      throw fail('unknown kind of target');
  }
}

/** The written form of a target; `parseTarget` of it gives the same target. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case 'user':
      return `user:${target.name}`;
    case 'uid':
      return `uid:${target.uid}`;
    case 'pid':
      return `pid:${target.pid}@${target.startTicks}`;
    case 'cgroup':
      return `cgroup:${target.path}`;
  }
}

function decimal(text: string): number | undefined {
  const value = DECIMAL.test(text) ? Number(text) : undefined;
  // Past 2^53 two texts would be one number, and one target would have two names.
  return Number.isSafeInteger(value) ? value : undefined;
}

function isCleanCgroupPath(path: string): boolean {
  if (!path.startsWith('/') || path.length < 2) return false;
  // Control characters could forge lines in the journal, which the guard reads line by line. A lone surrogate has no
  // UTF-8 form: the key in Redis would not be the target in the order.
  if (/\p{Cc}/u.test(path) || !path.isWellFormed()) return false;
  return path
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');
}

/**
 * Parsers for what the kernel says of a process: /proc/PID/stat and /proc/PID/status, and of the last one born:
 * /proc/loadavg. Pure; hostile command names (spaces, parentheses, newlines) are the normal case, since users choose
 * them. A text that is not what the kernel writes gives undefined: to a caller that is the same as a process that is
 * gone.
 *
 * 4242 (a ) b\nc) S 1 4242 4242 34817 4242 4194304 95 0 0 0 12 3 40 7 20 0 1 0 8812345 2650112 …
 */

/** Times in clock ticks of 10 ms (USER_HZ is 100 on every architecture that Node runs on). */
export const TICKS_PER_SECOND = 100;
/** PF_KTHREAD, include/linux/sched.h. */
const KERNEL_THREAD_FLAG = 0x00200000;

/** What is looked at again and again. */
export interface StatFields {
  pid: number;
  /** R, S, D, Z (zombie), T (stopped), t (traced), I (idle kernel thread), X (dead). */
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  /** 0: no controlling terminal. */
  tty: number;
  isKernelThread: boolean;
  /** CPU of its own, user and system, in ticks. */
  ownTicks: number;
  /** CPU of children that have ended and been waited for, in ticks. */
  reapedTicks: number;
  threads: number;
  /** When it started, in ticks since boot: with the pid, its identity. */
  startTicks: number;
}

export interface ProcStat extends StatFields {
  /** The command name, at most 15 bytes, chosen by the process: never a reason to trust it. */
  comm: string;
}

const NEWLINE = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const OPEN = 0x28;
const CLOSE = 0x29;
const MINUS = 0x2d;
const ZERO = 0x30;
/** Numbers of proc(5): the state is field 3, so the first number after the name is field 4. */
const FIRST_NUMBER = 4;
const START_TIME = 22;

/** Fields to be filled by `scanStat`. */
export function emptyFields(): StatFields {
  return {
    pid: 0,
    state: '',
    ppid: 0,
    pgrp: 0,
    session: 0,
    tty: 0,
    isKernelThread: false,
    ownTicks: 0,
    reapedTicks: 0,
    threads: 0,
    startTicks: 0,
  };
}

/**
 * Reads one /proc/PID/stat, the first `length` bytes of `line`, into `fields`, and says whether it was a whole one; if
 * not, they are half filled. Bytes, and no strings on the way: every member is looked at once a second.
 */
export function scanStat(line: Uint8Array, length: number, fields: StatFields): boolean {
  let at = 0;
  let pid = 0;
  for (; at < length; at++) {
    const digit = line[at]! - ZERO;
    if (digit < 0 || digit > 9) break;
    pid = pid * 10 + digit;
  }
  // The name ends at the last parenthesis, since after it come a letter and numbers alone.
  let close = length - 1;
  while (close > at && line[close] !== CLOSE) close--;
  if (pid === 0 || pid > Number.MAX_SAFE_INTEGER || close <= at + 1) return false;
  if (line[at] !== SPACE || line[at + 1] !== OPEN) return false;
  at = close + 4;
  if (at >= length || line[close + 1] !== SPACE || line[close + 2] === SPACE || line[close + 3] !== SPACE) return false;
  fields.pid = pid;
  fields.state = String.fromCharCode(line[close + 2]!);
  for (let field = FIRST_NUMBER; field <= START_TIME; field++) {
    const isNegative = line[at] === MINUS;
    if (isNegative) at++;
    const from = at;
    let value = 0;
    for (; at < length; at++) {
      const digit = line[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    // More stands behind each of them; a number at the very end may have been cut.
    if (at === from || at >= length || line[at] !== SPACE || value > Number.MAX_SAFE_INTEGER) return false;
    at++;
    setField(fields, field, isNegative ? -value : value);
  }
  return Number.isSafeInteger(fields.ownTicks) && Number.isSafeInteger(fields.reapedTicks);
}

function setField(fields: StatFields, field: number, value: number): void {
  switch (field) {
    case 4:
      fields.ppid = value;
      break;
    case 5:
      fields.pgrp = value;
      break;
    case 6:
      fields.session = value;
      break;
    case 7:
      fields.tty = value;
      break;
    case 9:
      fields.isKernelThread = (value & KERNEL_THREAD_FLAG) !== 0;
      break;
    case 14:
      fields.ownTicks = value;
      break;
    case 15:
      fields.ownTicks += value;
      break;
    case 16:
      fields.reapedTicks = value;
      break;
    case 17:
      fields.reapedTicks += value;
      break;
    case 20:
      fields.threads = value;
      break;
    case START_TIME:
      fields.startTicks = value;
      break;
  }
}

/** Parses one /proc/PID/stat, name and all: the first `length` bytes of `line`. */
export function parseStat(line: Buffer, length: number): ProcStat | undefined {
  const fields = emptyFields();
  if (!scanStat(line, length, fields)) return undefined;
  const text = line.toString('latin1', 0, length);
  return { ...fields, comm: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')) };
}

/** The last field of /proc/loadavg, the first `length` bytes of `line`: 0.10 0.20 0.30 1/200 4242. */
export function parseLastPid(line: Uint8Array, length: number): number | undefined {
  const end = line[length - 1] === NEWLINE ? length - 1 : length;
  let from = end;
  while (from > 0 && line[from - 1]! >= ZERO && line[from - 1]! <= ZERO + 9) from--;
  if (from === end || from === 0 || line[from - 1] !== SPACE) return undefined;
  let pid = 0;
  for (let at = from; at < end; at++) pid = pid * 10 + line[at]! - ZERO;
  return pid <= Number.MAX_SAFE_INTEGER ? pid : undefined;
}

export interface ProcStatus {
  /** The process a thread belongs to; equal to the pid for a process. */
  tgid: number;
  realUid: number;
  effectiveUid: number;
  /** Effective and supplementary groups. */
  gids: number[];
}

/** Parses what matters of /proc/PID/status. The Name line escapes newlines, so lines can be trusted. */
export function parseStatus(text: string): ProcStatus | undefined {
  const tgid = numbersAfter(text, '\nTgid:\t');
  // Real, effective, saved, and that of file accesses.
  const uids = numbersAfter(text, '\nUid:\t');
  const gids = numbersAfter(text, '\nGid:\t');
  if (tgid?.length !== 1 || uids?.length !== 4 || gids?.length !== 4) return undefined;
  const groups = numbersAfter(text, '\nGroups:\t') ?? [];
  return { tgid: tgid[0]!, realUid: uids[0]!, effectiveUid: uids[1]!, gids: [gids[1]!, ...groups] };
}

/** The numbers of one line; undefined when it is not there, or holds something else. */
function numbersAfter(text: string, label: string): number[] | undefined {
  const from = text.indexOf(label);
  if (from < 0) return undefined;
  const numbers: number[] = [];
  let value: number | undefined;
  for (let at = from + label.length; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : NEWLINE;
    const digit = code - ZERO;
    if (digit >= 0 && digit <= 9) {
      value = (value ?? 0) * 10 + digit;
      continue;
    }
    if (value !== undefined) numbers.push(value);
    value = undefined;
    if (code === NEWLINE) return numbers;
    if (code !== SPACE && code !== TAB) return undefined;
  }
  return undefined;
}

/**
 * A process that has ended, whether or not its parent has noticed: a zombie still answers kill(pid, 0). One whose first
 * thread alone has ended shows state Z as well, and goes on in its other threads.
 */
export function isDead({ state, threads }: Pick<StatFields, 'state' | 'threads'>): boolean {
  return (state === 'Z' && threads <= 1) || state === 'X' || state === 'x';
}

/** Stopped by a signal (T) or held by a debugger (t). */
export function isStopped(state: string): boolean {
  return state === 'T' || state === 't';
}

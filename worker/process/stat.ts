/**
 * Parsers for what the kernel says of a process: /proc/PID/stat and /proc/PID/status. Pure; hostile command names
 * (spaces, parentheses, newlines) are the normal case, since users choose them. A text that is not what the kernel
 * writes gives undefined: to a caller that is the same as a process that is gone.
 *
 * 4242 (a ) b\nc) S 1 4242 4242 34817 4242 4194304 95 0 0 0 12 3 40 7 20 0 1 0 8812345 2650112 …
 */

/** Times in clock ticks of 10 ms (USER_HZ is 100 on every architecture that Node runs on). */
export const TICKS_PER_SECOND = 100;
/** PF_KTHREAD, include/linux/sched.h. */
const KERNEL_THREAD_FLAG = 0x00200000;

export interface ProcStat {
  pid: number;
  /** The command name, at most 15 bytes, chosen by the process: never a reason to trust it. */
  comm: string;
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

/** Parses one /proc/PID/stat. */
export function parseStat(text: string): ProcStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 1 || close < open) return undefined;
  const pid = Number(text.slice(0, open - 1));
  const field = text.slice(close + 2).split(' ');
  // field[0] is field 3 of proc(5): the state.
  const number = (fieldOfProc5: number) => Number(field[fieldOfProc5 - 3]);
  const stat: ProcStat = {
    pid,
    comm: text.slice(open + 1, close),
    state: field[0] ?? '',
    ppid: number(4),
    pgrp: number(5),
    session: number(6),
    tty: number(7),
    isKernelThread: (number(9) & KERNEL_THREAD_FLAG) !== 0,
    ownTicks: number(14) + number(15),
    reapedTicks: number(16) + number(17),
    threads: number(20),
    startTicks: number(22),
  };
  const isWhole =
    Number.isSafeInteger(pid) &&
    pid > 0 &&
    stat.state.length === 1 &&
    Number.isSafeInteger(stat.ppid) &&
    Number.isSafeInteger(stat.startTicks);
  return isWhole && Number.isFinite(stat.ownTicks + stat.reapedTicks + stat.threads) ? stat : undefined;
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
  const tgid = /^Tgid:\t(\d+)$/m.exec(text);
  const uids = /^Uid:\t(\d+)\t(\d+)\t/m.exec(text);
  const gid = /^Gid:\t\d+\t(\d+)\t/m.exec(text);
  if (!tgid || !uids || !gid) return undefined;
  const groups = /^Groups:\t([\d ]*)$/m.exec(text)?.[1] ?? '';
  return {
    tgid: Number(tgid[1]),
    realUid: Number(uids[1]),
    effectiveUid: Number(uids[2]),
    gids: [Number(gid[1]), ...groups.split(' ').filter(Boolean).map(Number)],
  };
}

/**
 * A process that has ended, whether or not its parent has noticed: a zombie still answers kill(pid, 0). One whose first
 * thread alone has ended shows state Z as well, and goes on in its other threads.
 */
export function isDead({ state, threads }: Pick<ProcStat, 'state' | 'threads'>): boolean {
  return (state === 'Z' && threads <= 1) || state === 'X' || state === 'x';
}

/** Stopped by a signal (T) or held by a debugger (t). */
export function isStopped(state: string): boolean {
  return state === 'T' || state === 't';
}

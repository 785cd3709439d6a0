/**
 * A second reader of /proc/PID/stat, slow and plain: cut at the last parenthesis, split at spaces. It shares nothing with
 * the worker's own, which goes over bytes, and is what that one is held against. For whole lines of the kernel alone.
 */
import type { ProcStat } from '../../worker/process/stat.ts';

export function parseByWords(text: string): ProcStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 1 || close < open) return undefined;
  const words = text.slice(close + 2).split(' ');
  const number = (fieldOfProc5: number) => Number(words[fieldOfProc5 - 3]);
  return {
    pid: Number(text.slice(0, open - 1)),
    comm: text.slice(open + 1, close),
    state: words[0]!,
    ppid: number(4),
    pgrp: number(5),
    session: number(6),
    tty: number(7),
    isKernelThread: (number(9) & 0x00200000) !== 0,
    ownTicks: number(14) + number(15),
    reapedTicks: number(16) + number(17),
    threads: number(20),
    startTicks: number(22),
  };
}

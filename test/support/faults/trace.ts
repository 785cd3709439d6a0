/**
 * The signals that a worker and its guard really send, as strace sees them, and what must hold of them: nobody gets one
 * who was not in that world at that moment, and no process is stopped by two at a time. The first part is pure.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** One signal as it was sent. Times in milliseconds since 1970. */
export interface SentSignal {
  by: number;
  atMs: number;
  to: number;
  signal: string;
  /** False: the kernel said that there is no such process. */
  reached: boolean;
}

/** A process that tests started, and when it was there; `goneAtMs` is when it had been seen gone. */
export interface Lifetime {
  pid: number;
  bornAtMs: number;
  goneAtMs: number;
}

const CALL =
  /^(\d+) +(\d+\.\d+) (?:kill\((-?\d+)|tgkill\((-?\d+), -?\d+|pidfd_send_signal\(\d+<(?:pid:(-?\d+)|anon_inode:\[pidfd\])>), (SIG[A-Z0-9]+|0)\b(.*)$/;
const UNFINISHED = /<unfinished \.\.\.>$/;

/**
 * Processes of hobbler's own, threads included: the worker, and whom it or its guard started (`flock`, `chrt`, `rmdir`, the
 * guard itself). A Node that is told to end before it has handlers sends itself the same signal once more.
 */
export function parseOwn(text: string): number[] {
  const returned = /(?:clone3?|v?fork)(?:\(.*| resumed>.*)\) = (\d+)$/gm;
  const senders = /^(\d+) /gm;
  return [...text.matchAll(returned), ...text.matchAll(senders)].map((match) => Number(match[1]));
}

/** Reads strace's lines (`-f -ttt --decode-fds=pidfd`). Throws on a call that it does not understand: none may be missed. */
export function parseTrace(text: string): SentSignal[] {
  const sent: SentSignal[] = [];
  for (const line of text.split('\n')) {
    if (!/ (?:kill|tgkill|pidfd_send_signal)\(/.test(line)) continue;
    const [, by, seconds, byKill, byTgkill, byPidfd, signal, rest] = CALL.exec(line) ?? [];
    if (signal === undefined) throw new Error(`not a line of a trace as expected: ${line}`);
    const to = byKill ?? byTgkill ?? byPidfd;
    // A pidfd without a pid is one of a process that has been reaped: it reaches nobody.
    if (signal === '0' || to === undefined) continue;
    // One that was interrupted in the middle was sent, as far as anybody knows.
    const reached = UNFINISHED.test(line) || / = 0$/.test(rest!);
    sent.push({ by: Number(by), atMs: Number(seconds) * 1000, to: Number(to), signal, reached });
  }
  return sent;
}

/** Reads a trace file while strace writes it: whole lines only, and each once. */
export class TraceReader {
  readonly #path: string;
  #offset = 0;
  /** The beginning of a line that is not whole yet. */
  #rest = '';
  /** Hobbler's own, as far as it has seen them. */
  readonly #own = new Set<number>();

  constructor(path: string) {
    this.#path = path;
  }

  next(): SentSignal[] {
    const sizeBytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (sizeBytes === this.#offset) return [];
    const buffer = Buffer.alloc(sizeBytes - this.#offset);
    const descriptor = openSync(this.#path, 'r');
    this.#offset += readSync(descriptor, buffer, 0, buffer.length, this.#offset);
    closeSync(descriptor);
    const text = this.#rest + buffer.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    this.#rest = text.slice(end);
    const whole = text.slice(0, end);
    for (const pid of parseOwn(whole)) this.#own.add(pid);
    return parseTrace(whole).filter(({ to }) => !this.#own.has(to));
  }
}

/** Everybody who may be signalled is known by pid and lifetime; whoever else was hit is a stranger. */
export function strangers(sent: readonly SentSignal[], known: readonly Lifetime[]): string[] {
  return sent
    .filter(({ reached }) => reached)
    .filter(({ to, atMs }) => !known.some((one) => one.pid === to && one.bornAtMs <= atMs && atMs <= one.goneAtMs))
    .map(({ by, to, signal, atMs }) => `pid ${by} sent ${signal} to the stranger ${to} at ${atMs}`);
}

/** Two loops on one process in two workers would sooner or later stop it without a continue in between. */
export class DoubleStops {
  readonly #stoppedBy = new Map<number, number>();

  take(sent: readonly SentSignal[]): string[] {
    const faults: string[] = [];
    for (const { by, to, signal, reached } of sent) {
      if (!reached) continue;
      const before = this.#stoppedBy.get(to);
      if (signal === 'SIGSTOP') {
        if (before !== undefined && before !== by) faults.push(`pid ${to} is stopped by ${before} and by ${by}`);
        this.#stoppedBy.set(to, by);
      }
      if (signal === 'SIGCONT') this.#stoppedBy.delete(to);
    }
    return faults;
  }

  /** The sender has ended: what it had stopped is released by others. */
  ended(): void {
    this.#stoppedBy.clear();
  }
}

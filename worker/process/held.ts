/**
 * One process, held by descriptors for as long as we may signal it: its stat, and a pidfd where those can be had. The
 * only way to a member of a target: by pid alone a signal could reach a stranger (invariant 4).
 *
 * The pidfd is opened after the stat and before it is read. A read that succeeds on the kept stat says that its process
 * has had this pid from before the pidfd was opened until now, so the pidfd is that process's; with the same start time
 * it is the one that was meant. From then on a signal needs no look. Without a pidfd, identity is as old as the last
 * read.
 *
 * Who gets no signals for a while needs no pidfd: `rest` gives it back, `look` does without, and the next stop gets one.
 */
import { KeptStat, type Proc } from './proc.ts';
import { type Sent, sendContinue, sendStop } from './signals.ts';
import type { StatFields } from './stat.ts';

export class HeldProcess {
  readonly pid: number;
  readonly #proc: Proc;
  readonly #stat: KeptStat;
  #pidfd: number | undefined;

  constructor(proc: Proc, pid: number, startTicks: number) {
    this.pid = pid;
    this.#proc = proc;
    this.#stat = new KeptStat(proc, pid, startTicks);
  }

  /** The process now, or undefined when it is gone, without a second descriptor. The object is filled anew by the next. */
  look(): Readonly<StatFields> | undefined {
    return this.#stat.read();
  }

  /** The same before a signal: makes sure, where pidfds can be had, of whom it will reach. */
  read(): Readonly<StatFields> | undefined {
    if (this.#pidfd !== undefined) return this.#stat.read();
    this.#stat.open();
    this.#pidfd = this.#proc.openPidfd(this.pid);
    const now = this.#stat.read();
    // A pidfd of nobody knows whom must not outlive this call.
    if (!now) this.#closePidfd();
    return now;
  }

  /** Stops it. The caller has journalled it before (invariant 1), and has looked at it at least once. */
  stop(): Sent {
    if (this.#pidfd === undefined && this.#proc.pidfds && !this.read()) return 'gone';
    return this.#pidfd === undefined ? sendStop(this.pid) : this.#proc.pidfds!.stop(this.#pidfd);
  }

  continue(): Sent {
    return this.#pidfd === undefined ? sendContinue(this.pid) : this.#proc.pidfds!.continue(this.#pidfd);
  }

  /** It will get no signals for a while. Not to be called while it is stopped. */
  rest(): void {
    this.#closePidfd();
  }

  close(): void {
    this.#closePidfd();
    this.#stat.close();
  }

  #closePidfd(): void {
    if (this.#pidfd === undefined) return;
    this.#proc.closePidfd(this.#pidfd);
    this.#pidfd = undefined;
  }
}

/**
 * The worker's side of the guard: starts it (or finds the one that a service runs), sends the beats, and notices when
 * it is dead or deaf. While there is no guard that listens, nothing may be stopped (invariant 1). It releases nothing
 * itself: guard.sh is the only code that does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Clock, sleep, type Timer } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { GAP_MS } from '../engine/scheduler.ts';
import { takeNiceness } from '../priority.ts';
import type { StatePaths } from '../state-dir.ts';
import { readStateFile } from '../state-file.ts';

const SCRIPT = fileURLToPath(new URL('./guard.sh', import.meta.url));
/** How often the worker beats; the guard takes 2.5 s of silence for a hang. */
const BEAT_EVERY_MS = 500;
/** A guard that has not written down a beat for this long does not listen. */
const DEAF_AFTER_MS = 2_000;
/** How long a guard may take to start and answer. */
const ANSWER_WITHIN_MS = 3_000;
const POLL_MS = 10;
/** What the guard writes down is one short line. */
const MAX_LINE_BYTES = 100;

/** Undoes everything that the journal in `dir` names. Returns how many processes, cgroups and quotas that were. Needs no worker. */
export function releaseOnce(dir: string): number {
  const run = spawnSync('bash', [SCRIPT, 'release', dir], { encoding: 'latin1', timeout: 30_000 });
  if (run.error || run.status !== 0) {
    throw new HobblerError('internal', `the release script failed (${run.error?.message ?? run.stderr.trim()})`, {
      where: SCRIPT,
      hint: `run it by hand: bash ${SCRIPT} release ${dir}`,
    });
  }
  return Number(run.stdout);
}

export interface GuardEvents {
  /** A guard listens: stops are allowed. */
  onAlive(): void;
  /** No guard listens: everything must run until there is one again. */
  onDead(why: string): void;
  /** The worker itself was away for so long that the guard may have released everything. */
  onGap(gapMs: number): void;
}

export class GuardLink {
  readonly #paths: StatePaths;
  readonly #mode: 'spawn' | 'external';
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #events: GuardEvents;
  /** Tells our beats from those of a worker before us. */
  readonly #run = randomUUID().slice(0, 8);
  #child: ChildProcess | undefined;
  #fifo: number | undefined;
  #beat = 0;
  #seenBeat = 0;
  #seenAtMs = 0;
  #turnedAtMs = 0;
  #alive = false;
  #stopped = false;
  #timer: Timer | undefined;

  constructor(paths: StatePaths, mode: 'spawn' | 'external', clock: Clock, log: Logger, events: GuardEvents) {
    this.#paths = paths;
    this.#mode = mode;
    this.#clock = clock;
    this.#log = log;
    this.#events = events;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  /** The guard's pid: of the child that we started, else as a service's guard has written it down. */
  get pid(): number | undefined {
    if (this.#hasChild) return this.#child?.pid;
    try {
      const pid = Number.parseInt(readStateFile(this.#paths.guardPid, MAX_LINE_BYTES), 10);
      return pid > 1 ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  get #hasChild(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Connects to a guard; then keeps beating, and looks for another one whenever it is lost. */
  async start(): Promise<void> {
    await this.#connect();
    if (this.#stopped) return;
    if (!this.#alive)
      this.#log.warn(
        { mode: this.#mode, dir: this.#paths.dir },
        'no guard listens yet: nothing is stopped until one does',
      );
    this.#turnedAtMs = this.#clock.monotonicMs();
    this.#timer = this.#clock.every(BEAT_EVERY_MS, async () => {
      await this.#turn();
      this.#turnedAtMs = this.#clock.monotonicMs(); // waiting for a new guard is no absence
    });
  }

  /** Sends a beat and waits until the guard has written it down. False: it does not answer. */
  async confirm(): Promise<boolean> {
    if (!this.#sendBeat()) return false;
    const sent = this.#beat;
    const giveUpAtMs = this.#clock.monotonicMs() + ANSWER_WITHIN_MS;
    while (this.#clock.monotonicMs() < giveUpAtMs) {
      if (this.#readSeen() >= sent) return true;
      await sleep(this.#clock, POLL_MS);
    }
    return false;
  }

  /** Says goodbye. The caller has released everything before. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#fifo !== undefined) {
      try {
        writeSync(this.#fifo, 'bye\n');
      } catch {
        // It is gone already, or will see the end of the FIFO.
      }
    }
    this.#closeFifo();
    this.#alive = false;
  }

  async #turn(): Promise<void> {
    if (this.#stopped) return;
    this.#noticeGap();
    if (this.#fifo === undefined) return this.#connect();
    if (!this.#sendBeat()) return this.#lost('it is gone');
    const seen = this.#readSeen();
    const nowMs = this.#clock.monotonicMs();
    if (seen > this.#seenBeat) {
      this.#seenBeat = seen;
      this.#seenAtMs = nowMs;
      if (!this.#alive) this.#found();
    } else if (this.#alive && nowMs - this.#seenAtMs > DEAF_AFTER_MS) {
      this.#lost(`it has not listened for ${DEAF_AFTER_MS} ms`, { keepFifo: true });
    }
  }

  /** A silence of our own is no deafness of the guard's: the gap comes first, then the guard gets time to answer. */
  #noticeGap(): void {
    const nowMs = this.#clock.monotonicMs();
    const awayMs = nowMs - this.#turnedAtMs - BEAT_EVERY_MS;
    this.#turnedAtMs = nowMs;
    if (awayMs <= GAP_MS) return;
    this.#seenAtMs = nowMs;
    this.#events.onGap(awayMs);
  }

  async #connect(): Promise<void> {
    if (this.#stopped) return;
    if (!this.#openFifo() && this.#mode === 'spawn') {
      this.#spawn();
      const giveUpAtMs = this.#clock.monotonicMs() + ANSWER_WITHIN_MS;
      while (!this.#openFifo() && !this.#stopped && this.#clock.monotonicMs() < giveUpAtMs)
        await sleep(this.#clock, POLL_MS);
    }
    if (this.#fifo === undefined || this.#stopped) return;
    if ((await this.confirm()) && !this.#stopped) this.#found();
  }

  #found(): void {
    this.#seenBeat = this.#beat;
    this.#seenAtMs = this.#clock.monotonicMs();
    this.#alive = true;
    this.#log.debug({ pid: this.pid }, 'the guard listens');
    this.#events.onAlive();
  }

  #lost(why: string, { keepFifo = false } = {}): void {
    if (!keepFifo) this.#closeFifo();
    if (!this.#alive) return;
    this.#alive = false;
    this.#log.warn({ why }, 'lost the guard: everything runs until there is one again');
    this.#events.onDead(why);
  }

  #spawn(): void {
    if (this.#hasChild) return;
    // A session of its own: a Ctrl-C or a hang-up meant for the worker must not reach it.
    const child = spawn('bash', [SCRIPT, 'watch', this.#paths.dir, 'once'], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.on('error', (error) => this.#log.error(`the guard cannot be started: ${error.message}`));
    child.on('exit', () => {
      if (!this.#stopped && this.#child === child) this.#lost('it has ended');
    });
    child.unref();
    takeNiceness(child.pid);
    this.#child = child;
  }

  /** True once a guard has the other end open. */
  #openFifo(): boolean {
    const { O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
    try {
      this.#fifo = openSync(this.#paths.fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
    } catch {
      return false; // no FIFO yet, or nobody reads it
    }
    // A plain file in its place would take every beat and answer none; a guard that starts puts a FIFO there.
    if (fstatSync(this.#fifo).isFIFO()) return true;
    this.#closeFifo();
    return false;
  }

  #closeFifo(): void {
    if (this.#fifo !== undefined) closeSync(this.#fifo);
    this.#fifo = undefined;
  }

  #sendBeat(): boolean {
    if (this.#fifo === undefined) return false;
    try {
      writeSync(this.#fifo, `${this.#run}.${++this.#beat}\n`);
      return true;
    } catch (error) {
      // A full FIFO is a guard that does not read: that shows in what it has seen.
      return (error as NodeJS.ErrnoException).code === 'EAGAIN';
    }
  }

  #readSeen(): number {
    try {
      const [run, beat] = readStateFile(this.#paths.guardSeen, MAX_LINE_BYTES).split('.');
      return run === this.#run ? Number.parseInt(beat ?? '', 10) || 0 : 0;
    } catch {
      return 0;
    }
  }
}

/**
 * The journal: everything that is or may be stopped, frozen, limited or moved by us, written down before it is
 * (invariant 1), so that the guard can undo it without us. Append-only lines, one write per batch, no fsync: it lies on
 * tmpfs. Paths come last on their line, since they may hold blanks.
 *
 *   boot BOOT_ID
 *   stop PID START        we may have stopped it
 *   left PID START        no longer ours: it was found stopped by somebody else, or left the tarpit
 *   freeze FILE           we may have frozen it: a cgroup.freeze or freezer.state
 *   thawed FILE           no longer ours
 *   quota OLD OURS FILE   we may have put OURS where OLD was (`max:100000` stands for `max 100000`)
 *   restored FILE         no longer ours
 *   adopt DIRECTORY       we may have made it and moved processes into it, from the root of its hierarchy
 *   emptied DIRECTORY     it is no more
 *
 * When a write fails, nothing more is stopped (the caller sees the error); what stands in the file stays released by
 * the guard. The guard reads the file by its name, so one that was removed or replaced is no journal: `ensure` sees that
 * and writes it anew.
 */
import { closeSync, fstatSync, ftruncateSync, lstatSync, renameSync, rmSync, writeSync } from 'node:fs';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { createStateFile } from './state-file.ts';

interface Identity {
  readonly pid: number;
  readonly startTicks: number;
}

interface Change {
  readonly path: string;
  readonly old: string;
  readonly ours: string;
}

/**
 * The file is rewritten when it holds this many lines and half of them are of the past: the guard reads it to the end
 * before it releases, 20,000 lines in 0.5 s.
 */
const COMPACT_AT_LINES = 4_096;

export class Journal {
  readonly #path: string;
  readonly #bootId: string;
  readonly #log: Logger;
  /** Undefined: there is no file that the guard would find. */
  #descriptor: number | undefined;
  #lines = 1;
  #compactAtLines = COMPACT_AT_LINES;
  #bytes = 0;
  /** What a release would have to look at: pid → start time. */
  readonly #live = new Map<number, number>();
  /** The same of files and directories: path → the line that stands for it. */
  readonly #paths = new Map<string, string>();
  #failed = false;

  /** Not begun yet: nothing can be written before `ensure`. */
  constructor(path: string, bootId: string, log: Logger) {
    this.#path = path;
    this.#bootId = bootId;
    this.#log = log;
  }

  /**
   * Begins the file, in the place of an earlier one, whose names must have been released before; later makes sure that it
   * still lies where the guard looks for it, and writes it anew where it does not. False: nothing may be stopped.
   */
  ensure(): boolean {
    if (this.#descriptor !== undefined) {
      if (this.#isInPlace(this.#descriptor)) return true;
      this.#log.error({ path: this.#path }, 'the journal was removed or replaced: it is written anew');
      this.close();
    }
    try {
      this.#descriptor = this.#rewrite();
      this.#succeed();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #isInPlace(descriptor: number): boolean {
    const named = lstatSync(this.#path, { throwIfNoEntry: false });
    const ours = fstatSync(descriptor);
    return named?.ino === ours.ino && named.dev === ours.dev;
  }

  /** Writes down processes before their first stop. False: it could not be written, so they must not be stopped. */
  willStop(processes: readonly Identity[]): boolean {
    const fresh = processes.filter(({ pid, startTicks }) => this.#live.get(pid) !== startTicks);
    if (fresh.length === 0) return true;
    if (!this.#append(fresh.map(({ pid, startTicks }) => `stop ${pid} ${startTicks}\n`).join(''), fresh.length))
      return false;
    for (const { pid, startTicks } of fresh) this.#live.set(pid, startTicks);
    return true;
  }

  /** Notes processes that are not to be continued on our account any more. They run, or others stopped them. */
  left(processes: readonly Identity[]): void {
    const known = processes.filter(({ pid, startTicks }) => this.#live.get(pid) === startTicks);
    if (known.length === 0) return;
    for (const { pid } of known) this.#live.delete(pid);
    this.#append(known.map(({ pid, startTicks }) => `left ${pid} ${startTicks}\n`).join(''), known.length);
    this.#compactIfDue();
  }

  /** Writes down freezer switches before they are first turned on. False: they must not be. */
  willFreeze(paths: readonly string[]): boolean {
    return this.#note(paths.map((path) => ({ path, line: `freeze ${path}\n` })));
  }

  thawed(paths: readonly string[]): void {
    this.#strike('thawed', paths);
  }

  /** Writes down quotas with what stood there before. False: they must not be set. */
  willLimit(changes: readonly Change[]): boolean {
    const word = (text: string) => text.replaceAll(' ', ':');
    return this.#note(
      changes.map(({ path, old, ours }) => ({ path, line: `quota ${word(old)} ${word(ours)} ${path}\n` })),
    );
  }

  restored(paths: readonly string[]): void {
    this.#strike('restored', paths);
  }

  /** Writes down a directory of our own before it is made. False: it must not be. */
  willAdopt(directory: string): boolean {
    return this.#note([{ path: directory, line: `adopt ${directory}\n` }]);
  }

  emptied(directory: string): void {
    this.#strike('emptied', [directory]);
  }

  #note(lines: readonly { path: string; line: string }[]): boolean {
    const fresh = lines.filter(({ path, line }) => this.#paths.get(path) !== line);
    if (fresh.length === 0) return true;
    for (const { path } of fresh)
      if (!path.startsWith('/') || /\p{Cc}/u.test(path)) throw new TypeError(`not a path for the journal: ${path}`);
    if (!this.#append(fresh.map(({ line }) => line).join(''), fresh.length)) return false;
    for (const { path, line } of fresh) this.#paths.set(path, line);
    return true;
  }

  #strike(word: string, paths: readonly string[]): void {
    const known = paths.filter((path) => this.#paths.delete(path));
    if (known.length === 0) return;
    this.#append(known.map((path) => `${word} ${path}\n`).join(''), known.length);
    this.#compactIfDue();
  }

  #append(text: string, lines: number): boolean {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return false;
    try {
      const bytes = Buffer.byteLength(text);
      // Where the whole lines end, and not where a torn write left the file's position.
      const written = writeSync(descriptor, text, this.#bytes);
      if (written !== bytes) {
        // A half-written line would hide the next one: take it back.
        ftruncateSync(descriptor, this.#bytes);
        throw new Error(`only ${written} of ${bytes} bytes written`);
      }
      this.#bytes += bytes;
      this.#lines += lines;
      this.#succeed();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #succeed(): void {
    if (this.#failed) this.#log.info({ path: this.#path }, 'the journal can be written again');
    this.#failed = false;
  }

  #fail(error: unknown): void {
    if (!this.#failed)
      this.#log.error(
        { path: this.#path },
        `the journal cannot be written, so nothing new is stopped: ${messageOf(error)}`,
      );
    this.#failed = true;
  }

  #compactIfDue(): void {
    if (this.#lines < this.#compactAtLines || this.#live.size + this.#paths.size >= this.#lines / 2) return;
    const before = this.#descriptor;
    if (before === undefined) return;
    try {
      this.#descriptor = this.#rewrite();
      this.#compactAtLines = COMPACT_AT_LINES;
      closeSync(before);
    } catch (error) {
      this.#compactAtLines = this.#lines + COMPACT_AT_LINES; // not again at every line
      this.#log.warn({ path: this.#path }, `the journal cannot be made shorter: ${messageOf(error)}`);
    }
  }

  /** Writes a new file beside the old one and puts it in its place in one step. */
  #rewrite(): number {
    const temporary = `${this.#path}.new`;
    const descriptor = createStateFile(temporary);
    try {
      this.#fill(descriptor);
      renameSync(temporary, this.#path);
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  #fill(descriptor: number): void {
    const lines = [
      `boot ${this.#bootId}\n`,
      ...[...this.#live].map(([pid, startTicks]) => `stop ${pid} ${startTicks}\n`),
      ...this.#paths.values(),
    ];
    const text = lines.join('');
    const bytes = Buffer.byteLength(text);
    // A disk that is nearly full takes a part: who is missing in the new file would not be released.
    if (writeSync(descriptor, text, 0) !== bytes) throw new Error('no room for the shorter journal');
    this.#bytes = bytes;
    this.#lines = lines.length;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/**
 * The terminal, for a program that takes all of it: raw keys in, whole frames out, and the terminal as it was when the
 * program ends, however it ends short of SIGKILL. Knows nothing of what is shown.
 *
 * The kernel sends no SIGTSTP for a Ctrl-Z in raw mode, so this sends it to its own job, as editors do: to the whole
 * process group, because bin/hobbler.js may stand between us and the shell.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import type { Clock, Timer } from '../../shared/clock.ts';
import { type Key, readKeys } from './keys.ts';

/** Alternate screen, no cursor, no wrapping (a width that the terminal counts otherwise must not shift the picture). */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const LEAVE = '\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l';
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** An Escape key is told from the beginning of a sequence by what does not follow within this time, milliseconds. */
const ESCAPE_AFTER_MS = 50;
/** After a suspension that the kernel refuses (a job that no shell watches) we go on after this time, milliseconds. */
const REFUSED_AFTER_MS = 50;
/** A terminal that does not say its size. */
const DEFAULT_WIDTH = 80;
const DEFAULT_HEIGHT = 24;

export interface ScreenEvents {
  onKey(key: Key): void;
  /** Its size has changed, or what was on it is gone. */
  onChange(): void;
  /** A signal, or the terminal has gone away. */
  onEnd(): void;
}

export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #clock: Clock;
  readonly #events: ScreenEvents;
  #isOpen = false;
  #isEntered = false;
  #shown: readonly string[] = [];
  #unread = '';
  #escape: Timer | undefined;

  constructor(input: ReadStream, output: WriteStream, clock: Clock, events: ScreenEvents) {
    this.#input = input;
    this.#output = output;
    this.#clock = clock;
    this.#events = events;
  }

  get size(): { width: number; height: number } {
    return { width: this.#output.columns || DEFAULT_WIDTH, height: this.#output.rows || DEFAULT_HEIGHT };
  }

  open(): void {
    this.#isOpen = true;
    process.once('exit', this.#leave);
    for (const signal of END_SIGNALS) process.on(signal, this.#onEnd);
    process.on('SIGTSTP', this.suspend);
    process.on('SIGCONT', this.#onContinued);
    this.#output.on('resize', this.#onResized);
    this.#input.setEncoding('utf8');
    this.#input.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onEnd);
    this.#enter();
  }

  close(): void {
    this.#isOpen = false;
    this.#escape?.cancel();
    this.#leave();
    this.#input.off('data', this.#onData).off('end', this.#onEnd).pause();
    this.#output.off('resize', this.#onResized);
    for (const signal of END_SIGNALS) process.off(signal, this.#onEnd);
    process.off('SIGTSTP', this.suspend);
    process.off('SIGCONT', this.#onContinued);
    process.off('exit', this.#leave);
  }

  /** Shows these lines; only what has changed is written. */
  paint(lines: readonly string[]): void {
    if (!this.#isEntered) return;
    let text = '';
    for (let index = 0; index < Math.max(lines.length, this.#shown.length); index++) {
      const line = lines[index] ?? '';
      if (line !== this.#shown[index]) text += `\u001b[${index + 1};1H${line}\u001b[K`;
    }
    this.#shown = [...lines];
    if (text !== '') this.#output.write(text);
  }

  /** What stands on the terminal is not known any more: the next frame is written as a whole. */
  forget(): void {
    this.#shown = [];
    if (this.#isEntered) this.#output.write('\u001b[2J');
  }

  /** Gives the terminal back and stops this job, until the shell continues it. */
  readonly suspend = (): void => {
    this.#leave();
    process.off('SIGTSTP', this.suspend); // so that it has its default effect
    process.kill(0, 'SIGTSTP');
    this.#clock.after(REFUSED_AFTER_MS, this.#onContinued);
  };

  /** Continued, maybe after a SIGSTOP that let us give nothing back: the terminal is taken anew in any case. */
  readonly #onContinued = (): void => {
    if (!this.#isOpen) return;
    if (process.listenerCount('SIGTSTP') === 0) process.on('SIGTSTP', this.suspend);
    this.#enter();
    this.#events.onChange();
  };

  readonly #onResized = (): void => {
    this.forget();
    this.#events.onChange();
  };

  readonly #onEnd = (): void => this.#events.onEnd();

  readonly #onData = (chunk: Buffer | string): void => {
    this.#escape?.cancel();
    this.#readKeys(String(chunk), false);
    if (this.#unread !== '') this.#escape = this.#clock.after(ESCAPE_AFTER_MS, () => this.#readKeys('', true));
  };

  #readKeys(more: string, isComplete: boolean): void {
    const { keys, rest } = readKeys(this.#unread + more, isComplete);
    this.#unread = rest;
    for (const key of keys) if (this.#isOpen) this.#events.onKey(key);
  }

  #enter(): void {
    // Off and on again, since Node sets nothing where it believes it set; a background job is stopped here by SIGTTOU.
    this.#input.setRawMode(false);
    this.#input.setRawMode(true);
    this.#isEntered = true;
    this.#shown = [];
    this.#output.write(ENTER);
  }

  readonly #leave = (): void => {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    try {
      this.#output.write(LEAVE);
      this.#input.setRawMode(false);
    } catch {
      // The terminal is gone, and there is nothing to give back.
    }
  };
}

/**
 * A file of JSON lines that somebody goes on writing to, followed by name: through rotation by rename or by copying,
 * through restarts of the producer, from where it was left. A line counts when it is whole. Looks once a second rather
 * than be told: that works on every file system. Nothing is skipped for being late, as readings are placed by their time;
 * a line that is fed twice, after a crash between feeding and noting so, changes nothing.
 *
 *   a look, for each open file:  cut? ──► look for its copy, and begin at its start
 *                                whole lines ──► intake ──► position, in Redis
 *                                no longer in its place, and quiet ──► its last line, then closed
 */
import { resolve } from 'node:path';
import type { Clock, Timer } from '../../../shared/clock.ts';
import { HobblerError, messageOf } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { parseReadingText } from '../../reading.ts';
import { type FeedOptions, patiently } from '../jsonl.ts';
import { type FileId, identify, LineFile } from './line-file.ts';
import { MAX_FILES, type Positions } from './positions.ts';
import { findRotated, rotatedAfter } from './rotated.ts';

export interface FollowOptions {
  path: string;
  positions: Positions;
  accept: FeedOptions['accept'];
  clock: Clock;
  log: Logger;
}

const LOOK_EVERY_MS = 1_000;
/** Looks without news after which nobody writes to a file any more that has been renamed: its writer was told, or has died. */
const QUIET_LOOKS = 10;
/** Refusals of one batch that are spelt out in the log. */
const MAX_TOLD = 3;

/** An open file, and for how many looks it has had nothing new. */
interface Followed {
  file: LineFile;
  quietLooks: number;
}

export class FollowedFile {
  readonly #path: string;
  readonly #options: FollowOptions;
  readonly #stopping = new AbortController();
  /** Oldest first. */
  #files: Followed[] = [];
  #isTakenUp = false;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lastTrouble = '';

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#path = resolve(options.path);
  }

  start(): void {
    this.#timer = this.#options.clock.every(LOOK_EVERY_MS, () => this.#lookSafely());
  }

  /** Ends it within the batch that it is feeding. Never rejects. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort();
    await this.#looking;
    await Promise.all(this.#files.map(({ file }) => file.close()));
    this.#files = [];
  }

  /** One look. Rejects with what the file system or the intake says; the next look makes it good. */
  async look(): Promise<void> {
    if (!this.#isTakenUp) await this.#takeUp();
    const inPlace = (await identify(this.#path))?.id ?? null;
    if (inPlace !== null && !this.#files.some(({ file }) => file.id === inPlace)) {
      const file = await LineFile.open(this.#path);
      if (file) this.#files.push({ file, quietLooks: 0 });
    }
    for (const followed of [...this.#files]) await this.#lookAt(followed, inPlace);
  }

  /** Opens what an earlier producer had open, and what was rotated away since, each where it was left. */
  async #takeUp(): Promise<void> {
    const { positions, log } = this.#options;
    const known = await positions.load();
    const files: LineFile[] = [];
    for (const position of known) {
      const there = await LineFile.open(this.#path);
      if (there?.id === position.id && (await there.resume(position))) {
        files.push(there);
        continue;
      }
      await there?.close();
      const rotated = await findRotated(this.#path, position);
      if (rotated) files.push(rotated);
      else
        log.warn(
          { path: this.#path, offset: position.offset },
          'gone while nobody followed it, with what was not read',
        );
    }
    const last = files.at(-1);
    if (last && last.path !== this.#path)
      for (const later of await rotatedAfter(this.#path, last)) {
        if (files.some(({ id }) => id === later.id)) await later.close();
        else files.push(later);
      }
    this.#files = files.map((file) => ({ file, quietLooks: 0 }));
    this.#isTakenUp = true;
  }

  async #lookAt(followed: Followed, inPlace: FileId | null): Promise<void> {
    const { file } = followed;
    const before = file.position;
    if (await file.restartIfCut()) {
      const copy = await findRotated(this.#path, before);
      if (copy) this.#files.unshift({ file: copy, quietLooks: 0 });
      const more = copy ? 'and its copy is read to the end' : 'and no copy of it was found';
      this.#options.log.info({ path: this.#path, offset: before.offset }, `cut or written anew, ${more}`);
    }
    const hasNews = await this.#feed(file, false);
    followed.quietLooks = hasNews ? 0 : followed.quietLooks + 1;
    const isOnWayOut = inPlace !== null && file.id !== inPlace;
    if (!isOnWayOut || (followed.quietLooks < QUIET_LOOKS && this.#files.length <= MAX_FILES)) return;
    await this.#feed(file, true);
    await file.close();
    this.#files = this.#files.filter((other) => other !== followed);
    await this.#save();
  }

  /** True: there was something to feed. */
  async #feed(file: LineFile, isEnding: boolean): Promise<boolean> {
    for (let hadNews = false; ; hadNews = true) {
      const lines = await file.read(isEnding);
      if (lines === null || this.#stopping.signal.aborted) return hadNews;
      const start = file.position.offset;
      const inputs = lines.texts.filter((text) => text.trim() !== '').map(parseReadingText);
      if (inputs.length > 0) {
        const { refused } = await this.#waitingOutRedis(() => this.#options.accept(inputs));
        if (refused.length > 0) {
          this.#options.log.warn(
            { path: this.#path, afterByte: start, refused: refused.length, why: refused.slice(0, MAX_TOLD) },
            'lines were refused',
          );
        }
      }
      await file.advance(lines);
      await this.#save();
    }
  }

  async #save(): Promise<void> {
    const { positions } = this.#options;
    await this.#waitingOutRedis(() => positions.save(this.#files.map(({ file }) => file.position)));
  }

  #waitingOutRedis<T>(work: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    const onWaiting = (why: string) => log.warn({ path: this.#path }, `readings wait: ${why}`);
    return patiently(work, clock, onWaiting, this.#stopping.signal);
  }

  #lookSafely(): Promise<void> {
    this.#looking = this.look().then(
      () => {
        this.#lastTrouble = '';
      },
      (error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        const trouble = error instanceof HobblerError ? error.message : `${this.#path}: ${messageOf(error)}`;
        if (trouble !== this.#lastTrouble) this.#options.log.warn(`cannot follow: ${trouble}`);
        this.#lastTrouble = trouble;
      },
    );
    return this.#looking;
  }
}

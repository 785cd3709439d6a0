/**
 * One open file of lines, read from a position on. Owns what is a whole line, how far the file is fed, and whether it is
 * still the file that it was: it may be cut to nothing and written anew under our hands (logrotate's copytruncate). Knows
 * nothing of readings, names, or other files. Its descriptor outlives a rename, so what is still written there is read.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { HobblerError } from '../../../shared/errors.ts';
import { MAX_READING_CHARS } from '../../reading.ts';

/** How much is read at once: some two thousand readings. More than a line may have in UTF-8. */
const CHUNK_BYTES = 256 * 1024;
/** A file is known again by so many of its first bytes: a few lines, with times that differ. */
const HEAD_BYTES = 1_024;
const LINE_FEED = 0x0a;

/** Device and inode: which file it is, whatever it is called. */
export type FileId = string;

/** How far a file is fed. */
export interface Position {
  id: FileId;
  /** Bytes from its start. */
  offset: number;
  /** Digest of its first bytes, at most HEAD_BYTES and `offset`: another file under the same inode has others. */
  head: string;
}

export interface Lines {
  texts: string[];
  /** The position after them, bytes. */
  end: number;
}

/** Which file a path leads to, and when it was written to last; null: none. Rejects with invalid-input when it is no file of lines. */
export async function identify(path: string): Promise<{ id: FileId; changedNs: bigint } | null> {
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return null;
  // A FIFO has no positions, and one that nobody writes to would keep us waiting.
  if (!found.isFile()) throw new HobblerError('invalid-input', 'not a regular file', { where: path });
  return { id: `${found.dev}:${found.ino}`, changedNs: found.mtimeNs };
}

export class LineFile {
  readonly path: string;
  readonly id: FileId;
  readonly #handle: FileHandle;
  #offset = 0;
  #head = '';
  /** In a line that is longer than any reading. */
  #isSkipping = false;

  /** Null when there is no such file. Rejects with what the file system says. */
  static async open(path: string): Promise<LineFile | null> {
    if ((await identify(path)) === null) return null;
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (handle === null) return null;
    const { dev, ino } = await handle.stat({ bigint: true });
    return new LineFile(path, `${dev}:${ino}`, handle);
  }

  private constructor(path: string, id: FileId, handle: FileHandle) {
    this.path = path;
    this.id = id;
    this.#handle = handle;
  }

  get position(): Position {
    return { id: this.id, offset: this.#offset, head: this.#head };
  }

  /** Goes on where an earlier look ended. False: what was fed then does not stand here, and it begins at its start. */
  async resume(position: Position): Promise<boolean> {
    const { size } = await this.#handle.stat();
    if (size < position.offset || (await this.#headOf(position.offset)) !== position.head) return false;
    this.#offset = position.offset;
    this.#head = position.head;
    return true;
  }

  /** True when it was cut or written anew since; then it begins at its start, and `position` no longer tells how far it was. */
  async restartIfCut(): Promise<boolean> {
    if (await this.resume(this.position)) return false;
    this.#offset = 0;
    this.#head = '';
    this.#isSkipping = false;
    return true;
  }

  /**
   * Whole lines after the position; null: there is none. With `isEnding` what stands after the last line feed is a line
   * as well: nobody writes to it any more. A line that is too long to be a reading comes cut off, so that it is refused.
   */
  async read(isEnding = false): Promise<Lines | null> {
    // Asked every second of every file, most of which have nothing new.
    if ((await this.#handle.stat()).size <= this.#offset) return null;
    const { bytesRead, buffer } = await this.#handle.read(
      Buffer.allocUnsafe(CHUNK_BYTES),
      0,
      CHUNK_BYTES,
      this.#offset,
    );
    if (bytesRead === 0) return null;
    const piece = buffer.subarray(0, bytesRead);
    const last = piece.lastIndexOf(LINE_FEED);
    if (last === -1 && bytesRead < CHUNK_BYTES && !isEnding) return null;
    const isWhole = last !== -1 && !(isEnding && bytesRead < CHUNK_BYTES);
    const length = isWhole ? last + 1 : bytesRead;
    const texts = piece.subarray(0, length).toString().split('\n');
    // After the last line feed stands nothing.
    if (texts.at(-1) === '') texts.pop();
    if (this.#isSkipping) texts.shift();
    this.#isSkipping = last === -1 && length === CHUNK_BYTES;
    return { texts: texts.map((text) => text.slice(0, MAX_READING_CHARS + 1)), end: this.#offset + length };
  }

  /** What `read` gave is fed. */
  async advance({ end }: Lines): Promise<void> {
    const isHeadKnown = this.#offset >= HEAD_BYTES;
    if (!isHeadKnown) this.#head = await this.#headOf(end);
    this.#offset = end;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #headOf(offset: number): Promise<string> {
    const length = Math.min(offset, HEAD_BYTES);
    if (length === 0) return '';
    const { bytesRead, buffer } = await this.#handle.read(Buffer.alloc(length), 0, length, 0);
    return createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('base64url').slice(0, 22);
  }
}

/**
 * Reading and writing the small files of the state directory, whatever lies in their place. A FIFO would make open(2)
 * wait for ever, and with it every phase; a link would lead the write elsewhere, as root. So nothing is followed,
 * nothing is waited for, and what is no plain file is a fault that says so. Owns that alone, not what the files mean.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** The beginning of a plain file, at most `maxBytes`. Throws what open(2) and read(2) say, and where it is no plain file. */
export function readStateFile(path: string, maxBytes: number): string {
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new Error(`expected a plain file, got ${kindOf(found)}: ${path}`);
    const buffer = Buffer.alloc(Math.min(found.size, maxBytes));
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** A new and empty file for its owner alone, for writing. What was there under this name is removed, unless it is a directory. */
export function createStateFile(path: string): number {
  rmSync(path, { force: true });
  return openSync(path, 'wx', 0o600);
}

/** Puts `text` in the place of whatever is there, in one step: readers find the old or the new, never a part. */
export function writeStateFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  const descriptor = createStateFile(temporary);
  try {
    // A disk that is nearly full takes a part.
    const bytes = Buffer.byteLength(text);
    if (writeSync(descriptor, text, 0) !== bytes) throw new Error(`no room for ${bytes} bytes: ${temporary}`);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Whether anything has this name, a link to nowhere too. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

export function kindOf(found: Pick<Stats, 'isFIFO' | 'isDirectory' | 'isSocket' | 'isSymbolicLink'>): string {
  if (found.isFIFO()) return 'a FIFO';
  if (found.isDirectory()) return 'a directory';
  if (found.isSocket()) return 'a socket';
  return found.isSymbolicLink() ? 'a link' : 'a device';
}

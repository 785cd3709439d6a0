/**
 * Where the files have gone that stood at a path before: logrotate and its like rename them beside it (`usage.jsonl.1`,
 * `usage.jsonl-20251124`), or copy them there. Owns looking for them; a compressed one is lost, and that is for the
 * caller to say.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { identify, LineFile, type Position } from './line-file.ts';
import { MAX_FILES } from './positions.ts';

const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|Z)$/;

/** The files beside `path` that bear its name with something after it, the one changed last at the end. */
async function besides(path: string): Promise<string[]> {
  const directory = dirname(path);
  const name = basename(path);
  const names = (await readdir(directory)).filter(
    (other) =>
      other !== name && /^[.-]/.test(other.slice(name.length)) && other.startsWith(name) && !COMPRESSED.test(other),
  );
  const found = await Promise.all(
    names.map(async (other) => {
      const file = join(directory, other);
      // What is no file, or may not be looked at, was none of ours.
      const changedNs = (await identify(file).catch(() => null))?.changedNs;
      return changedNs === undefined ? [] : [{ file, changedNs }];
    }),
  );
  return found
    .flat()
    .sort((a, b) => (a.changedNs < b.changedNs ? -1 : 1))
    .slice(-MAX_FILES)
    .map(({ file }) => file);
}

/** The file that was fed until this position, if it is beside `path` under another name, opened there; else null. */
export async function findRotated(path: string, position: Position): Promise<LineFile | null> {
  for (const name of await besides(path)) {
    const file = await LineFile.open(name);
    if (!file) continue;
    // Known by its inode after a rename; a copy has only the same beginning, and a beginning of nothing is everybody's.
    if ((file.id === position.id || position.offset > 0) && (await file.resume(position))) return file;
    await file.close();
  }
  return null;
}

/** The files that were rotated after this one, each opened at its start, oldest first. */
export async function rotatedAfter(path: string, { path: known }: LineFile): Promise<LineFile[]> {
  const names = await besides(path);
  const later = names.slice(names.indexOf(known) + 1);
  const files = await Promise.all(later.map((name) => LineFile.open(name)));
  return files.filter((file) => file !== null);
}

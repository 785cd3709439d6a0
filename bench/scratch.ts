/** The bench's temporary directory, and how what it makes is named, so that leftovers of one that was killed are known. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Undo } from './undo.ts';

const PREFIX = 'hobbler-bench-';
/** What directories and cgroups of this bench begin with. */
export const OWN_PREFIX = `${PREFIX}${process.pid}-`;

/** Whether this is the name of something that a bench made which is there no more. */
export function isLeftover(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

/** A directory for this bench, removed by `undo`; directories of benches that were killed are removed at once. */
export function makeScratch(undo: Undo): string {
  for (const name of readdirSync(tmpdir()).filter(isLeftover))
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  const path = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  undo.add(path, () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * "Nothing left behind", looked at for real after everything has been stopped: processes, processes in state T, sockets,
 * files. Looks only; whatever it finds is said, and makes the demo fail.
 */
import { existsSync } from 'node:fs';
import { type Identity, isAlive, treeOf } from '../worker/process/ending.ts';
import type { Proc } from '../worker/process/proc.ts';
import { isStopped } from '../worker/process/stat.ts';
import type { Promised } from './story.ts';

export interface Traces {
  /** Every process that was seen in a tree, and those of hobbler itself. */
  processes: readonly Identity[];
  /** Directories and sockets that were made. */
  paths: readonly string[];
  /** Where servers listened. */
  urls: readonly string[];
}

export async function checkLeftovers(proc: Proc, { processes, paths, urls }: Traces): Promise<Promised> {
  const self = proc.identify(process.pid)!;
  const children = treeOf(proc, self).filter(({ pid }) => pid !== self.pid);
  const known = new Map([...children, ...processes].map((one) => [`${one.pid}@${one.startTicks}`, one]));
  const living = [...known.values()].filter((one) => isAlive(proc, one));
  const stopped = living.filter(({ pid }) => isStopped(proc.readStat(pid)?.state ?? ''));
  const files = paths.filter((path) => existsSync(path));
  const servers = process.getActiveResourcesInfo().filter((name) => /^(TCP|Pipe)ServerWrap$/.test(name));
  const listening: string[] = [];
  for (const url of urls) {
    if (
      await fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
        () => true,
        () => false,
      )
    )
      listening.push(url);
  }
  const found = [
    ...living.map(({ pid }) => `process ${pid}${stopped.some((one) => one.pid === pid) ? ' (stopped)' : ''}`),
    ...listening,
    ...servers,
    ...files,
  ];
  return {
    promise: 'nothing is left: no process, no stopped process, no socket, no file',
    isKept: found.length === 0,
    detail:
      found.length === 0
        ? `looked for ${known.size} processes, ${paths.length} paths, ${urls.length} servers`
        : found.join(', '),
  };
}

/** What a hobbler's journal says may have to be undone, read as the guard reads it: the last line on each thing. */
import { readFileSync } from 'node:fs';
import type { TestHost } from './host.ts';

/** `left` and the like strike out what has the same name; of a quota the file is the name. */
const ENDS: Record<string, string> = { left: 'stop', thawed: 'freeze', restored: 'quota', emptied: 'adopt' };

export function liveLines({ host }: Pick<TestHost, 'host'>): string[] {
  return liveLinesOf(host.paths.journal);
}

export function liveLinesOf(path: string): string[] {
  const live = new Map<string, string>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const word = line.split(' ', 1)[0]!;
    if (word === '' || word === 'boot') continue;
    const rest = line.slice(word.length + 1);
    const name = word === 'quota' ? rest.split(' ').slice(2).join(' ') : rest;
    const begun = ENDS[word];
    if (begun === undefined) live.set(`${word} ${name}`, line);
    else live.delete(`${begun} ${name}`);
  }
  return [...live.values()];
}

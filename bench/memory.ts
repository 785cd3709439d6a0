/**
 * Memory of a contender's processes. RSS counts a page once per process that maps it, PSS divides it among them, so PSS
 * is what many processes of one program really take.
 */
import { readFileSync } from 'node:fs';

/** Millions of bytes. */
export interface Memory {
  rssMB: number;
  pssMB: number;
}

/** The sum over these processes; one that has ended meanwhile counts nothing. */
export function memoryOf(pids: readonly number[]): Memory {
  const sum = { rssMB: 0, pssMB: 0 };
  for (const pid of pids) {
    const memory = parseRollup(readRollup(pid));
    sum.rssMB += memory.rssMB;
    sum.pssMB += memory.pssMB;
  }
  return sum;
}

function readRollup(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  } catch {
    return ''; // ended
  }
}

/** The lines `Rss:      1612 kB` and `Pss:       244 kB` of smaps_rollup. */
export function parseRollup(text: string): Memory {
  const mega = (field: string) =>
    (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6;
  return { rssMB: mega('Rss'), pssMB: mega('Pss') };
}

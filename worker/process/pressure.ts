/**
 * Pressure stall information: /proc/pressure, which says for what part of the time somebody had to wait. Linux 4.20 has
 * it, where it is not switched off; in a container it is the whole host's. Read with each beat, three small files.
 *
 * some avg10=4.05 avg60=2.11 avg300=1.02 total=123456
 */
import { readFileSync } from 'node:fs';
import type { Pressure } from '../../shared/report.ts';

export function readPressure(root = '/proc'): Pressure {
  return { cpu: waiting(root, 'cpu'), memory: waiting(root, 'memory'), io: waiting(root, 'io') };
}

function waiting(root: string, resource: string): number | null {
  try {
    return parsePressure(readFileSync(`${root}/pressure/${resource}`, 'latin1'));
  } catch {
    // Not there, or switched off (EOPNOTSUPP): not known, which is not the same as none.
    return null;
  }
}

/** The part of the last 10 s, 0 to 1; null when the text is not what the kernel writes. */
export function parsePressure(text: string): number | null {
  const percent = /^some avg10=(\d{1,3}(?:\.\d+)?) /m.exec(text)?.[1];
  return percent === undefined ? null : Number(percent) / 100;
}

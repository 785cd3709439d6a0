/**
 * Targets as people type them. `4242` and `pid:4242` are completed with the start time of the process that has that pid
 * on this machine now (invariant 4: a pid never travels without it). Reads /proc through the worker's door, and never
 * guesses for another host.
 */
import { HobblerError } from '../shared/errors.ts';
import { parseTarget, type Target } from '../shared/target.ts';

const BARE_PID = /^(?:pid:)?([1-9]\d{0,6})$/;

export interface Identifier {
  identify(pid: number): { pid: number; startTicks: number } | undefined;
}

/** Parses a target of this machine, completing a pid. Throws invalid-input, or not-found for a pid that nobody has. */
export function parseLocalTarget(text: string, proc: Identifier): Target {
  const bare = BARE_PID.exec(text);
  if (!bare) return parseTarget(text);
  const found = proc.identify(Number(bare[1]));
  if (found) return { kind: 'pid', ...found };
  throw new HobblerError('not-found', `no process ${bare[1]} on this machine`, {
    where: 'target',
    hint: 'it may have ended; look with: ps -e',
  });
}

/** Parses a target of another host, or of all. Throws invalid-input that says how a pid is written there. */
export function parseRemoteTarget(text: string, host: string): Target {
  const bare = BARE_PID.exec(text);
  if (!bare) return parseTarget(text);
  throw new HobblerError('invalid-input', 'a pid needs its start time', {
    where: 'target',
    expected: `pid:${bare[1]}@START`,
    got: text,
    hint: `give the order on ${host === '*' ? 'the host of that process' : host}, where START is found by itself; it is field 22 of /proc/${bare[1]}/stat there`,
  });
}

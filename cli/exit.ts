/**
 * Exit codes: what a script may rely on. One table, shown by `hobbler --help`, and the way from an error to its code.
 * Nothing here ends the process; cli.ts alone does.
 */
import { constants } from 'node:os';
import { HobblerError, messageOf } from '../shared/errors.ts';

export const EXIT = {
  ok: 0,
  /** It was tried and did not come about: refused, denied, gone, a check that failed. */
  failed: 1,
  /** The command line or the config file cannot be meant. Nothing was done. */
  usage: 2,
  /** Redis, a producer, a host or the host's lock could not be had. */
  unavailable: 3,
} as const;

export const EXIT_HELP = `Exit codes:
  0  done
  1  failed: refused, denied, gone, or a check that does not hold
  2  usage: the command line or the config file is wrong; nothing was done
  3  unavailable: Redis, a producer or a host does not answer, or another hobbler runs here`;

/** The exit code for what was thrown. */
export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof HobblerError)) return EXIT.failed;
  switch (thrown.code) {
    case 'invalid-input':
    case 'invalid-config':
      return EXIT.usage;
    case 'redis-unavailable':
    case 'redis-misconfigured':
    case 'producer-unavailable':
    case 'host-locked':
      return EXIT.unavailable;
    case 'unauthorized':
    case 'not-found':
    case 'unsupported':
    case 'denied':
    case 'bound-exceeded':
    case 'internal':
      return EXIT.failed;
  }
}

/** What a person is told of it: one line per fault, no stack trace. */
export function describeError(thrown: unknown): string {
  return messageOf(thrown)
    .split('\n')
    .map((line) => `hobbler: ${line}`)
    .join('\n');
}

/** The code by which a shell shows how a child ended: its own, or 128 and the number of the signal. */
export function exitCodeOfChild(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? EXIT.failed) : 128 + (constants.signals[signal] ?? 0);
}

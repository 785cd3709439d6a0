/**
 * Starts the bench's programs, each inside a meter, and ends them. Talks with them line by line. Every wait has a bound:
 * a program that does not answer fails its round and does not hang the bench.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { systemClock, within } from '../shared/clock.ts';
import type { Meter } from './cgroups.ts';
import type { Undo } from './undo.ts';

/** How long a program may take to end before it is killed, milliseconds. */
const END_LIMIT_MS = 10_000;
/** How long an answer may take: a Node that starts among 200 busy processes takes seconds. */
export const ANSWER_LIMIT_MS = 60_000;

export interface Launcher {
  undo: Undo;
  /** Path of one of our compiled programs. */
  bin(name: string): string;
}

export interface Program {
  readonly pid: number;
  /** Resolves when it has ended, with its exit code or the signal that ended it. */
  readonly ended: Promise<string>;
  /** The next line that it writes to its standard output. Throws when it ends, or says nothing for too long. */
  nextLine(): Promise<string>;
  /** Its lines until one that reads `ready`. */
  linesUntilReady(): Promise<string[]>;
  write(text: string): void;
  /** Ends it by SIGTERM, bounded; resolves with the rest of what it wrote. */
  end(): Promise<string[]>;
}

export interface LaunchOptions {
  /** Written to its standard input, which is then closed. Left out: it stays open for `write`. */
  input?: string;
  /** Sees what it writes to standard error; else that goes to ours. */
  onError?: (text: string) => void;
}

/** Starts a program inside a meter. `undo` ends it. */
export function launch(
  { undo, bin }: Launcher,
  meter: Meter,
  command: string,
  args: readonly string[],
  { input, onError }: LaunchOptions = {},
): Program {
  const child: ChildProcess = spawn(bin('enter'), [meter.procsPath, command, ...args], { stdio: 'pipe' });
  const name = command.split('/').at(-1)!;
  const lines: string[] = [];
  let wake = () => {};
  let hasEnded = false;
  const ended = once(child, 'close').then(([code, signal]) => {
    hasEnded = true;
    wake();
    return `${code ?? signal}`;
  });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line);
    wake();
  });
  child.stdin!.on('error', () => {}); // it ended; the next answer that is waited for says so
  child.stderr!.setEncoding('utf8').on('data', onError ?? ((text: string) => process.stderr.write(text)));
  if (input !== undefined) child.stdin!.end(input);

  const nextLine = async (): Promise<string> => {
    const giveUpAtMs = systemClock.monotonicMs() + ANSWER_LIMIT_MS;
    while (lines.length === 0) {
      if (hasEnded) throw new Error(`${name} has ended (${await ended})`);
      const leftMs = giveUpAtMs - systemClock.monotonicMs();
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!(await within(systemClock, leftMs, woken)).done) throw new Error(`${name} does not answer`);
    }
    return lines.shift()!;
  };
  const end = async (): Promise<string[]> => {
    child.stdin!.end();
    if (!hasEnded) child.kill('SIGTERM');
    const gone = await within(systemClock, END_LIMIT_MS, ended);
    if (!gone.done) {
      child.kill('SIGKILL');
      await ended;
      throw new Error(`${name} (pid ${child.pid}) did not end within ${END_LIMIT_MS} ms and was killed`);
    }
    return lines.splice(0);
  };
  undo.add(`${name} (pid ${child.pid})`, end);
  return {
    pid: child.pid!,
    ended,
    nextLine,
    linesUntilReady: async () => {
      const answer: string[] = [];
      for (let line = await nextLine(); line !== 'ready'; line = await nextLine()) answer.push(line);
      return answer;
    },
    write: (text) => child.stdin!.write(text),
    end,
  };
}

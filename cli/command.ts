/**
 * The command of `hobbler run -- COMMAND`: a child that waits at a gate until it is hobbled, so that no part of it runs
 * at full speed, nor at all when it cannot be hobbled; and its end, with everything that it started. Its signals, exit
 * code and terminal are those it would have without us.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type Clock, sleep } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { type Identity, isAlive, sendEnd, treeOf } from '../worker/process/ending.ts';
import type { Proc } from '../worker/process/proc.ts';
import { exitCodeOfChild } from './exit.ts';

/** The shell becomes the command, under the same pid and start time. Its own exit codes are the usual 126 and 127. */
const GATE = `read -r _ <&3 || exit 125; exec 3<&-; exec "$@"`;

/** What is still there after the signal is asked again, then made to end; milliseconds after the signal. */
const ASK_AGAIN_MS = 1_000;
const FORCE_MS = 3_000;
const LOOK_EVERY_MS = 20;

export interface Command extends Identity {
  /** Its exit code, or 128 and the number of the signal that ended it. */
  ended: Promise<number>;
  /** Lets it run. */
  openGate(): void;
  /** Ends it unrun, if the gate is still closed. */
  giveUp(): void;
}

/** Starts a command at its gate. Throws when not even a shell can be started. */
export async function startCommand(args: readonly string[], proc: Proc): Promise<Command> {
  const child = spawn('sh', ['-c', GATE, 'hobbler', ...args], { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] });
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject)).catch((error) => {
    throw new HobblerError('internal', `no shell can be started (${messageOf(error)})`);
  });
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(exitCodeOfChild(code, signal)));
  });
  const identity = proc.identify(child.pid!);
  const gate = gateOf(child);
  if (!identity) throw new HobblerError('internal', 'the command ended before it began', { got: await ended });
  return {
    ...identity,
    ended,
    openGate: () => gate.end('go\n'),
    giveUp: () => gate.destroy(),
  };
}

function gateOf(child: ChildProcess) {
  const gate = child.stdio[3] as import('node:stream').Writable;
  gate.on('error', () => {}); // EPIPE: it has ended
  return gate;
}

/**
 * Passes a signal on to the command and all that it started, and sees to it that they end: some shells' background
 * jobs ignore SIGINT. `wasToldByTerminal`: a Ctrl-C that the terminal has sent to all of them already.
 */
export async function endCommand(
  command: Command,
  signal: NodeJS.Signals,
  {
    proc,
    clock,
    hurry,
    wasToldByTerminal,
  }: { proc: Proc; clock: Clock; hurry: Promise<unknown>; wasToldByTerminal: boolean },
): Promise<void> {
  let isHurried = false;
  void hurry.then(() => {
    isHurried = true;
  });
  const known = new Map<number, Identity>();
  const look = () => {
    for (const one of treeOf(proc, command)) known.set(one.pid, one);
    // Children of those whose parent has ended already are found by them.
    for (const one of [...known.values()]) for (const below of treeOf(proc, one)) known.set(below.pid, below);
    for (const one of known.values()) if (!isAlive(proc, one)) known.delete(one.pid);
  };
  const tell = (what: NodeJS.Signals) => {
    for (const one of known.values()) sendEnd(proc, one, what);
  };
  look();
  if (!wasToldByTerminal) tell(signal);
  const startedAtMs = clock.monotonicMs();
  let hasAsked = false;
  for (;;) {
    look();
    if (known.size === 0) return;
    const elapsedMs = clock.monotonicMs() - startedAtMs;
    if (elapsedMs >= FORCE_MS || isHurried) tell('SIGKILL');
    else if (elapsedMs >= ASK_AGAIN_MS && !hasAsked) {
      hasAsked = true;
      tell('SIGTERM');
    }
    await sleep(clock, LOOK_EVERY_MS);
  }
}

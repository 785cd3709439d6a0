/**
 * The demo's work: three process trees, each a shell with three children that burn CPU, and the count of units they have
 * done. Owns their start, their end, and the reasons for their shape:
 *
 * - The children of a tree hand a token round, so that a tree as a whole asks for one core at most. The greedy one asks
 *   for all of it, the modest ones pause and ask for 0.2: 1.4 cores together, so that two suffice, and the CPU that the
 *   tarpit sets free is nobody else's gain. The others' rates then show what hobbler does to them, which is nothing.
 * - A unit of work ends in one byte down a pipe to us. When we are gone, however that came about, the write fails, the
 *   child ends, and the token's pipes close one after the other: no orphan burns on.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HobblerError } from '../shared/errors.ts';
import { type Identity, sendEnd, treeOf } from '../worker/process/ending.ts';
import type { Proc } from '../worker/process/proc.ts';

/** $1 directory, $2 loops per unit, $3 rounds between two pauses (0: none), $4 pause in seconds. Plain sh, for dash. */
const SCRIPT = `
dir=$1 loops=$2 rounds=$3 pause=$4
mkfifo "$dir/1" "$dir/2" "$dir/3" || exit 1
# Held open by all, so that no open waits for its other end; each child then keeps its own two alone.
exec 7<>"$dir/1" 8<>"$dir/2" 9<>"$dir/3"
work() {
  exec 7<&- 8<&- 9<&-
  round=0
  while read -r _ <&3; do
    i=0; while [ $i -lt $loops ]; do i=$((i+1)); done
    printf . || exit
    if [ $rounds -gt 0 ]; then
      round=$((round+1))
      if [ $round -ge $rounds ]; then round=0; sleep $pause; fi
    fi
    echo >&4 || exit
  done
}
(rounds=0; work) 3<"$dir/1" 4>"$dir/2" &
(rounds=0; work) 3<"$dir/2" 4>"$dir/3" &
work 3<"$dir/3" 4>"$dir/1" &
echo >&7
exec 7<&- 8<&- 9<&- 1<&-
wait`;

/** CPU time of one unit, milliseconds: short beside a run phase, long beside the write that ends it. */
const UNIT_MS = 3;
const CHILDREN = 3;
/** The modest trees: rounds between pauses, and the pause that makes it 0.2 of a core. */
const ROUNDS = 3;
const MODEST_SHARE = 0.2;
const START_LIMIT_MS = 10_000;

export interface RunningTree extends Identity {
  account: string;
  child: ChildProcess;
  /** Units of work done so far. */
  units(): number;
  /** How it ended, if it did. */
  endedEarly(): string | null;
}

export type Appetite = 'greedy' | 'modest';

/** How many loops of the shell make a unit on this machine, by the fastest of a few tries: others may be busy too. */
export function calibrateLoops(nowMs: () => number): number {
  const LOOPS = 100_000;
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt++) {
    const startedAtMs = nowMs();
    const { status } = spawnSync('sh', ['-c', `i=0; while [ $i -lt ${LOOPS} ]; do i=$((i+1)); done`]);
    if (status !== 0)
      throw new HobblerError('unsupported', 'sh cannot be run', { hint: 'the demo needs a POSIX shell' });
    fastestMs = Math.min(fastestMs, nowMs() - startedAtMs);
  }
  return Math.max(100, Math.round((LOOPS * UNIT_MS) / fastestMs));
}

/** Starts a tree and waits for its first unit. */
export async function startTree(
  account: string,
  appetite: Appetite,
  { dir, loops, proc }: { dir: string; loops: number; proc: Proc },
): Promise<RunningTree> {
  const own = join(dir, account);
  mkdirSync(own);
  const workMs = UNIT_MS * CHILDREN * ROUNDS;
  const pauseSeconds = (workMs / MODEST_SHARE - workMs) / 1000;
  const rounds = appetite === 'greedy' ? 0 : ROUNDS;
  // A session of its own: a Ctrl-C is for the demo, which ends its trees itself.
  const child = spawn(
    'sh',
    ['-c', SCRIPT, `demo-${account}`, own, String(loops), String(rounds), pauseSeconds.toFixed(3)],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    },
  );
  let units = 0;
  let ended: string | null = null;
  const begun = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      units += chunk.length;
      resolve();
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      ended = `it ended with ${signal ?? code}`;
      reject(new HobblerError('internal', ended, { where: `the tree of ${account}` }));
    });
    AbortSignal.timeout(START_LIMIT_MS).addEventListener('abort', () =>
      reject(new HobblerError('internal', `no work within ${START_LIMIT_MS} ms`, { where: `the tree of ${account}` })),
    );
  });
  begun.catch(() => {});
  await begun;
  const identity = proc.identify(child.pid!);
  if (!identity) throw new HobblerError('internal', 'it ended at once', { where: `the tree of ${account}` });
  return { ...identity, account, child, units: () => units, endedEarly: () => ended };
}

/** Ends a tree at once, also where it is stopped. */
export async function endTree(tree: RunningTree, proc: Proc): Promise<void> {
  const { child } = tree;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const gone = hasEnded() ? Promise.resolve() : new Promise((resolve) => child.once('exit', resolve));
  // Leaves last, so that no parent can start another child meanwhile.
  for (const one of treeOf(proc, tree)) sendEnd(proc, one, 'SIGKILL');
  child.stdout?.destroy();
  await gone;
}

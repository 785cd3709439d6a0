/**
 * Real processes for tests to hobble, and the promise that none of them outlives its test. Everything started here is
 * written down with its start time and marked in its environment, so that what double-forked away is found too.
 * `expectNothingLeft` belongs in afterEach: it fails on whatever was left stopped, and ends everything. Signals go to
 * processes that tests started, and to no other.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ProcessId } from '../../shared/target.ts';
import { descendantsOf, isAlive, type ProcessStat, readAll, readStartTicks, readStat } from './proc.ts';
import { until } from './until.ts';

export { cpuSeconds, descendantsOf, isAlive, readStartTicks, readState } from './proc.ts';
export { until } from './until.ts';

/** Marks what this test file started: the environment is inherited, and stays when a process is re-parented. */
const MARK = `HOBBLER_TEST_MARK=${process.pid}-${readStartTicks(process.pid)}`;
const START_LIMIT_MS = 5_000;
/** A test runner that is killed leaves its spinners behind; they end by themselves after this many CPU seconds. */
const SPINNER_CPU_LIMIT_S = 300;

export interface StartOptions extends SpawnOptions {
  /** A service that its test must have ended: expectNothingLeft fails while it runs. */
  mustEnd?: boolean;
}

export interface TestProcess extends ProcessId {
  child: ChildProcess;
}

interface Started extends ProcessId {
  label: string;
  mustEnd: boolean;
}
const started: Started[] = [];

/** Starts a program and writes it down. Any spawn option goes (uid, gid, stdio, detached, …). */
export async function startProcess(
  command: string,
  args: readonly string[] = [],
  { mustEnd = false, ...options }: StartOptions = {},
): Promise<TestProcess> {
  const [name, value] = MARK.split('=') as [string, string];
  const child = spawn(command, args, {
    stdio: 'ignore',
    ...options,
    env: { ...(options.env ?? process.env), [name]: value },
  });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  // A child that ended at once is a zombie at least until Node's next turn, so this reads its own start time.
  return { child, ...register(child.pid!, [command, ...args].join(' ').slice(0, 80), mustEnd) };
}

/** Writes down a process that something else started, e.g. the one a demo printed, so that it is ended too. */
export function register(pid: number, label = `pid ${pid}`, mustEnd = false): ProcessId {
  const startTicks = readStartTicks(pid);
  if (startTicks === undefined) throw new Error(`ended before it could be written down: ${label}`);
  return registerKnown({ pid, startTicks }, label, mustEnd);
}

/** The same for one whose start time is known already; it may have ended since, which is then all that it had to do. */
export function registerKnown({ pid, startTicks }: ProcessId, label = `pid ${pid}`, mustEnd = false): ProcessId {
  started.push({ pid, startTicks, label, mustEnd });
  return { pid, startTicks };
}

/** A process that takes all of a core. */
export function spawnSpinner(options?: StartOptions): Promise<TestProcess> {
  return startProcess('sh', ['-c', `ulimit -t ${SPINNER_CPU_LIMIT_S}; while :; do :; done`], options);
}

/** `count` processes that sleep. */
export function spawnSleepers(count: number, options?: StartOptions): Promise<TestProcess[]> {
  return Promise.all(Array.from({ length: count }, () => startProcess('sleep', ['600'], options)));
}

/** The shape of a tree: what a process does, and its children. */
export interface TreeShape {
  work: 'spin' | 'sleep';
  children?: TreeShape[];
}

export interface TreeNode extends ProcessId {
  children: TreeNode[];
}

/** A tree of the given number of levels (1: the root alone) in which each inner process has `width` children. */
export function treeShape(levels: number, width: number, work: TreeShape['work'] = 'sleep'): TreeShape {
  if (levels <= 1) return { work };
  return { work, children: Array.from({ length: width }, () => treeShape(levels - 1, width, work)) };
}

/** Starts a tree of shells of that shape and waits until all of it is there. */
export async function spawnTree(shape: TreeShape, options?: StartOptions): Promise<TreeNode & TestProcess> {
  const root = await startProcess('sh', ['-c', `ulimit -t ${SPINNER_CPU_LIMIT_S}; ${script(shape)}`], options);
  const expected = countOf(shape);
  const all = await until(
    () => {
      const found = descendantsOf(root.pid);
      // A leaf is there once it has become what it is to be: `sh` turns into `sleep` at the end of its script.
      const leavesReady = found.filter((stat) => stat.name === 'sleep').length === sleepingLeavesOf(shape, true);
      return found.length === expected - 1 && leavesReady ? found : undefined;
    },
    { deadlineMs: START_LIMIT_MS, what: `a tree of ${expected} processes under ${root.pid}` },
  );
  return { ...nodeOf(root, all!), child: root.child };
}

/** Every process of a tree, the root first. */
export function flatten(node: TreeNode): ProcessId[] {
  return [{ pid: node.pid, startTicks: node.startTicks }, ...node.children.flatMap(flatten)];
}

function script({ work, children = [] }: TreeShape): string {
  const starts = children.map((child) => `sh -c ${quote(script(child))} & `).join('');
  if (work === 'spin') return `${starts}while :; do :; done`;
  return children.length > 0 ? `${starts}wait` : 'exec sleep 600';
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function countOf({ children = [] }: TreeShape): number {
  return children.reduce((sum, child) => sum + countOf(child), 1);
}

function sleepingLeavesOf({ work, children = [] }: TreeShape, isRoot = false): number {
  if (children.length === 0) return work === 'sleep' && !isRoot ? 1 : 0;
  return children.reduce((sum, child) => sum + sleepingLeavesOf(child), 0);
}

function nodeOf({ pid, startTicks }: ProcessId, all: readonly ProcessStat[]): TreeNode {
  return { pid, startTicks, children: all.filter((stat) => stat.ppid === pid).map((stat) => nodeOf(stat, all)) };
}

/**
 * For afterEach. Ends everything that was started through this file, descendants and run-aways included, then fails if
 * any of it had been left stopped (state T or t), or if a service that its test had to end still ran.
 */
export async function expectNothingLeft(): Promise<void> {
  const left = leftOver();
  const stopped = left.filter((stat) => stat.state === 'T' || stat.state === 't');
  const running = started.filter((one) => one.mustEnd && isAlive(one));
  // Twice over: what a process starts between the look and its end is found at the second look.
  for (let found = left; found.length > 0; found = leftOver()) {
    for (const stat of found) signalExactly(stat, 'SIGCONT');
    for (const stat of found) signalExactly(stat, 'SIGKILL');
    await until(() => found.every((stat) => !isAlive(stat)), {
      deadlineMs: START_LIMIT_MS,
      what: () => `the end of ${found.filter(isAlive).map(describeStat).join(', ')}`,
    });
  }
  started.length = 0;
  const faults = [
    ...stopped.map((stat) => `left stopped: ${describeStat(stat)}`),
    ...running.map((one) => `left running: ${one.label} (pid ${one.pid})`),
  ];
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** Sends a signal to that very process; says whether it was still there. For tests that kill a worker. */
export function signalExactly(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (readStat(id.pid)?.startTicks !== id.startTicks) return false;
  try {
    return process.kill(id.pid, signal);
  } catch {
    return false;
  }
}

function leftOver(): ProcessStat[] {
  const all = readAll();
  const found = new Map<number, ProcessStat>();
  for (const one of started) {
    const stat = all.find(({ pid, startTicks }) => pid === one.pid && startTicks === one.startTicks);
    if (stat === undefined) continue;
    for (const each of [stat, ...descendantsOf(stat.pid, all)]) found.set(each.pid, each);
  }
  for (const stat of all) if (isMarked(stat.pid)) found.set(stat.pid, stat);
  return [...found.values()].filter(isAlive);
}

function isMarked(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(MARK);
  } catch {
    return false;
  }
}

function describeStat({ pid, name, state }: ProcessStat): string {
  return `pid ${pid} (${JSON.stringify(name)}, state ${state})`;
}

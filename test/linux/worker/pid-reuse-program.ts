/**
 * Run in a pid namespace of its own, where it may say which pid comes next. Hobbles processes, lets each die in a stop
 * phase, gives its pid to a stranger at once, and prints what became of that one. JSON on stdout.
 *
 * Usage: pid-reuse-program.ts pidfd|start-time ROUNDS WATCH_MS. With `start-time` koffi cannot be loaded, as on a
 * machine that lacks it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { HeldProcess } from '../../../worker/process/held.ts';
import { identityMechanism } from '../../../worker/process/pidfd.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import { readState } from '../../support/proc.ts';
import { until } from '../../support/until.ts';

const [way, rounds, watchMs] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
if (way === 'start-time')
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'koffi') throw new Error("Cannot find module 'koffi'");
      return next(specifier, context);
    },
  });

const sleeper = () => spawn('sleep', ['60'], { stdio: 'ignore' });

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** A new process under a pid that is free again. A thread that starts meanwhile may take it first. */
async function startUnder(pid: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 20; attempt++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const child = sleeper();
    if (child.pid === pid) return child;
    await kill(child);
  }
  throw new Error(`pid ${pid} could not be had again`);
}

/** A handle alone, with no look between the death and the signals: what is sent, and whether the stranger was stopped. */
async function signalAfterReuse({ host }: TestHost) {
  const first = sleeper();
  const pid = first.pid!;
  const held = new HeldProcess(host.proc, pid, host.proc.identify(pid)!.startTicks);
  if (!held.read()) throw new Error('the first one is not there');
  await kill(first);
  const stranger = await startUnder(pid);
  const sent = held.stop();
  const isStopped =
    sent === 'sent' &&
    Boolean(await until(() => readState(pid) === 'T', { deadlineMs: 2_000, what: 'a stop that was sent' }));
  const state = readState(pid);
  const continued = held.continue();
  const wasRead = held.read() !== undefined;
  held.close();
  await kill(stranger);
  return { sent, continued, isStopped, state, wasRead };
}

/** The engine: how often the stranger was seen stopped, and how long after its start at the latest. */
async function hobbleThroughReuse(host: TestHost) {
  const first = sleeper();
  const pid = first.pid!;
  const id = await until(() => host.host.proc.identify(pid), { deadlineMs: 2_000, what: 'the first' });
  host.tarpit(id!);
  await until(() => host.loop(id!)!.stops > 3, { deadlineMs: 5_000, what: 'three stops' });
  // At the beginning of a stop phase: 0.2 s for the death and the birth, then a signal is due.
  await until(() => readState(pid) !== 'T', { deadlineMs: 2_000, what: 'a run phase' });
  await until(() => readState(pid) === 'T', { deadlineMs: 2_000, what: 'a stop phase' });
  await kill(first);
  const stranger = await startUnder(pid);
  const from = performance.now();
  let stops = 0;
  let lastMs = 0;
  const watched = () => {
    if (readState(pid) === 'T') {
      stops++;
      lastMs = performance.now() - from;
    }
    return performance.now() - from > watchMs;
  };
  await until(watched, { deadlineMs: watchMs * 2, what: 'the time to watch' });
  const now = host.host.proc.identify(pid)!;
  const journal = readFileSync(host.host.paths.journal, 'latin1');
  const isJournalled = journal.includes(`${now.pid} ${now.startTicks}`);
  const state = readState(pid);
  await kill(stranger);
  return { stops, lastMs, isJournalled, state };
}

const host = await startHost();
const handle = await signalAfterReuse(host);
const engine = [];
for (let round = 0; round < rounds; round++) engine.push(await hobbleThroughReuse(host));
// A pid target whose processes have ended is over at the next pass at the latest.
await until(() => host.ended.length === rounds, { deadlineMs: 20_000, what: 'every target to end as gone' });
console.log(JSON.stringify({ identity: identityMechanism(), handle, engine, ended: host.ended.length }));
host.stop();

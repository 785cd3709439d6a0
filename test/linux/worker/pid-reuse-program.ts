/**
 * Run as pid 1's child of a pid namespace of its own, where it may say which pid comes next: hobbles a process, lets it
 * die, gives its pid to a stranger, and prints how often that one was seen stopped, and when last. JSON on stdout.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { startHost } from '../../support/host.ts';
import { readState } from '../../support/proc.ts';
import { until } from '../../support/until.ts';

const host = await startHost();
const start = () => spawn('sleep', ['60'], { stdio: 'ignore' });
const first = start();
const { pid } = first;
await until(() => host.host.proc.identify(pid!), { deadlineMs: 2_000, what: 'the first' });
const id = host.host.proc.identify(pid!)!;
host.host.engine.tarpit({ kind: 'pid', ...id }, { runMs: 10, stopMs: 200 }, true);
await until(() => host.loop(id)!.stops > 3, { deadlineMs: 5_000, what: 'three stops' });
first.kill('SIGKILL');
await new Promise((resolve) => first.once('exit', resolve));
writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid! - 1));
const stranger = start();
const from = performance.now();
let stops = 0;
let lastMs = 0;
await until(
  () => {
    if (readState(stranger.pid!) === 'T') {
      stops++;
      lastMs = performance.now() - from;
    }
    return performance.now() - from > 4_000;
  },
  { deadlineMs: 6_000, what: 'four seconds' },
);
const journal = readFileSync(host.host.paths.journal, 'latin1');
const end = host.host.proc.identify(stranger.pid!)!;
console.log(
  JSON.stringify({
    isSamePid: stranger.pid === pid,
    lastMs,
    stops,
    ended: host.ended,
    isJournalled: journal.includes(`${end.pid} ${end.startTicks}`),
    state: readState(stranger.pid!),
  }),
);
stranger.kill('SIGKILL');
host.stop();

/**
 * The priority of this process. A phase that ends late is a stop that lasts too long, or a run at the cost of others; and
 * on a host whose cores are all busy, or that is being bombed with forks, an ordinary process is tens of milliseconds
 * late. A niceness counts only among the processes of its own session or cgroup there. So the worker's one thread asks
 * for the lowest real-time priority. What it may cost is bounded by its budget, and by the kernel, which leaves 5 % of
 * each second to others whatever happens.
 */
import { spawnSync } from 'node:child_process';
import { setPriority } from 'node:os';

/** Above users' processes, where real time cannot be had: -20 is the most. */
const NICE = -10;
const CHRT_LIMIT_MS = 5_000;

/** Asks for a niceness above users'; for this process, or one that it has started. False: not permitted. */
export function takeNiceness(pid = process.pid): boolean {
  try {
    setPriority(pid, NICE);
    return true;
  } catch {
    return false;
  }
}

/** Asks for the lowest real-time priority, which what we start does not inherit. Why not; undefined when it was given. */
export function takeRealtime(): string | undefined {
  const chrt = spawnSync('chrt', ['--rr', '--reset-on-fork', '--pid', '1', String(process.pid)], {
    encoding: 'latin1',
    timeout: CHRT_LIMIT_MS,
  });
  return chrt.status === 0 ? undefined : (chrt.error?.message ?? chrt.stderr.trim());
}

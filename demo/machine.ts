/** What the demo asks of the machine beside its trees: how busy it is, how busy we are, and who a pid file names. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

export function readPid(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, 'latin1'), 10);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** CPU seconds that this machine has spent at work, over all cores. */
export function busySeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
}

export function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
}

/**
 * The CPU of a contender as the kernel accounts it: everything it starts runs in a cgroup of its own, so that helpers,
 * guards and short-lived children count too. Makes and removes only cgroups under its own name.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const V1 = '/sys/fs/cgroup/cpuacct';
const V2 = '/sys/fs/cgroup';

export interface CpuMeter {
  /** Writing a pid here puts it, and what it starts from then on, into the meter. */
  readonly procsPath: string;
  /** CPU seconds used so far. */
  seconds(): number;
  close(): void;
}

/** A new meter. Throws where this machine has no writable CPU accounting. */
export function openCpuMeter(name: string): CpuMeter {
  const isV1 = existsSync(join(V1, 'cpuacct.usage'));
  const directory = join(isV1 ? V1 : V2, `hobbler-bench-${process.pid}-${name}`);
  mkdirSync(directory);
  return {
    procsPath: join(directory, 'cgroup.procs'),
    seconds: () =>
      isV1
        ? Number(readFileSync(join(directory, 'cpuacct.usage'), 'latin1')) / 1e9
        : Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(directory, 'cpu.stat'), 'latin1'))![1]) / 1e6,
    close: () => rmdirSync(directory),
  };
}

/** What the bench ran on and with, for the page: hardware, kernel and versions. What cannot be found out is `unknown`. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from '../shared/clock.ts';
import { cgroupWords } from './cgroups.ts';

/** Asks a program for something of itself. */
export function ask(command: string, args: readonly string[]): string | undefined {
  try {
    const cwd = fileURLToPath(new URL('..', import.meta.url));
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** A Python that has psutil, which the original designs need; undefined when there is none. */
export function findPsutilPython(): { python: string; version: string } | undefined {
  for (const python of ['/usr/bin/python3', 'python3']) {
    const version = ask(python, ['-c', 'import psutil, sys; print(sys.version.split()[0], psutil.__version__)']);
    if (version !== undefined) return { python, version };
  }
  return undefined;
}

/** cpulimit exits with an error after its usage text, which has its version first. */
export function findCpulimit(): string | undefined {
  const text = ask('sh', ['-c', 'command -v cpulimit >/dev/null && cpulimit --help 2>&1; true']);
  return text ? (/version ([\d.]+)/i.exec(text)?.[1] ?? 'unknown version') : undefined;
}

/** Everything that a reader needs to judge the figures, by name. */
export function describeMachine(): Record<string, string> {
  const python = findPsutilPython()?.version.split(' ');
  const isDirty = ask('git', ['status', '--porcelain']) !== '';
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: String(availableParallelism()),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    cgroups: cgroupWords(),
    Node: process.version,
    Redis: /v=(\S+)/.exec(ask('redis-server', ['--version']) ?? '')?.[1] ?? 'unknown',
    'C compiler': ask('cc', ['--version'])?.split('\n')[0] ?? 'unknown',
    Python: python ? `${python[0]} with psutil ${python[1]}` : 'none with psutil',
    cpulimit: findCpulimit() ?? 'none',
    hobbler: `${ask('git', ['rev-parse', '--short', 'HEAD']) ?? 'unknown'}${isDirty ? ' with changes' : ''}`,
  };
}

/** CPU that the whole machine uses within the next `lookMs`, percent of one core: on a quiet one next to nothing. */
export async function machinePercent(lookMs: number): Promise<number> {
  const usedMs = () => cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  const before = { usedMs: usedMs(), atMs: systemClock.monotonicMs() };
  await sleep(systemClock, lookMs);
  return ((usedMs() - before.usedMs) / (systemClock.monotonicMs() - before.atMs)) * 100;
}

/** A real worker in a process of its own, started as the README says, for tests that stop, kill and hang it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkerConfig } from '../../worker/config.ts';
import { NO_BRAKE } from '../../worker/engine/brake.ts';
import { readStartTicks } from './proc.ts';
import { startProcess, type TestProcess } from './processes.ts';
import { until } from './until.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

export interface TestWorker extends TestProcess {
  stateDir: string;
  /** Everything it has logged. */
  log(): string;
  /** Resolves with its exit code, or its signal. */
  ended: Promise<number | NodeJS.Signals>;
  /** Pid and start time of its guard. */
  guard(): { pid: number; startTicks: number };
  /** SIGTERM, and wait for the end. */
  stop(): Promise<number | NodeJS.Signals>;
}

export interface TestWorkerOptions {
  redis: { url: string };
  host?: string;
  config?: Partial<Omit<WorkerConfig, 'meter' | 'exempt'>> & { exempt?: Record<string, string[]> };
  /** That of an earlier worker, to start its successor. */
  stateDir?: string;
  /** Do not wait until it is ready. */
  isUnready?: boolean;
  /** More of its environment. */
  env?: Record<string, string>;
}

const directories: string[] = [];

/** Removes the state directories of this file's workers; for afterAll. */
export function removeStateDirs(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export async function startWorker({
  redis,
  host = 'web-1',
  config = {},
  stateDir,
  isUnready = false,
  env = {},
}: TestWorkerOptions): Promise<TestWorker> {
  const directory = stateDir ?? mkdtempSync(join(tmpdir(), 'hobbler-worker-'));
  if (stateDir === undefined) directories.push(directory);
  // A test's processes are most of what its host has.
  const configPath = join(directory, 'hobbler.yaml');
  writeFileSync(configPath, JSON.stringify({ worker: { minUid: 0, brake: NO_BRAKE, ...config } }));
  const args = [CLI, '--redis', redis.url, '--config', configPath, '--state-dir', directory, 'worker', '--host', host];
  const started = await startProcess(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    mustEnd: true,
    env: { ...process.env, ...env },
  });
  let log = '';
  started.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    started.child.once('exit', (code, signal) => resolve(code ?? signal!));
  });
  if (!isUnready) {
    await until(() => log.includes('worker ready') || started.child.exitCode !== null, {
      deadlineMs: 15_000,
      what: () => `a ready worker; it said:\n${log}`,
    });
    if (!log.includes('worker ready')) throw new Error(`the worker ended:\n${log}`);
  }
  return {
    ...started,
    stateDir: directory,
    log: () => log,
    ended,
    guard: () => {
      const line = /"guard":(\d+)/.exec(log);
      const pid = Number(line?.[1]);
      return { pid, startTicks: readStartTicks(pid)! };
    },
    stop: () => {
      started.child.kill('SIGTERM');
      return ended;
    },
  };
}

/**
 * A real worker with its own guard for histories: started through the CLI on a state disk of its own, under strace where
 * its signals are to be seen, and killed, hung and woken exactly. Its log is kept in part, for messages.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessId } from '../../../shared/target.ts';
import { isAlive, readStartTicks, registerKnown, signalExactly, startProcess, type TestProcess } from '../processes.ts';
import type { StateDisk } from './state-disk.ts';

const CLI = fileURLToPath(new URL('../../../cli.ts', import.meta.url));
const LOG_CHARS = 6_000;

/** Only these calls stop the worker under strace, the others run at full speed. */
const STRACE = ['strace', '-D', '-f', '--seccomp-bpf', '-ttt', '-qq', '-e', 'signal=none', '--decode-fds=pidfd'];
const CALLS = ['-e', 'trace=kill,tgkill,pidfd_send_signal,clone,clone3,vfork,fork'];

export interface RealWorkerOptions {
  redisUrl: string;
  host: string;
  disk: StateDisk;
  /** Where strace writes; null: without. */
  tracePath: string | null;
  config: object;
}

export class RealWorker {
  readonly process: TestProcess;
  readonly #disk: StateDisk;
  #log = '';
  #wasReady = false;

  static async start({ redisUrl, host, disk, tracePath, config }: RealWorkerOptions): Promise<RealWorker> {
    // The directory may be full: the configuration of the first start stands.
    if (disk.read('hobbler.yaml') === undefined) disk.write('hobbler.yaml', JSON.stringify({ worker: config }));
    const node = [process.execPath, CLI, '--redis', redisUrl, '--config', join(disk.dir, 'hobbler.yaml')];
    const command = [
      ...disk.enter,
      ...(tracePath === null ? [] : [...STRACE, ...CALLS, '-A', '-o', tracePath]),
      ...node,
      ...['--state-dir', disk.dir, 'worker', '--host', host],
    ];
    // With the runner's end its worker ends, too, and the guard lets everything go.
    const started = await startProcess('setpriv', ['--pdeathsig', 'KILL', ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      mustEnd: true,
    });
    return new RealWorker(started, disk);
  }

  private constructor(started: TestProcess, disk: StateDisk) {
    this.process = started;
    this.#disk = disk;
    started.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      const log = this.#log + text;
      this.#wasReady ||= log.includes('worker ready');
      this.#log = log.slice(-LOG_CHARS);
    });
  }

  get isAlive(): boolean {
    return isAlive(this.process);
  }

  get isReady(): boolean {
    return this.#wasReady && this.isAlive;
  }

  get log(): string {
    return this.#log;
  }

  /** Its guard, as that has written itself down; null: there is none. */
  get guard(): ProcessId | null {
    const [pid, startTicks] = (this.#disk.read('guard.pid') ?? '').trim().split(' ').map(Number);
    if (!pid || !startTicks || readStartTicks(pid) !== startTicks) return null;
    registerKnown({ pid, startTicks }, 'a guard');
    return isAlive({ pid, startTicks }) ? { pid, startTicks } : null;
  }

  signal(signal: NodeJS.Signals): void {
    signalExactly(this.process, signal);
  }

  /** Waits for its end, and its parent's knowledge of it. */
  async ended(): Promise<void> {
    const { child } = this.process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  }
}

/**
 * A small disk of a state directory's own: a tmpfs in a mount namespace that one sleeping process holds open, so that it
 * can be filled to the last byte, and is gone with that process, however a test ends. Nobody else's mounts are touched.
 * Needs root (CAP_SYS_ADMIN).
 */
import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signalExactly, startProcess, type TestProcess } from '../processes.ts';
import { until } from '../until.ts';

const SIZE = '256k';

export class StateDisk {
  /** The directory as those see it who are inside. */
  readonly dir: string;
  readonly #holder: TestProcess;

  static async open(): Promise<StateDisk> {
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-disk-'));
    const script = `mount -t tmpfs -o size=${SIZE},mode=700 none "$1" && touch "$1/mounted" && exec sleep infinity`;
    // It ends with the test runner, and its namespace with it.
    const holder = await startProcess('setpriv', [
      '--pdeathsig',
      'KILL',
      'unshare',
      '-m',
      'sh',
      '-c',
      script,
      'sh',
      dir,
    ]);
    const disk = new StateDisk(dir, holder);
    await until(() => disk.read('mounted') !== undefined, { deadlineMs: 5_000, what: `a tmpfs on ${dir}` });
    return disk;
  }

  private constructor(dir: string, holder: TestProcess) {
    this.dir = dir;
    this.#holder = holder;
  }

  /** What puts a command into the namespace: the command's own pid stays that of the child. */
  get enter(): string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m', '--'];
  }

  /** The same file, as seen from outside. */
  path(name: string): string {
    return join('/proc', String(this.#holder.pid), 'root', this.dir, name);
  }

  read(name: string): string | undefined {
    try {
      return readFileSync(this.path(name), 'utf8');
    } catch {
      return undefined;
    }
  }

  write(name: string, text: string): void {
    writeFileSync(this.path(name), text);
  }

  remove(name: string): void {
    rmSync(this.path(name), { force: true });
  }

  /** Takes all the room that is left. */
  fill(): void {
    const page = 'x'.repeat(4_096);
    try {
      for (let pages = 0; pages < 10_000; pages++) writeFileSync(this.path('filler'), page, { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
      throw error;
    }
    throw new Error('the disk does not get full');
  }

  free(): void {
    this.remove('filler');
  }

  async close(): Promise<void> {
    signalExactly(this.#holder, 'SIGKILL');
    await new Promise<void>((resolve) => {
      if (this.#holder.child.exitCode !== null || this.#holder.child.signalCode !== null) resolve();
      else this.#holder.child.once('exit', () => resolve());
    });
    rmdirSync(this.dir);
  }
}

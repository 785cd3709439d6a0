/** The guard as a program of its own: hostile journals and directories, one per directory, and what it takes to end it. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBootId } from '../../../shared/clock.ts';
import type { ProcessId } from '../../../shared/target.ts';
import {
  expectNothingLeft,
  isAlive,
  readState,
  signalExactly,
  spawnSleepers,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';

const SCRIPT = fileURLToPath(new URL('../../../worker/guard/guard.sh', import.meta.url));
const BOOT = `boot ${readBootId()}\n`;

let dir: string;
let sleeper: TestProcess;
let fifo: number | undefined;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-guard-'));
  [sleeper] = (await spawnSleepers(1)) as [TestProcess];
});
afterEach(async () => {
  if (fifo !== undefined) closeSync(fifo);
  fifo = undefined;
  await expectNothingLeft();
  rmSync(dir, { recursive: true, force: true });
});

const lineFor = ({ pid, startTicks }: ProcessId, word = 'stop') => `${word} ${pid} ${startTicks}\n`;
const writeJournal = (...parts: (string | Buffer)[]) =>
  writeFileSync(join(dir, 'journal'), Buffer.concat(parts.map((part) => Buffer.from(part as string))));
async function stop(id: ProcessId): Promise<void> {
  signalExactly(id, 'SIGSTOP');
  await until(() => readState(id.pid) === 'T', { deadlineMs: 2_000, what: 'state T' });
}
const runs = (id: ProcessId, deadlineMs = 2_000) =>
  until(() => readState(id.pid) === 'S', { deadlineMs, what: `${id.pid} to run` });

function release(env: Record<string, string> = {}) {
  const run = spawnSync('bash', [SCRIPT, 'release', dir], {
    encoding: 'latin1',
    env: { ...process.env, ...env },
    timeout: 20_000,
  });
  return { released: Number(run.stdout), status: run.status, said: run.stderr };
}

it('shellcheck finds nothing in it', () => {
  execFileSync('shellcheck', [SCRIPT], { stdio: 'pipe' });
});

describe('release', () => {
  it('continues what the journal names, by pid and start time', async () => {
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    expect(release()).toEqual({ released: 1, status: 0, said: '' });
    await runs(sleeper);
  });

  it.each<[string, (string | Buffer)[]]>([
    ['nothing but noise', [Buffer.from(Array.from({ length: 4_096 }, (_, index) => (index * 7) % 256)), '\n']],
    ['NULs', ['\0\0\0stop\0 5\0 5\n', '\0'.repeat(10_000), '\n']],
    ['a line of a megabyte', [`stop ${'9'.repeat(1_000_000)} 1\n`]],
    ['a million words on a line', [`${'stop '.repeat(200_000)}\n`]],
    ['pids that are groups, everybody, or init', ['stop -1 5\nstop 0 0\nstop 1 1\nstop -0 0\nstop 1 0\nstop +1 1\n']],
    ['commands', ['stop $(touch x) 1\nstop `touch x` 1\nstop 5;touch x 1\nstop a[$(touch x)] 1\n$(touch x)\n']],
    ['what a shell would expand', ['stop * *\n* * *\nstop ? [a-z]\nstop ~ ~\nstop {1,2} 3\n']],
    ['numbers that a shell would compute with', ['stop 0x10 1\nstop 010 1\nstop 1+1 1\nstop 99999999999999999999 1\n']],
    ['missing words', ['stop\nstop 5\nleft\n\n \n\t\nboot\n']],
    ['words in other letters', ['STOP 5 5\nStop 5 5\n']],
    ['carriage returns', ['stop 5 5\r\n']],
  ])('passes over %s, and the rest goes on', async (_, hostile) => {
    await stop(sleeper);
    writeJournal(BOOT, ...hostile, BOOT, lineFor(sleeper));
    const { released, status } = release();
    expect([released, status]).toEqual([1, 0]);
    await runs(sleeper);
    expect(existsSync(join(dir, 'x')) || existsSync('x')).toBe(false);
  });

  it('a last line that was cut off hides nobody before it, and nobody is taken for another', async () => {
    await stop(sleeper);
    const [other] = (await spawnSleepers(1)) as [TestProcess];
    await stop(other);
    writeJournal(BOOT, lineFor(sleeper), lineFor(other).slice(0, -3));
    expect(release().released).toBe(1);
    await runs(sleeper);
    expect(readState(other.pid)).toBe('T');
    signalExactly(other, 'SIGCONT');
  });

  it('a last line without its line break counts', async () => {
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper).trimEnd());
    expect(release().released).toBe(1);
  });

  it('does not continue a stranger under an old pid, nor what has left', async () => {
    await stop(sleeper);
    writeJournal(BOOT, lineFor({ pid: sleeper.pid, startTicks: sleeper.startTicks - 1 }));
    expect(release().released).toBe(0);
    writeJournal(BOOT, lineFor(sleeper), lineFor(sleeper, 'left'));
    expect(release().released).toBe(0);
    expect(readState(sleeper.pid)).toBe('T');
    writeJournal(BOOT, lineFor(sleeper), lineFor(sleeper, 'left'), lineFor(sleeper));
    expect(release().released).toBe(1);
    await runs(sleeper);
  });

  it('does nothing with a journal of another boot, and says so', async () => {
    await stop(sleeper);
    writeJournal('boot 00000000-0000-0000-0000-000000000000\n', lineFor(sleeper));
    expect(release()).toMatchObject({ released: 0, status: 0, said: expect.stringContaining('another boot') });
    signalExactly(sleeper, 'SIGCONT');
  });

  it('needs no journal, and follows no link to one', async () => {
    expect(release()).toEqual({ released: 0, status: 0, said: '' });
    const elsewhere = mkdtempSync(join(tmpdir(), 'hobbler-elsewhere-'));
    writeFileSync(join(elsewhere, 'journal'), BOOT + lineFor(sleeper));
    symlinkSync(join(elsewhere, 'journal'), join(dir, 'journal'));
    await stop(sleeper);
    expect(release().released).toBe(0);
    signalExactly(sleeper, 'SIGCONT');
    rmSync(elsewhere, { recursive: true });
  });

  it('20,000 lines take less than 5 s, also with 5,000 processes that are gone', async () => {
    await stop(sleeper);
    const churn = Array.from({ length: 10_000 }, (_, index) => `stop ${40_000 + index} ${index}\n`);
    const left = Array.from({ length: 5_000 }, (_, index) => `left ${40_000 + index} ${index}\n`);
    const noise = Array.from({ length: 5_000 }, () => 'what is this\n');
    writeJournal(BOOT, lineFor(sleeper), churn.join(''), left.join(''), noise.join(''));
    const from = performance.now();
    expect(release().released).toBe(1);
    expect(performance.now() - from).toBeLessThan(5_000);
  });

  it.each([
    ['a parenthesis and a forged state', 'a) R 1 2 3'],
    ['newlines', 'a\nb\n7 (c'],
    ['nothing', ''],
    ['blanks and what a shell would expand', ' * $(touch x) ? '],
  ])('finds the start time behind a name with %s', async (_, name) => {
    const proc = join(dir, 'proc');
    mkdirSync(join(proc, String(sleeper.pid)), { recursive: true });
    writeFileSync(
      join(proc, String(sleeper.pid), 'stat'),
      `${sleeper.pid} (${name}) T 1 2 3 0 -1 4194304 0 0 0 0 1 2 3 4 20 0 1 0 ${sleeper.startTicks} 9 9\n`,
    );
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    expect(release({ HOBBLER_PROC: proc }).released).toBe(1);
    await runs(sleeper);
    expect(existsSync('x')).toBe(false);
  });

  it.each([['watch'], ['release', 'relative'], ['release'], ['rm', '/tmp'], []])(
    'refuses the arguments %j',
    (...args) => {
      const run = spawnSync('bash', [SCRIPT, ...args], { encoding: 'utf8', timeout: 5_000 });
      expect(run.status).toBe(2);
    },
  );
});

/** A guard that watches, and our end of its FIFO. */
async function watch(...more: string[]): Promise<TestProcess & { said(): string; beat(text?: string): void }> {
  const guard = await startProcess('bash', [SCRIPT, 'watch', dir, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  guard.child.stderr!.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await until(
    () => {
      fifo ??= openSync(join(dir, 'guard.fifo'), constants.O_WRONLY | constants.O_NONBLOCK);
      return true;
    },
    { deadlineMs: 5_000, what: 'its FIFO' },
  );
  return { ...guard, said: () => text, beat: (line = 'a.1') => void writeSync(fifo!, `${line}\n`) };
}
const hangUp = () => {
  closeSync(fifo!);
  fifo = undefined;
};

describe('watch', () => {
  it('releases when the worker’s end closes, and a guard of one worker ends with it', async () => {
    const guard = await watch('once');
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    hangUp();
    await runs(sleeper, 1_000);
    await until(() => !isAlive(guard), { deadlineMs: 2_000, what: 'its end' });
    expect(guard.said()).toContain('the worker is gone: released 1 processes');
  });

  it('a guard of a service waits for the next worker, and releases for that one too', async () => {
    const guard = await watch();
    hangUp();
    await until(() => guard.said().includes('released 0'), { deadlineMs: 2_000, what: 'the first release' });
    await until(
      () => {
        fifo ??= openSync(join(dir, 'guard.fifo'), constants.O_WRONLY | constants.O_NONBLOCK);
        return true;
      },
      { deadlineMs: 2_000, what: 'it to listen again' },
    );
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    hangUp();
    await runs(sleeper, 1_000);
  });

  it('releases after 2.5 s of silence, once; then listens on, and releases at the next silence', {
    timeout: 30_000,
  }, async () => {
    const guard = await watch();
    guard.beat();
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    await runs(sleeper, 4_500);
    await stop(sleeper);
    // Said once per silence: longer than that later it has not released again.
    const from = performance.now();
    await until(() => performance.now() - from > 3_500, { deadlineMs: 5_000, what: '3.5 s' });
    expect(readState(sleeper.pid)).toBe('T');
    guard.beat('a.2');
    await until(() => readFileSync(join(dir, 'guard.seen'), 'latin1') === 'a.2\n', {
      deadlineMs: 1_000,
      what: 'a.2 to be seen',
    });
    await runs(sleeper, 4_500);
    expect(guard.said().match(/no beat/g)).toHaveLength(2);
  });

  it('says goodbye to a worker that says it, without releasing', async () => {
    const guard = await watch('once');
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    guard.beat('bye');
    await until(() => !isAlive(guard), { deadlineMs: 2_000, what: 'its end' });
    expect(readState(sleeper.pid)).toBe('T');
    signalExactly(sleeper, 'SIGCONT');
  });

  it('there is one per directory', async () => {
    await watch();
    const second = spawnSync('bash', [SCRIPT, 'watch', dir], { encoding: 'utf8', timeout: 5_000 });
    expect(second.status).toBe(3);
    expect(second.stderr).toContain('another guard watches');
  });

  it.each(['SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    'goes on after %s, which a terminal sends to all',
    async (signal) => {
      const guard = await watch();
      signalExactly(guard, signal);
      guard.beat('a.7');
      await until(() => readFileSync(join(dir, 'guard.seen'), 'latin1') === 'a.7\n', {
        deadlineMs: 1_000,
        what: 'a.7 to be seen',
      });
      expect(isAlive(guard)).toBe(true);
    },
  );

  it('told to end (SIGTERM, as a supervisor does to all at once) it releases first', async () => {
    const guard = await watch();
    guard.beat();
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    signalExactly(guard, 'SIGTERM');
    await runs(sleeper, 1_000);
    await until(() => !isAlive(guard), { deadlineMs: 2_000, what: 'its end' });
  });

  it('told to end while no worker is there it ends', async () => {
    const guard = await watch();
    hangUp();
    await until(() => guard.said().includes('gone'), { deadlineMs: 2_000, what: 'the release' });
    signalExactly(guard, 'SIGTERM');
    await until(() => !isAlive(guard), { deadlineMs: 2_000, what: 'its end' });
  });

  it('takes whatever comes over the FIFO for a beat', async () => {
    const guard = await watch();
    for (const line of ['$(touch x)', '* * *', 'x'.repeat(3_000), '\\', '\x01\xff', '']) guard.beat(line);
    guard.beat('a.9');
    await until(() => readFileSync(join(dir, 'guard.seen'), 'latin1') === 'a.9\n', {
      deadlineMs: 2_000,
      what: 'a.9 to be seen',
    });
    expect(existsSync('x') || existsSync(join(dir, 'x'))).toBe(false);
    expect(isAlive(guard)).toBe(true);
  });

  it('forks nothing while it watches, nor when it releases', async () => {
    const guard = await watch();
    const trace = join(dir, 'trace');
    const tracer = await startProcess('strace', ['-f', '-e', 'trace=process', '-o', trace, '-p', String(guard.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    tracer.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until(() => said.includes('attached'), { deadlineMs: 5_000, what: () => `strace to attach: ${said}` });
    for (let beat = 0; beat < 20; beat++) guard.beat(`b.${beat}`);
    await until(() => readFileSync(join(dir, 'guard.seen'), 'latin1') === 'b.19\n', {
      deadlineMs: 5_000,
      what: 'the beats',
    });
    await stop(sleeper);
    writeJournal(BOOT, lineFor(sleeper));
    hangUp();
    await runs(sleeper, 3_000);
    signalExactly(tracer, 'SIGINT');
    await until(() => !isAlive(tracer), { deadlineMs: 2_000, what: 'strace to detach' });
    expect(readFileSync(trace, 'latin1')).not.toMatch(/clone|fork|exec/);
    expect(isAlive(guard)).toBe(true);
  });
});

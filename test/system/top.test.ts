/**
 * `hobbler top` and `status` as people have them: a real terminal with a job-control shell in it, a real Redis, a real
 * worker and busy processes. What is seen is what a terminal would show; whether it was given back is asked of the kernel.
 */
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Outside, openOutside } from '../support/outside.ts';
import {
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readStartTicks,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { ScreenPicture } from '../support/screen.ts';
import { openTerminal, type Terminal } from '../support/terminal.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const SEEN_WITHIN_MS = 15_000;

let redis: TestRedis;
let worker: TestWorker;
let outside: Outside;
let spinner: TestProcess;
let sleeper: TestProcess;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});
beforeEach(async () => {
  await redis.flush();
  worker = await startWorker({ redis });
  outside = openOutside(redis);
  spinner = await spawnSpinner();
  [sleeper] = (await spawnSleepers(1)) as [TestProcess];
  await outside.order('tarpit', spinner, { reason: 'spins all day' });
  await outside.order('tarpit', sleeper, { reason: 'sleeps all night' });
});
afterEach(async () => {
  await redis.resume();
  await outside.close();
  expect(await worker.stop()).toBe(0);
  await expectNothingLeft();
});

const nameOf = ({ pid, startTicks }: TestProcess) => `pid:${pid}@${startTicks}`;

async function runToEnd(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const run = await startProcess(process.execPath, [CLI, '--redis', redis.url, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOBBLER_CONFIG: '' },
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    run.child[stream]!.setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => run.child.once('close', resolve));
  return { code, ...said };
}

/** `top` typed into a shell in a terminal of 130 by 20, with what a person sees of it. */
class Session {
  readonly terminal: Terminal;
  readonly tty: string;
  modesBefore = '';

  static async begin(args = '', { node = '', command = 'top' } = {}): Promise<Session> {
    const terminal = await openTerminal();
    // Before it becomes the shell, its standard input is still that of its parent.
    const tty = await until(() => /^\/dev\/pts\/\d+$/.exec(readlinkSync(`/proc/${terminal.shell.pid}/fd/0`))?.[0], {
      deadlineMs: SEEN_WITHIN_MS,
      what: 'a shell in a terminal',
    });
    const session = new Session(terminal, tty!);
    session.resize(130);
    session.modesBefore = await session.modes();
    terminal.type(`NO_COLOR=1 ${process.execPath} ${node} ${CLI} --redis ${redis.url} ${command} ${args}\n`);
    return session;
  }

  private constructor(terminal: Terminal, tty: string) {
    this.terminal = terminal;
    this.tty = tty;
  }

  /** What tcgetattr says of the terminal, while the shell runs a command: its line editor has other modes of its own. */
  async modes(): Promise<string> {
    const from = this.terminal.shown().length;
    this.terminal.type('echo "<$(stty -g)>"\n');
    return until(() => /<([0-9a-f:]+)>/.exec(this.terminal.shown().slice(from))?.[1], {
      deadlineMs: SEEN_WITHIN_MS,
      what: () => `the modes of the terminal; ${JSON.stringify(this.terminal.shown().slice(-300))}`,
    }) as Promise<string>;
  }

  get screen(): ScreenPicture {
    return ScreenPicture.of(this.terminal.shown());
  }

  resize(columns: number, rows = 20): void {
    execFileSync('stty', ['-F', this.tty, 'cols', String(columns), 'rows', String(rows)]);
  }

  sees(what: string, is: (screen: ScreenPicture) => boolean): Promise<boolean> {
    return until(() => is(this.screen), {
      deadlineMs: SEEN_WITHIN_MS,
      what: () => `${what}; seen:\n${this.screen.text}`,
    });
  }

  seesText(text: string): Promise<boolean> {
    return this.sees(JSON.stringify(text), (screen) => screen.text.includes(text));
  }

  /** The process that takes the terminal. */
  top(): { pid: number; startTicks: number } {
    const found = descendantsOf(this.terminal.shell.pid).find(
      ({ name }) => name.startsWith('node') || name === 'MainThread',
    );
    if (!found) throw new Error('top does not run');
    return found;
  }

  /** Its end, with the terminal as it was; `code` as the shell has it. */
  async expectEnded(code: number): Promise<void> {
    await this.sees('the end of top', (screen) => !screen.isAlternate);
    await this.terminal.answers('echo "code $?."', `code ${code}.`);
    expect(await this.modes()).toBe(this.modesBefore);
    const { isCursorShown, wraps } = this.screen;
    expect({ isCursorShown, wraps }).toEqual({ isCursorShown: true, wraps: true });
  }
}

/** The targets in sight, from the top. */
function targetsOn(screen: ScreenPicture): string[] {
  return screen.lines.flatMap((line) => /pid:\d+@\d+/.exec(line)?.[0] ?? []);
}

describe('top on a terminal', () => {
  test('shows the busy one first, sorts, filters, scrolls, helps, and quits as it came', async () => {
    const session = await Session.begin();
    await session.sees('both targets and a measured share', ({ text }) => {
      return (
        /hosts 1: 1 alive/.test(text) &&
        new RegExp(`${nameOf(spinner)} +hobbling +signal +1 .* [1-9][\\d.]* %`).test(text)
      );
    });
    await session.sees('the busy one first', (screen) => targetsOn(screen)[0] === nameOf(spinner));
    expect(session.screen.text).toMatch(/targets 2: 2 hobbling/);
    expect(session.screen.lines).toHaveLength(20);

    session.terminal.type('r');
    await session.sees('the other way round', (screen) => targetsOn(screen)[0] === nameOf(sleeper));
    session.terminal.type('W');
    await session.seesText('REASON↑');
    await session.sees('by reason', (screen) => targetsOn(screen)[0] === nameOf(sleeper));

    session.terminal.type('/all day');
    await session.sees('the filtered one alone', (screen) => targetsOn(screen).length === 1);
    await session.seesText('filter: all day');
    await session.seesText('1 of 2');
    session.terminal.type('\u001b');
    await session.sees('both again', (screen) => targetsOn(screen).length === 2);

    session.terminal.type('h');
    await session.seesText('Any key goes back.');
    session.terminal.type('x');
    await session.sees('the table again', (screen) => targetsOn(screen).length === 2);
    session.terminal.type(' ');
    await session.seesText('PAUSED');
    session.terminal.type('q');
    await session.expectEnded(0);
  });

  test('follows the size of the terminal, and no line is wider than it', async () => {
    const session = await Session.begin();
    await session.seesText('REASON');
    session.resize(50, 12);
    await session.sees('12 lines', ({ lines }) => lines.length === 12 && lines.every((line) => line.length <= 50));
    expect(targetsOn(session.screen)).toHaveLength(2);
    session.resize(180, 30);
    await session.sees('all columns', ({ text }) => /PERIOD .* BY .* REASON/.test(text));
    session.terminal.type('\u0003');
    await session.expectEnded(0);
  });

  test('with Redis away it keeps the last picture and says so; with Redis back it goes on', async () => {
    const session = await Session.begin('--every 200ms');
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    await redis.kill();
    await session.sees('why it is old', ({ text }) =>
      /Redis cannot be read \(.+\): this picture is [3-9]s old/.test(text),
    );
    expect(targetsOn(session.screen)).toHaveLength(2);
    session.terminal.type('/nobody');
    await session.seesText('No target matches the filter.');
    session.terminal.type('\u001b');
    await redis.restart();
    await session.sees('a new picture', ({ text }) => !text.includes('Redis cannot be read'));
    session.terminal.type('q');
    await session.expectEnded(0);
  });

  test('Ctrl-Z gives the terminal to the shell, fg takes it again', async () => {
    const session = await Session.begin();
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    const top = session.top();
    session.terminal.type('\u001a');
    await session.sees('the shell', (screen) => !screen.isAlternate && screen.text.includes('Stopped'));
    expect(readState(top.pid)).toBe('T');
    expect(await session.modes()).toBe(session.modesBefore);
    expect(session.screen.isCursorShown).toBe(true);
    session.terminal.type('fg\n');
    await session.sees('the table again', (screen) => screen.isAlternate && targetsOn(screen).length === 2);
    session.terminal.type('q');
    await session.expectEnded(0);
  });

  test('a SIGSTOP that it cannot answer: fg draws everything anew', async () => {
    const session = await Session.begin();
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    signalExactly(session.top(), 'SIGSTOP');
    await session.seesText('Stopped');
    session.terminal.type('fg\n');
    await session.sees('the table again', ({ text, lines }) => lines.length === 20 && !text.includes('Stopped'));
    session.terminal.type('q');
    await session.expectEnded(0);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s gives the terminal back', async (signal) => {
    const session = await Session.begin();
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    signalExactly(session.top(), signal);
    await session.expectEnded(0);
  });

  test('an exception gives the terminal back, and is seen', async () => {
    // Loaded beside it, so that the exception comes from nowhere that it knows of.
    const bomb = "data:text/javascript,process.on('SIGUSR2',()=>{throw(Error('a%20bug'))})";
    const session = await Session.begin('', { node: `--import "${bomb}"` });
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    signalExactly(session.top(), 'SIGUSR2');
    await session.seesText('Error: a bug');
    await session.expectEnded(1);
  });

  test('the terminal goes away: it ends', async () => {
    const session = await Session.begin();
    await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
    const top = session.top();
    const driver = descendantsOf(process.pid).find(({ name }) => name === 'python3')!;
    signalExactly(driver, 'SIGKILL');
    await until(() => !isAlive(top), { deadlineMs: 5_000, what: 'the end of top' });
  });
});

test('status --watch redraws in place, within the screen, and ends by Ctrl-C', async () => {
  const session = await Session.begin('--watch 200ms', { command: 'status' });
  await session.sees('both targets', (screen) => targetsOn(screen).length === 2);
  expect(session.screen.text).toMatch(/^HOST +WORKER/);
  await outside.order('untarpit', sleeper);
  await session.sees('one target', (screen) => targetsOn(screen).length === 1);
  session.resize(40, 5);
  await session.sees('what fits', ({ text }) => /… and \d+ more lines/.test(text));
  session.terminal.type('\u0003');
  await session.terminal.answers('echo "code $?."', 'code 130.');
});

test('status --watch into a pipe is one line of JSON each time', async () => {
  const watch = await startProcess(
    process.execPath,
    [CLI, '--redis', redis.url, 'status', '--json', '--watch', '100ms'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  watch.child.stdout!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  await until(() => text.split('\n').length > 3, { deadlineMs: SEEN_WITHIN_MS, what: 'three lines' });
  for (const line of text.split('\n').slice(0, 3)) {
    expect(JSON.parse(line)).toMatchObject({ hosts: [{ host: 'web-1' }], problems: [] });
  }
  watch.child.kill('SIGTERM');
});

describe('for pipes and scripts', () => {
  test('top prints plain frames, whole lines, and ends with the code of status', async () => {
    const { code, stdout } = await runToEnd(['top', '-n', '2', '--every', '100ms', '--sort', 'reason']);
    expect(code).toBe(0);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.match(/^hobbler top /gm)).toHaveLength(2);
    expect(stdout).toMatch(new RegExp(`${nameOf(sleeper)}.* outsider .*sleeps all night\n.*${nameOf(spinner)}`));
    const filtered = await runToEnd(['top', '--once', '--host', 'web-1', '--filter', 'all day']);
    expect(filtered.stdout).toContain(nameOf(spinner));
    expect(filtered.stdout).not.toContain(nameOf(sleeper));
  });

  test('what is wrong is an exit code: denied is 1, a host that never reported is 3', async () => {
    expect((await runToEnd(['status'])).code).toBe(0);
    // This test started the worker, so it is its ancestor, which nobody may stop.
    const ancestor = { pid: process.pid, startTicks: readStartTicks(process.pid)! };
    expect(await outside.order('tarpit', ancestor)).toMatchObject({ status: 'denied' });
    await until(async () => (await runToEnd(['top', '--once'])).code === 1, {
      deadlineMs: SEEN_WITHIN_MS,
      what: 'exit code 1',
    });
    const status = await runToEnd(['status', '--json']);
    expect(status.code).toBe(1);
    expect(JSON.parse(status.stdout)).toMatchObject({
      hosts: [{ host: 'web-1', liveness: 'alive' }],
      problems: [
        {
          host: 'web-1',
          target: `pid:${ancestor.pid}@${ancestor.startTicks}`,
          what: expect.stringMatching(/^denied: /),
        },
      ],
    });
    expect((await runToEnd(['top', '--once', '--host', 'web-9'])).code).toBe(3);
    expect((await runToEnd(['status', '--host', 'web-9'])).code).toBe(3);
  });

  test('a lost worker is told as one, and status is 1', async () => {
    await worker.stop();
    await until(async () => (await runToEnd(['status'])).code === 1, { deadlineMs: 30_000, what: 'exit code 1' });
    const { stdout } = await runToEnd(['status']);
    expect(stdout).toMatch(/1 thing is wrong:\n {2}web-1: its worker is (late|lost); last beat \d+s ago/);
    worker = await startWorker({ redis, stateDir: worker.stateDir });
  });

  test('status of one host tells its mechanisms and why', async () => {
    const { stdout } = await runToEnd(['status', '--host', 'web-1']);
    expect(stdout).toMatch(/MECHANISM +HERE +WHY\nsignal +yes +\S+/);
  });
});

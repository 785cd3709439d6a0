/** Shells, terminals and su under a hobble: what their users would notice (invariant 6). */
import { afterEach, expect, test } from 'vitest';
import { startHost, type TestHost } from '../../support/host.ts';
import {
  descendantsOf,
  expectNothingLeft,
  readState,
  register,
  signalExactly,
  startProcess,
  until,
} from '../../support/processes.ts';
import { openTerminal } from '../../support/terminal.ts';

let test_: TestHost | undefined;
afterEach(async () => {
  test_?.stop();
  test_ = undefined;
  await expectNothingLeft();
});

/**
 * Signals for long enough for about 60 stops: without seeing parents stopped first, 9 `Stopped` lines came in 15 s. The
 * freezer is not seen by anybody, so a little is enough.
 */
const HOBBLED_MS = { signal: 15_000, freezer: 5_000 };

test.each(['signal', 'freezer'] as const)(
  'a nested interactive shell under %s never says Stopped, exits nowhere, and takes input afterwards',
  {
    timeout: 120_000,
    // bash itself loses a Ctrl-C that falls between two short children, on a machine that does other work.
    retry: 1,
  },
  async (mechanism) => {
    test_ = await startHost();
    const terminal = await openTerminal();
    terminal.type('bash --norc --noprofile -i\n');
    await terminal.answers('echo nested-$((40+2))', 'nested-42');
    terminal.type('while :; do /bin/sleep 0.01; done\n');
    await until(() => descendantsOf(terminal.shell.pid).some((stat) => stat.name === 'sleep'), {
      deadlineMs: 5_000,
      what: 'the loop',
    });
    expect(test_.tarpit(terminal.shell, undefined, true, mechanism).status).toBe('applied');
    await new Promise((resolve) => setTimeout(resolve, HOBBLED_MS[mechanism]));
    expect(test_.loop(terminal.shell)!.stops).toBeGreaterThan(HOBBLED_MS[mechanism] / 250);
    expect(test_.loop(terminal.shell)!.inForce.mechanism).toBe(mechanism);
    test_.host.engine.untarpit(`pid:${terminal.shell.pid}@${terminal.shell.startTicks}`);
    terminal.type('\x03');
    await terminal.answers('echo alive-$((40+2))', 'alive-42');
    terminal.type('exit\n');
    await terminal.answers('echo outer-$((40+2))', 'outer-42');
    expect(terminal.shown()).not.toContain('Stopped');
  },
);

test('a job that its user stopped with Ctrl-Z stays stopped while the rest is hobbled', {
  timeout: 30_000,
}, async () => {
  test_ = await startHost();
  const terminal = await openTerminal();
  terminal.type('/bin/sleep 611\n');
  const sleeper = await until(() => descendantsOf(terminal.shell.pid).find((stat) => stat.name === 'sleep'), {
    deadlineMs: 5_000,
    what: 'the sleeper',
  });
  terminal.type('\x1a');
  await until(() => readState(sleeper!.pid) === 'T', { deadlineMs: 5_000, what: 'Ctrl-Z to take effect' });
  expect(test_.tarpit(terminal.shell).status).toBe('applied');
  await until(() => test_!.loop(terminal.shell)!.stops > 10, { deadlineMs: 15_000, what: '10 stops of the shell' });
  expect(test_.loop(terminal.shell)!.stoppedByOthers).toBe(1);
  test_.host.engine.untarpit(`pid:${terminal.shell.pid}@${terminal.shell.startTicks}`);
  expect(readState(sleeper!.pid)).toBe('T');
  signalExactly(sleeper!, 'SIGCONT');
});

test('a parent outside that stops with its child (su) is continued, and the target is denied', {
  timeout: 30_000,
}, async () => {
  test_ = await startHost();
  const su = await startProcess('su', ['-s', '/bin/sh', 'nobody', '-c', 'sleep 612 & wait'], { detached: true });
  const shell = await until(() => descendantsOf(su.pid).find((stat) => stat.name === 'sh'), {
    deadlineMs: 5_000,
    what: 'the shell under su',
  });
  register(shell!.pid);
  expect(test_.tarpit(shell!).status).toBe('applied');
  await until(() => test_!.loop(shell!)?.state === 'denied', { deadlineMs: 5_000, what: 'the target to be denied' });
  expect(test_.loop(shell!)!.why).toMatch(/su \(pid \d+\) stops with its child/);
  await until(() => readState(su.pid) === 'S' && readState(shell!.pid) === 'S', {
    deadlineMs: 2_000,
    what: 'both to run again',
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect([readState(su.pid), readState(shell!.pid)]).toEqual(['S', 'S']);
});

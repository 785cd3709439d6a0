/** The supervisor where there is no systemd: nothing is sent, nothing is timed, nothing is asked. */
import { expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { createSupervisor } from '../../../shared/systemd.ts';
import { FakeClock } from '../../support/fake-clock.ts';

it.each([
  ['without a socket', { notifySocket: undefined, watchdogUsec: '1000000', watchdogPid: undefined }],
  [
    'with the watchdog of another process',
    { notifySocket: '/nowhere/notify', watchdogUsec: '1000', watchdogPid: '4194305' },
  ],
  [
    'with a watchdog that cannot be read',
    { notifySocket: '/nowhere/notify', watchdogUsec: 'soon', watchdogPid: undefined },
  ],
])('%s it asks for no beat, and never throws', async (_, environment) => {
  const clock = new FakeClock();
  let beats = 0;
  const summary = () => {
    beats++;
    return 'well';
  };
  const supervisor = createSupervisor({ environment, clock, log: silentLogger(), summary });
  supervisor.say('waits');
  supervisor.ready();
  await supervisor.start();
  const atReady = beats;
  expect(atReady).toBe(environment.notifySocket === undefined ? 0 : 1);
  await clock.advance(10_000);
  expect(beats).toBe(atReady);
  await supervisor.stop();
});

it('beats three times in the interval, with what it says in the line for people, and not while it is unwell', async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  let why: string | null = null;
  const supervisor = createSupervisor({
    // A socket that is not there: what is sent is lost, as when systemd is restarted.
    environment: { notifySocket: '/nowhere/notify', watchdogUsec: '3000000', watchdogPid: String(process.pid) },
    clock,
    log: silentLogger(),
    whyUnwell: () => why,
    summary: () => {
      asked.push('well');
      return 'well';
    },
  });
  supervisor.ready();
  await supervisor.start();
  expect(asked).toHaveLength(1);
  await clock.advance(3_000);
  expect(asked).toHaveLength(4);
  why = 'no guard listens';
  await clock.advance(3_000);
  expect(asked).toHaveLength(4);
  why = null;
  await clock.advance(1_000);
  expect(asked).toHaveLength(5);
  await supervisor.stop();
  await clock.advance(10_000);
  expect(asked).toHaveLength(5);
});

/** Passes over the real /proc that read only what must have changed: who is known by his directory and its owner. */
import { afterEach, expect, test } from 'vitest';
import { Proc } from '../../../worker/process/proc.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { expectNothingLeft, startProcess, until } from '../../support/processes.ts';

afterEach(() => expectNothingLeft());

/** Becomes user 1001 at SIGUSR1, and takes another name at SIGUSR2. */
const CHANGER = `
import ctypes, os, signal, time
signal.signal(signal.SIGUSR1, lambda *_: os.setresuid(1001, 1001, 1001))
signal.signal(signal.SIGUSR2, lambda *_: ctypes.CDLL(None).prctl(15, b"renamed", 0, 0, 0))
print("ready", flush=True)
while True: time.sleep(60)
`;

async function startChanger() {
  const changer = await startProcess('python3', ['-c', CHANGER], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => changer.child.stdout!.once('data', resolve));
  return changer;
}

test('another owner is seen by the next pass, another name by the next whole one', async () => {
  const proc = new Proc();
  const changer = await startChanger();
  const table = new ProcessTable(proc);
  table.sweep();
  expect(table.swept.isWhole).toBe(true);
  const entry = table.get(changer.pid)!;

  changer.child.kill('SIGUSR2');
  changer.child.kill('SIGUSR1');
  await until(() => proc.readStatus(changer.pid)?.realUid === 1001 && proc.readStat(changer.pid)?.comm === 'renamed', {
    deadlineMs: 5_000,
    what: 'the change of owner and name',
  });
  table.sweep();
  expect(table.swept.isWhole).toBe(false);
  expect(table.get(changer.pid)).toBe(entry);
  expect(entry).toMatchObject({ realUid: 1001, effectiveUid: 1001, comm: 'renamed' });
  expect(table.swept.changed).toContain(entry);

  const sleeper = await startProcess('sleep', ['600']);
  table.sweep();
  expect(table.get(sleeper.pid)?.startTicks).toBe(sleeper.startTicks);
  expect(table.swept.changed).not.toContain(entry);
});

test('who has ended is forgotten, and one pass in four reads everybody', async () => {
  const table = new ProcessTable(new Proc());
  const sleeper = await startProcess('sleep', ['600']);
  table.sweep();
  const entry = table.get(sleeper.pid)!;
  const ended = new Promise((resolve) => sleeper.child.once('exit', resolve));
  sleeper.child.kill('SIGKILL');
  await ended;
  table.sweep();
  expect(entry.isAlive).toBe(false);
  expect(table.get(sleeper.pid)).toBeUndefined();
  const wholes = [1, 2, 3, 4, 5].map(() => {
    table.sweep();
    return table.swept.isWhole;
  });
  expect(wholes).toEqual([false, false, true, false, false]);
  for (const _ of table.sweepSliced(true));
  expect(table.swept.isWhole).toBe(true);
});

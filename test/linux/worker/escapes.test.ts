/** Ways out of the tarpit that a user of the host might try, and ways to hurt the others. Each one was tried for real. */
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHost, type TestHost } from '../../support/host.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';

const ALICE = 20_011;
const BOB = 20_012;
const CYCLE = { runMs: 10, stopMs: 200 };
/** Three times what the cycle leaves of one core: room for a machine on which other things run. */
const CAUGHT = 0.15;

let host: TestHost;
let dir: string;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-escape-'));
  chmodSync(dir, 0o755);
  host = await startHost({ minUid: 1_000 });
});
afterEach(async () => {
  writeFileSync(join(dir, 'end'), '');
  host.stop();
  await expectNothingLeft();
  rmSync(dir, { recursive: true });
});

const python = (program: string) =>
  startProcess('python3', ['-c', `import resource; resource.setrlimit(resource.RLIMIT_CPU,(120,120))\n${program}`], {
    uid: ALICE,
    gid: ALICE,
    cwd: '/',
  });
const pass = (ms: number) => {
  const from = performance.now();
  return until(() => performance.now() - from >= ms, { deadlineMs: ms + 5_000, what: `${ms} ms` });
};
async function shareOver(one: TestProcess, ms: number): Promise<number> {
  const [before, from] = [cpuSeconds(one.pid), performance.now()];
  await pass(ms);
  return (cpuSeconds(one.pid) - before) / ((performance.now() - from) / 1_000);
}
const tarpitAlice = (every = true) => host.tarpit(`uid:${ALICE}`, CYCLE, every);
const loopOfAlice = () => host.loop(`uid:${ALICE}`)!;

test('a first thread that ends while others work on (its state is Z for ever)', async () => {
  const one = await python(`
import ctypes,os,threading
def spin():
  while True: pass
threading.Thread(target=spin,daemon=True).start()
ctypes.CDLL(None).syscall(93 if os.uname().machine=='aarch64' else 60, 0)`);
  await until(() => readState(one.pid) === 'Z', { deadlineMs: 5_000, what: 'its first thread to end' });
  expect(host.tarpit(one)).toMatchObject({ status: 'applied' });
  await pass(1_000);
  expect(await shareOver(one, 3_000)).toBeLessThan(CAUGHT);
  const used = cpuSeconds(one.pid);
  host.host.engine.untarpit(host.loop(one)!.key);
  await until(() => cpuSeconds(one.pid) > used + 0.3, { deadlineMs: 10_000, what: 'it to work again' });
  // For those who look at its state alone it has ended already.
  signalExactly(one, 'SIGKILL');
  await new Promise((resolve) => one.child.once('exit', resolve));
});

test('a child whose parent waits in vfork, and so is never seen stopped', async () => {
  const parent = await python(`
import ctypes,os
if ctypes.CDLL(None).syscall(220 if os.uname().machine=='aarch64' else 56, 0x4000|17, 0,0,0,0)==0:
  while True: pass`);
  const child = await until(() => descendantsOf(parent.pid)[0], { deadlineMs: 5_000, what: 'the child' });
  await until(() => readState(parent.pid) === 'D', { deadlineMs: 5_000, what: 'the parent to wait' });
  tarpitAlice();
  await until(() => readState(child!.pid) === 'T', { deadlineMs: 3_000, what: 'the child to be stopped' });
  await pass(1_000);
  expect(await shareOver(parent, 3_000)).toBeLessThan(CAUGHT);
});

test('a process that the kernel continues by a timer of its own gets away from signals, and that is seen', async () => {
  // The one escape that the signal mechanism cannot close: timer_create with SIGCONT, and a handler for it. The freezer
  // does not mind (design.md).
  const ready = join(dir, 'ready');
  closeSync(openSync(ready, 'w', 0o666));
  chmodSync(ready, 0o666);
  const one = await python(`
import ctypes,signal
signal.signal(signal.SIGCONT,lambda *_: None)
libc=ctypes.CDLL(None)
event=(ctypes.c_int*16)(0,0,18,0)
timer=ctypes.c_void_p()
assert libc.timer_create(1,event,ctypes.byref(timer))==0
spec=(ctypes.c_long*4)(0,1000000,0,1000000)
assert libc.timer_settime(timer,0,spec,None)==0
open('${ready}','w').write('x')
while True: pass`);
  await until(() => statSync(ready).size > 0, { deadlineMs: 20_000, what: 'its timer to be set' });
  // A small share, so that three times as much is to be had on a machine with very many others, too.
  host.tarpit(one, { runMs: 10, stopMs: 990 });
  const escapes = () => (host.loop(one)!.gotRatio ?? 0) > host.loop(one)!.runRatio * 3;
  expect(await until(escapes, { deadlineMs: 20_000, what: 'the measured share to tell' })).toBe(true);
});

/**
 * A chain of processes each of which works for 50 ms, hands on to a grandchild and ends, so that nobody's reaped time
 * grows and no process is ever old. Each link adds a byte to a file. Ends with the test's directory or after 60 s.
 */
const RELAY = (path: string) => `
import os,time
born=time.monotonic()
while not os.path.exists('${path}/end') and time.monotonic()-born<60:
  until=time.process_time()+.05
  while time.process_time()<until: pass
  os.write(os.open('${path}/links',os.O_WRONLY|os.O_APPEND),b'x')
  if os.fork()==0:
    if os.fork()==0: continue
  os._exit(0)`;

test('a relay of short-lived daemons', { timeout: 120_000 }, async () => {
  const links = join(dir, 'links');
  closeSync(openSync(links, 'w', 0o666));
  chmodSync(links, 0o666);
  const linksPerSecond = async (ms: number) => {
    const [before, from] = [statSync(links).size, performance.now()];
    await pass(ms);
    return (statSync(links).size - before) / ((performance.now() - from) / 1_000);
  };
  // First it plays dead until it is spared, then it runs.
  const idle = await startProcess('sleep', ['624'], { uid: ALICE, gid: ALICE, cwd: '/' });
  tarpitAlice(false);
  await until(() => loopOfAlice().state === 'spared', { deadlineMs: 40_000, what: 'the idle target to be spared' });
  await python(RELAY(dir));
  await until(() => statSync(links).size > 3, { deadlineMs: 10_000, what: 'the relay to run' });
  await until(() => loopOfAlice().state === 'hobbling', { deadlineMs: 10_000, what: 'it to be noticed' });
  await pass(1_000);
  expect(await linksPerSecond(6_000)).toBeLessThan(5);
  expect(readState(idle.pid)).not.toBe('Z');
});

test('a bomb of forks (200 at once) starves no other loop, and is let go whole', { timeout: 60_000 }, async () => {
  const bystander = await spawnSpinner({ uid: BOB, gid: BOB, cwd: '/' });
  host.tarpit(bystander);
  await python(`
import os,time,resource
resource.setrlimit(resource.RLIMIT_NPROC,(200,200))
born=time.monotonic()
while time.monotonic()-born<40 and not os.path.exists('${dir}/end'):
  try:
    if os.fork()==0: os.setpgid(0,0)
  except OSError: time.sleep(.01)`);
  tarpitAlice();
  await until(() => loopOfAlice().processes > 150, { deadlineMs: 20_000, what: '150 members' });
  const before = host.loop(bystander)!.stops;
  const from = performance.now();
  await pass(4_000);
  const perSecond = (host.loop(bystander)!.stops - before) / ((performance.now() - from) / 1_000);
  expect(perSecond).toBeGreaterThan(2.4);
  expect(host.gaps).toEqual([]);
  host.host.engine.untarpit(`uid:${ALICE}`);
  const mine = () => host.host.proc.listPids().filter((pid) => host.host.proc.readStatus(pid)?.realUid === ALICE);
  for (const pid of mine()) expect(readState(pid), String(pid)).not.toBe('T');
  expect(readFileSync(host.host.paths.journal, 'latin1')).not.toContain('\0');
});

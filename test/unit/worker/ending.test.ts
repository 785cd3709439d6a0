/** What hobbler itself started is ended, and nobody else under the same pid (invariant 4), with pidfds and without. */
import { afterEach, describe, expect, it } from 'vitest';
import { sendEnd } from '../../../worker/process/ending.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
afterEach(() => {
  expect(kernel.openPidfds.size).toBe(0);
  kernel.end();
});

describe.each([[true], [false]])('pidfds: %s', (pidfds) => {
  it('signals that very process', () => {
    kernel = new FakeKernel({ pidfds });
    const one = kernel.add({ pid: 50 });
    expect(sendEnd(kernel.proc, one, 'SIGTERM')).toBe(true);
    expect(kernel.signals.map(({ pid }) => pid)).toEqual([50]);
  });

  it('signals neither who has its pid now, nor the dead, nor what may not be, nor init, nor itself', () => {
    kernel = new FakeKernel({ pidfds });
    const one = kernel.add({ pid: 50 });
    expect(sendEnd(kernel.proc, { pid: 50, startTicks: one.startTicks - 1 }, 'SIGKILL')).toBe(false);
    kernel.change(50, { state: 'Z' });
    expect(sendEnd(kernel.proc, one, 'SIGKILL')).toBe(false);
    expect(sendEnd(kernel.proc, { pid: 51, startTicks: 1 }, 'SIGKILL')).toBe(false);
    for (const pid of [1, 0, -1, process.pid])
      expect(sendEnd(kernel.proc, { pid, startTicks: 1_001 }, 'SIGKILL')).toBe(false);
    expect(kernel.signals).toEqual([]);
    const other = kernel.add({ pid: 60 });
    kernel.refuses.set(60, 'EPERM');
    expect(sendEnd(kernel.proc, other, 'SIGKILL')).toBe(false);
  });
});

it('who takes the pid between the look and the signal is not reached by a pidfd', () => {
  kernel = new FakeKernel({ pidfds: true });
  const one = kernel.add({ pid: 50 });
  const { send } = kernel.pidfds;
  kernel.pidfds.send = (pidfd, signal) => {
    kernel.remove(50);
    kernel.add({ pid: 50, startTicks: 99_999 });
    return send(pidfd, signal);
  };
  expect(sendEnd(kernel.proc, one, 'SIGKILL')).toBe(false);
  expect(kernel.signals).toEqual([]);
});

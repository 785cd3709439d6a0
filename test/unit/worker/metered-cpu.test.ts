/** What a user used on a host: by his slice and by /proc, and nothing of it twice. */
import { describe, expect, it } from 'vitest';
import type { SliceUse } from '../../../worker/cgroups/user-slices.ts';
import { MeteredCpu, type MeteredProcess } from '../../../worker/metered-cpu.ts';
import { TICKS_PER_SECOND } from '../../../worker/process/stat.ts';

const ALICE = 1_001;
const BOB = 1_002;

/** A process that has used so many seconds of its own. */
const used = (pid: number, realUid: number | null, seconds: number, rest: Partial<MeteredProcess> = {}) => ({
  pid,
  ppid: 1,
  startTicks: pid,
  ownTicks: seconds * TICKS_PER_SECOND,
  reapedTicks: 0,
  realUid,
  isKernelThread: false,
  ...rest,
});
const slice = (uid: number, seconds: number, pids: number[] | null, id = `slice of ${uid}`): SliceUse => ({
  uid,
  id,
  usedUs: seconds * 1e6,
  pids,
});

/** What is metered after these looks. */
function meter(...looks: [processes: MeteredProcess[], slices?: SliceUse[]][]): Record<number, number> {
  const cpu = new MeteredCpu(1_000);
  let seconds = new Map<number, number>();
  for (const [processes, slices = []] of looks) seconds = cpu.look(processes, slices);
  return Object.fromEntries(seconds);
}

describe('the meter of a host', () => {
  it('counts by /proc from the first look on, by real uid, where there are no slices', () => {
    expect(
      meter(
        [[used(10, ALICE, 50), used(11, BOB, 0)]],
        [[used(10, ALICE, 53), used(11, BOB, 1), used(12, ALICE, 2, { ppid: 10 })]],
      ),
    ).toEqual({ [ALICE]: 5, [BOB]: 1 });
  });

  it('leaves out system users, kernel threads, and whose user cannot be seen', () => {
    const processes = (seconds: number) => [
      used(10, 0, seconds),
      used(11, ALICE, seconds, { isKernelThread: true }),
      used(12, null, seconds),
    ];
    expect(meter([processes(1), [slice(0, 1, [10])]], [processes(9), [slice(0, 9, [10])]])).toEqual({});
  });

  it('counts a slice from the first look on, and who is in it not again', () => {
    expect(
      meter([[used(10, ALICE, 50)], [slice(ALICE, 60, [10])]], [[used(10, ALICE, 53)], [slice(ALICE, 67.5, [10])]]),
    ).toEqual({ [ALICE]: 7.5 });
  });

  it('adds up what a user runs in his slice and beside it', () => {
    expect(
      meter(
        [[used(10, ALICE, 0), used(20, ALICE, 0)], [slice(ALICE, 0, [10])]],
        [[used(10, ALICE, 3), used(20, ALICE, 2)], [slice(ALICE, 4, [10])]],
      ),
    ).toEqual({ [ALICE]: 6 });
  });

  it('counts for who has logged in what he runs as another, once', () => {
    expect(
      meter(
        [[used(10, ALICE, 0), used(11, BOB, 0)], [slice(ALICE, 0, [10, 11])]],
        [[used(10, ALICE, 1), used(11, BOB, 2)], [slice(ALICE, 3, [10, 11])]],
      ),
    ).toEqual({ [ALICE]: 3 });
  });

  it('counts the whole of a slice that was made since the last look, and of one that was made anew', () => {
    expect(meter([[]], [[], [slice(ALICE, 5, [])]], [[], [slice(ALICE, 2, [], 'a second one')]], [[]])).toEqual({
      [ALICE]: 7,
    });
  });

  it('counts by /proc whose members cannot be seen whole, and what the slice counted meanwhile not again', () => {
    expect(
      meter(
        [[used(10, ALICE, 0)], [slice(ALICE, 0, null)]],
        [[used(10, ALICE, 3)], [slice(ALICE, 3, null)]],
        [[used(10, ALICE, 4)], [slice(ALICE, 4, [10])]],
      ),
    ).toEqual({ [ALICE]: 4 });
  });

  it('never counts backwards', () => {
    expect(meter([[], [slice(ALICE, 5, [])]], [[], [slice(ALICE, 8, [])]], [[], [slice(ALICE, 1, [])]])).toEqual({
      [ALICE]: 3,
    });
  });
});

/** Traces of signals: every form of a line that strace writes, and what is found in them. */
import { describe, expect, it } from 'vitest';
import { DoubleStops, parseOwn, parseTrace, type SentSignal, strangers } from '../../support/faults/trace.ts';

const TRACE = `4000  1795200535.312957 kill(4242, SIGSTOP) = 0
4000  1795200535.313136 pidfd_send_signal(21<pid:4243>, SIGCONT, NULL, 0) = 0
4001  1795200535.400000 pidfd_send_signal(30<anon_inode:[pidfd]>, SIGCONT, NULL, 0) = -1 ESRCH (No such process)
4001  1795200535.500000 kill(4244, SIGCONT) = -1 ESRCH (No such process)
4001  1795200535.600000 kill(4245, SIGSTOP <unfinished ...>
4000  1795200535.600100 kill(4245, 0) = 0
4001  1795200535.600200 <... kill resumed>) = 0
4000  1795200535.700000 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88 <unfinished ...>
4000  1795200535.700100 <... clone3 resumed>) = 4010
4000  1795200535.700200 vfork() = 4011
`;

describe('a trace', () => {
  it('is read line by line', () => {
    expect(parseTrace(TRACE).map(({ by, to, signal, reached }) => `${by} ${signal} ${to} ${reached}`)).toEqual([
      '4000 SIGSTOP 4242 true',
      '4000 SIGCONT 4243 true',
      '4001 SIGCONT 4244 false',
      '4001 SIGSTOP 4245 true',
    ]);
    expect(parseTrace(TRACE)[0]!.atMs).toBeCloseTo(1_795_200_535_312.957);
    expect(new Set(parseOwn(TRACE))).toEqual(new Set([4000, 4001, 4010, 4011]));
  });

  it('that is not understood is no trace: a signal could hide in it', () => {
    expect(() => parseTrace('4000  1795200535.3 kill(what, SIGSTOP) = 0\n')).toThrow('not a line of a trace');
  });
});

const sent = (by: number, signal: string, to: number, atMs = 5): SentSignal => ({
  by,
  atMs,
  to,
  signal,
  reached: true,
});

describe('a stranger', () => {
  const known = [{ pid: 4242, bornAtMs: 1, goneAtMs: 10 }];

  it('is who was never known, and who has a pid after its owner was gone', () => {
    expect(strangers([sent(1, 'SIGSTOP', 4242)], known)).toEqual([]);
    expect(strangers([sent(1, 'SIGSTOP', 4243)], known)).toHaveLength(1);
    expect(strangers([sent(1, 'SIGCONT', 4242, 11)], known)).toHaveLength(1);
    expect(strangers([{ ...sent(1, 'SIGCONT', 4242, 11), reached: false }], known)).toEqual([]);
  });
});

describe('two loops on one process', () => {
  it('are seen by a second stop from somebody else', () => {
    const stops = new DoubleStops();
    expect(stops.take([sent(1, 'SIGSTOP', 9), sent(1, 'SIGCONT', 9), sent(2, 'SIGSTOP', 9)])).toEqual([]);
    expect(stops.take([sent(1, 'SIGSTOP', 9)])).toEqual(['pid 9 is stopped by 2 and by 1']);
  });

  it('are none when the first has ended', () => {
    const stops = new DoubleStops();
    stops.take([sent(1, 'SIGSTOP', 9)]);
    stops.ended();
    expect(stops.take([sent(2, 'SIGSTOP', 9)])).toEqual([]);
  });
});

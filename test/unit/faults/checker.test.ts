/** The checker of histories finds what is wrong: a checker that finds nothing would let every history pass. */
import { beforeEach, describe, expect, it } from 'vitest';
import { endFaults, type HostFacts, type SeenLoop, slowed } from '../../support/faults/checker.ts';
import { type GivenOrder, Model, type ModelProcess } from '../../support/faults/model.ts';

const NOW_MS = 1_000_000;
const facts: HostFacts = { uids: [20_001, 20_002], cgroup: { account: 1, path: '/jail' } };

let model: Model;
let root: ModelProcess;
let child: ModelProcess;
beforeEach(() => {
  model = new Model();
  root = { pid: 100, startTicks: 7, account: 0, parent: null, isAlive: true };
  child = { pid: 101, startTicks: 8, account: 0, parent: root, isAlive: true };
  model.processes.push(root, child);
});

function order(target: string, version: number, changes: Partial<GivenOrder> = {}): GivenOrder {
  const given: GivenOrder = {
    action: 'tarpit',
    target,
    road: 'job',
    cycle: { runMs: 10, stopMs: 200 },
    version,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    ...changes,
  };
  model.given.push(given);
  model.sent(given);
  return given;
}
function carriedOut(target: string, version: number, changes?: Partial<GivenOrder>): void {
  model.answered(order(target, version, changes), 'applied');
}
const seen = (target: string, version: number, changes: Partial<SeenLoop> = {}): SeenLoop => ({
  target,
  version,
  runMs: 10,
  stopMs: 200,
  state: 'hobbling',
  processes: 2,
  ownedElsewhere: 0,
  ...changes,
});
const faults = (...loops: SeenLoop[]) => endFaults(model, loops, facts, NOW_MS);

describe('the end state', () => {
  it('is fine when the newest order is carried out', () => {
    carriedOut('uid:20001', 5);
    expect(faults(seen('uid:20001', 5))).toEqual([]);
  });

  it.each([
    ['nothing is done', []],
    ['an older order stands', [seen('uid:20001', 4)]],
    ['the cycle is another', [seen('uid:20001', 5, { stopMs: 90 })]],
    ['there are two loops', [seen('uid:20001', 5), seen('uid:20001', 5)]],
    ['a process is missing', [seen('uid:20001', 5, { processes: 1 })]],
    ['it is held by nobody', [seen('uid:20001', 5, { state: 'held' })]],
    ['it is given up while its processes live', [seen('uid:20001', 5, { state: 'gone', processes: 0 })]],
    ['somebody else is in', [seen('uid:20001', 5), seen('uid:20002', 9)]],
  ])('is wrong when %s', (_, loops) => {
    carriedOut('uid:20001', 5);
    expect(faults(...loops)).not.toEqual([]);
  });

  it('is wrong when an untarpit was forgotten, and when an order outlives its end', () => {
    carriedOut('uid:20001', 5);
    carriedOut('uid:20001', 6, { action: 'untarpit', expiresAtMs: 0 });
    expect(faults(seen('uid:20001', 5))).not.toEqual([]);
    expect(faults()).toEqual([]);
    carriedOut('uid:20002', 5, { expiresAtMs: NOW_MS - 1 });
    expect(faults(seen('uid:20002', 5, { processes: 0, state: 'armed' }))).not.toEqual([]);
  });

  it('gives each process to the loop of the lowest share', () => {
    carriedOut('uid:20001', 5);
    carriedOut('pid:101@8', 6, { cycle: { runMs: 10, stopMs: 1_500 } });
    const low = seen('pid:101@8', 6, { stopMs: 1_500, processes: 1 });
    expect(faults(seen('uid:20001', 5, { processes: 1, ownedElsewhere: 1 }), low)).toEqual([]);
    expect(faults(seen('uid:20001', 5), { ...low, processes: 0, ownedElsewhere: 1, state: 'armed' })).not.toEqual([]);
  });

  it('names who must be seen stopped, and who must not', () => {
    carriedOut('pid:101@8', 5);
    expect(slowed(model, [seen('pid:101@8', 5)], facts)).toEqual({ must: [child], mustNot: [root] });
  });
});

describe('what could be known', () => {
  it('an order that Redis lost goes on where the worker has it, and is gone with the worker', () => {
    carriedOut('uid:20001', 5);
    model.redisLostAll();
    expect(faults(seen('uid:20001', 5))).toEqual([]);
    model.workerEnded();
    expect(faults(seen('uid:20001', 5))).not.toEqual([]);
    expect(faults()).toEqual([]);
  });

  it('an order that was only written may be known or not once it is lost, and must be carried out as long as it is there', () => {
    model.answered(order('uid:20001', 5, { road: 'state' }), 'written');
    expect(faults()).not.toEqual([]);
    model.redisLostAll();
    expect(faults()).toEqual([]);
    expect(faults(seen('uid:20001', 5))).toEqual([]);
  });

  it('an older snapshot brings back what was in it, and nothing newer', () => {
    carriedOut('uid:20001', 5);
    model.snapshotTaken();
    carriedOut('uid:20001', 6, { action: 'untarpit', expiresAtMs: 0 });
    model.snapshotRestored();
    expect(faults()).toEqual([]); // the worker knows better
    model.workerEnded();
    expect(faults(seen('uid:20001', 5))).toEqual([]);
    expect(faults(), 'a host that remembers the newer one').toEqual([]);
  });
});

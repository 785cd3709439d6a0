/** Who looks into a target is told its processes; nobody else costs anything, and what it costs is bounded. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { MAX_TREE_PROCESSES, TREES_TTL_MS, type Trees } from '../../../shared/trees.ts';
import type { HobbleLoop } from '../../../worker/engine/loop.ts';
import type { ProcStat } from '../../../worker/process/stat.ts';
import type { ProcessEntry } from '../../../worker/process/table.ts';
import { TreeDesk } from '../../../worker/tree-desk.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const HOST = 'web-1';

/** Strings of a Redis, each with the time it was given to live. */
class Strings {
  readonly values = new Map<string, string>();
  readonly ttlMs = new Map<string, number>();
  asked = 0;

  async get(key: string): Promise<string | null> {
    this.asked++;
    return this.values.get(key) ?? null;
  }

  async set(key: string, value: string, _: 'PX', ttlMs: number): Promise<'OK'> {
    this.values.set(key, value);
    this.ttlMs.set(key, ttlMs);
    return 'OK';
  }

  get answer(): Trees | null {
    const text = this.values.get(hostKeys.trees(HOST));
    return text === undefined ? null : JSON.parse(text);
  }
}

let clock: FakeClock;
let redis: Strings;
let stats: Map<number, Partial<ProcStat>>;
let loops: Map<string, HobbleLoop>;
let spared: Map<number, string>;
let desk: TreeDesk;

beforeEach(() => {
  clock = new FakeClock();
  redis = new Strings();
  [stats, loops, spared] = [new Map(), new Map(), new Map()];
  desk = new TreeDesk({
    redis: redis as unknown as Redis,
    host: HOST,
    engine: { loops, whySpared: (_, { pid }) => spared.get(pid) ?? null },
    proc: { readStat: (pid) => stats.get(pid) as ProcStat | undefined },
    redisNowMs: () => clock.wallMs(),
    clock,
    log: silentLogger(),
  });
});
afterEach(() => expect(clock.pendingTimers).toBe(0));

/** A living process of a target; its stat says what it does now. */
function member(pid: number, ppid: number, stat: Partial<ProcStat> = {}): ProcessEntry {
  stats.set(pid, { pid, ppid, startTicks: pid * 10, state: 'S', comm: `job-${pid}`, ownTicks: 0, ...stat });
  return { pid, ppid, startTicks: pid * 10, isAlive: true, effectiveUid: 1_001 } as ProcessEntry;
}

function tarpit(target: string, ...members: ProcessEntry[]): void {
  loops.set(target, { key: target, members: new Set(members) } as unknown as HobbleLoop);
}

const lookInto = (...targets: string[]) => redis.values.set(hostKeys.looking(HOST), JSON.stringify(targets));
async function look(): Promise<Trees | null> {
  const looking = desk.look();
  await clock.advance(5);
  await looking;
  return redis.answer;
}

describe('the tree desk', () => {
  it('asks nothing of Redis while nothing is hobbled, and answers nothing while nobody looks', async () => {
    await look();
    expect(redis.asked).toBe(0);
    tarpit('user:alice', member(10, 1));
    expect(await look()).toBeNull();
    expect(redis.asked).toBe(1);
  });

  it('tells the processes of what is looked into, parents first, for a while', async () => {
    tarpit('user:alice', member(12, 11, { state: 'T' }), member(10, 1, { ownTicks: 250 }), member(11, 10));
    tarpit('user:bob', member(20, 1));
    lookInto('user:alice');
    expect(await look()).toEqual({
      v: 1,
      atMs: expect.any(Number),
      trees: [
        {
          target: 'user:alice',
          leftOut: 0,
          processes: [
            expect.objectContaining({ pid: 10, ppid: 1, startTicks: 100, comm: 'job-10', uid: 1_001, cpuMs: 2_500 }),
            expect.objectContaining({ pid: 11, shareRatio: null, spared: null }),
            expect.objectContaining({ pid: 12, state: 'T' }),
          ],
        },
      ],
    });
    expect(redis.ttlMs.get(hostKeys.trees(HOST))).toBe(TREES_TTL_MS);
  });

  it('tells from the second look on what each uses', async () => {
    tarpit('user:alice', member(10, 1, { ownTicks: 100 }));
    lookInto('user:alice');
    await look();
    stats.get(10)!.ownTicks = 150;
    clock.stall(1_995);
    const share = (await look())!.trees[0]!.processes[0]!.shareRatio;
    expect(share).toBeCloseTo(0.25);
  });

  it('says of a member that is not hobbled why', async () => {
    tarpit('user:alice', member(10, 1), member(11, 1));
    spared.set(11, 'held by uid:7');
    lookInto('user:alice');
    expect((await look())!.trees[0]!.processes.map((process) => process.spared)).toEqual([null, 'held by uid:7']);
  });

  it('leaves out who has ended, and a stranger who has the pid by now', async () => {
    const [gone, reused] = [member(10, 1), member(11, 1)];
    tarpit('user:alice', gone, reused, { ...member(12, 1), isAlive: false });
    stats.delete(10);
    stats.get(11)!.startTicks = 999;
    lookInto('user:alice');
    expect((await look())!.trees[0]).toMatchObject({ processes: [], leftOut: 0 });
  });

  it('is bounded in processes, and says how many it left out', async () => {
    tarpit('user:alice', ...Array.from({ length: MAX_TREE_PROCESSES + 50 }, (_, n) => member(100 + n, 1)));
    lookInto('user:alice');
    const [tree] = (await look())!.trees;
    expect(tree!.processes).toHaveLength(MAX_TREE_PROCESSES);
    expect(tree!.leftOut).toBe(50);
  });

  it('makes hostile names harmless', async () => {
    const name = Buffer.from('é\u001b[31m\nx').toString('latin1');
    tarpit('user:alice', member(10, 1, { comm: name }));
    lookInto('user:alice');
    expect((await look())!.trees[0]!.processes[0]!.comm).toBe('é?[31m?x');
  });

  it.each(['{', '"user:alice"', '["a","b","c","d","e"]'])(
    'answers nothing to a question that is none: %s',
    async (text) => {
      tarpit('user:alice', member(10, 1));
      redis.values.set(hostKeys.looking(HOST), text);
      expect(await look()).toBeNull();
    },
  );
});

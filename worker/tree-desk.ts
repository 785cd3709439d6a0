/**
 * Answers who looks into a target with its processes, while somebody does. Costs a read a second of a host that hobbles
 * something and nothing of one that does not; an answer is made in slices of a quarter of a millisecond, so that no phase
 * waits for it. Its key is read by itself and not along with the holds: where Redis refuses it, holds must not suffer.
 */
import { type Clock, sleep, type Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import {
  lookingSchema,
  MAX_TREE_PROCESSES,
  TREES_TTL_MS,
  type Tree,
  type TreeProcess,
  type Trees,
} from '../shared/trees.ts';
import type { Engine } from './engine/engine.ts';
import type { HobbleLoop } from './engine/loop.ts';
import type { Proc } from './process/proc.ts';
import { TICKS_PER_SECOND } from './process/stat.ts';
import type { ProcessEntry } from './process/table.ts';
import { parentsFirst } from './process/tree.ts';

const LOOK_EVERY_MS = 1_000;
/** Processes read at a time, at 9 µs each. */
const SLICE = 24;
const MS_PER_TICK = 1_000 / TICKS_PER_SECOND;

export interface TreeDeskParts {
  redis: Redis;
  host: string;
  engine: Pick<Engine, 'loops' | 'whySpared'>;
  proc: Pick<Proc, 'readStat'>;
  redisNowMs: () => number;
  clock: Clock;
  log: Logger;
}

interface Used {
  atMs: number;
  cpuMs: number;
}

export class TreeDesk {
  readonly #parts: TreeDeskParts;
  /** What each process had used at the answer before. */
  #before = new Map<ProcessEntry, Used>();
  #timer: Timer | undefined;

  constructor(parts: TreeDeskParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = this.#parts.clock.every(LOOK_EVERY_MS, () => this.look());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Answers what is asked now. Never rejects: nobody's order waits for this. */
  async look(): Promise<void> {
    const { redis, host, engine, redisNowMs, log } = this.#parts;
    if (engine.loops.size === 0) return;
    try {
      const text = await redis.get(hostKeys.looking(host));
      if (text === null) return this.#before.clear();
      const targets = lookingSchema.parse(JSON.parse(text));
      const trees: Tree[] = [];
      const used = new Map<ProcessEntry, Used>();
      for (const target of targets) {
        const loop = engine.loops.get(target);
        if (loop) trees.push(await this.#treeOf(loop, used));
      }
      this.#before = used;
      const answer: Trees = { v: 1, atMs: Math.round(redisNowMs()), trees };
      await redis.set(hostKeys.trees(host), JSON.stringify(answer), 'PX', TREES_TTL_MS);
    } catch (error) {
      log.debug(`trees: ${messageOf(error)}`);
    }
  }

  async #treeOf(loop: HobbleLoop, used: Map<ProcessEntry, Used>): Promise<Tree> {
    const living = [...loop.members].filter(({ isAlive }) => isAlive);
    const told = parentsFirst(living).slice(0, MAX_TREE_PROCESSES);
    const processes: TreeProcess[] = [];
    for (const [index, entry] of told.entries()) {
      if (index > 0 && index % SLICE === 0) await sleep(this.#parts.clock, 0);
      const process = this.#tell(loop, entry, used);
      if (process) processes.push(process);
    }
    return { target: loop.key, processes, leftOut: living.length - told.length };
  }

  #tell(loop: HobbleLoop, entry: ProcessEntry, used: Map<ProcessEntry, Used>): TreeProcess | undefined {
    const { proc, engine, clock } = this.#parts;
    const stat = proc.readStat(entry.pid);
    if (stat?.startTicks !== entry.startTicks) return undefined;
    const now: Used = { atMs: clock.monotonicMs(), cpuMs: stat.ownTicks * MS_PER_TICK };
    const before = this.#before.get(entry);
    used.set(entry, now);
    return {
      pid: entry.pid,
      ppid: stat.ppid,
      startTicks: entry.startTicks,
      comm: nameFrom(stat.comm),
      state: stat.state,
      uid: entry.effectiveUid,
      cpuMs: now.cpuMs,
      shareRatio: before && now.atMs > before.atMs ? (now.cpuMs - before.cpuMs) / (now.atMs - before.atMs) : null,
      spared: engine.whySpared(loop, entry),
    };
  }
}

/** A name is bytes, which people mean as UTF-8. */
function nameFrom(comm: string): string {
  return Buffer.from(comm, 'latin1')
    .toString('utf8')
    .replace(/\p{Cc}/gu, '?');
}

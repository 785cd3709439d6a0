/**
 * The heartbeat: the worker's sign of life with its load and its own cost, small, every 5 s. Own CPU and memory are
 * those of worker and guard together, by pidusage.
 */
import { availableParallelism, loadavg } from 'node:os';
import pidusage from 'pidusage';
import type { Clock } from '../shared/clock.ts';
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { type Exemptions, STATUS_TTL_MS, type Status } from '../shared/report.ts';
import { HOBBLER_VERSION } from '../shared/version.ts';
import type { Engine } from './engine/engine.ts';
import type { GuardLink } from './guard/guard.ts';
import { readPressure } from './process/pressure.ts';
import type { RedisTime } from './redis-time.ts';

export interface HeartbeatParts {
  redis: Redis;
  host: string;
  bootId: string;
  engine: Engine;
  guard: GuardLink;
  time: RedisTime;
  hold: () => Status['hold'];
  epoch: () => number;
  exemptions: Exemptions;
  clock: Clock;
}

export class Heartbeat {
  readonly #parts: HeartbeatParts;
  readonly #startedAtMs: number;
  #stopsBefore = 0;
  #beatBeforeMs: number;
  #takenAtMs: number | null = null;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.time.nowMs();
    this.#beatBeforeMs = parts.clock.monotonicMs();
  }

  /** Sends a beat. Rejects when Redis is away. */
  async send(status: Status): Promise<void> {
    const { redis, host } = this.#parts;
    await Promise.all([
      redis.set(hostKeys.status(host), JSON.stringify(status), 'PX', STATUS_TTL_MS),
      redis.sadd(fleetKeys.hosts, host),
    ]);
    this.#takenAtMs = this.#parts.clock.monotonicMs();
  }

  /** Since the last beat that Redis took, milliseconds; null: none yet. */
  get ageMs(): number | null {
    return this.#takenAtMs === null ? null : this.#parts.clock.monotonicMs() - this.#takenAtMs;
  }

  /** What the next beat says. */
  async prepare(): Promise<Status> {
    const { host, bootId, engine, guard, time, hold, epoch, exemptions, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const stops = engine.totalStops;
    const stopsPerSecond = ((stops - this.#stopsBefore) / Math.max(1, nowMs - this.#beatBeforeMs)) * 1000;
    this.#stopsBefore = stops;
    this.#beatBeforeMs = nowMs;
    const { p50Ms, p99Ms } = engine.lateness();
    const own = await this.#ownCost();
    return {
      v: 1,
      host,
      epoch: epoch(),
      bootId,
      pid: process.pid,
      hobblerVersion: HOBBLER_VERSION,
      startedAtMs: Math.round(this.#startedAtMs),
      beatAtMs: Math.round(time.nowMs()),
      cores: availableParallelism(),
      load1: loadavg()[0]!,
      pressure: readPressure(),
      targets: engine.loops.size,
      processes: engine.processes,
      stopsPerSecond: Math.round(stopsPerSecond * 10) / 10,
      ownCpuRatio: own.cpuRatio,
      rssBytes: own.rssBytes,
      latenessP50Ms: p50Ms,
      latenessP99Ms: p99Ms,
      redisRttMs: time.roundTripMs,
      guard: guard.isAlive ? 'alive' : 'dead',
      hold: hold(),
      mechanisms: engine.probes,
      exemptions,
    };
  }

  /** CPU share of one core since the last beat, and memory, of worker and guard. A guard that is gone costs nothing. */
  async #ownCost(): Promise<{ cpuRatio: number | null; rssBytes: number }> {
    const pids = [process.pid, this.#parts.guard.pid].filter((pid) => pid !== undefined);
    const usages = await Promise.all(pids.map((pid) => pidusage(pid).catch(() => null)));
    const own = usages[0];
    return {
      cpuRatio: own ? usages.reduce((sum, usage) => sum + (usage?.cpu ?? 0), 0) / 100 : null,
      rssBytes: own ? usages.reduce((sum, usage) => sum + (usage?.memory ?? 0), 0) : process.memoryUsage.rss(),
    };
  }

  stop(): void {
    pidusage.clear(); // it keeps descriptors and a timer otherwise
  }
}

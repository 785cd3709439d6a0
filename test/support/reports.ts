/** Sound heartbeats and reports for tests, as a worker would write them; each test changes what it is about. */
import { fleetKeys, hostKeys } from '../../shared/keys.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { NO_PRESSURE, type Report, type Status } from '../../shared/report.ts';

export function statusExample(host: string, beatAtMs: number, changes: Partial<Status> = {}): Status {
  return {
    v: 1,
    host,
    epoch: 1,
    bootId: '6f0d2f6e-0000-4000-8000-000000000000',
    pid: 4242,
    hobblerVersion: '0.1.0',
    startedAtMs: beatAtMs - 60_000,
    beatAtMs,
    cores: 2,
    load1: 0.5,
    pressure: NO_PRESSURE,
    exemptions: null,
    targets: 0,
    processes: 0,
    stopsPerSecond: 0,
    ownCpuRatio: null,
    rssBytes: 80_000_000,
    latenessP50Ms: null,
    latenessP99Ms: null,
    redisRttMs: null,
    guard: 'alive',
    hold: null,
    mechanisms: { signal: { supported: true, why: 'CAP_KILL' } },
    ...changes,
  };
}

export function reportExample(target: string, reportedAtMs: number, changes: Partial<Report> = {}): Report {
  return {
    v: 1,
    target,
    account: null,
    version: reportedAtMs,
    state: 'hobbling',
    why: null,
    mechanism: 'signal',
    mechanismWhy: null,
    runMs: 10,
    stopMs: 200,
    processes: 3,
    ownedElsewhere: 0,
    beforeRatio: 1,
    costRatio: 0.002,
    periodMs: 210,
    askedRatio: 10 / 210,
    gotRatio: null,
    effective: null,
    stops: 0,
    reason: '',
    by: 'policy',
    sinceMs: reportedAtMs,
    expiresAtMs: reportedAtMs + 60_000,
    reportedAtMs,
    ...changes,
  };
}

/** Makes a host known with a last beat at that time, as its worker would. */
export async function beat(redis: Redis, host: string, beatAtMs: number): Promise<void> {
  await redis.sadd(fleetKeys.hosts, host);
  await redis.set(hostKeys.status(host), JSON.stringify(statusExample(host, beatAtMs)));
}

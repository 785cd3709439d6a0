/** A fleet as Redis would hold it: what workers and producer write of hosts and targets, made up, for who only reads it. */
import { systemClock } from '../shared/clock.ts';
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { NO_PRESSURE, type Report, type Status, type TargetState } from '../shared/report.ts';

const STATES: TargetState[] = ['hobbling', 'hobbling', 'hobbling', 'spared', 'spared', 'armed'];
/** Records that one pipeline writes. */
const AT_ONCE = 200;

export const hostNameOf = (index: number): string => `host-${String(index).padStart(4, '0')}.example.com`;

/** Writes hosts with so many targets each, all of them reported and ordered. */
export async function writeFleet(redis: Redis, hosts: number, targetsPerHost: number): Promise<void> {
  for (let first = 0; first < hosts; first += AT_ONCE) {
    const pipeline = redis.pipeline();
    for (let index = first; index < Math.min(hosts, first + AT_ONCE); index++) {
      const host = hostNameOf(index);
      pipeline.sadd(fleetKeys.hosts, host);
      pipeline.set(hostKeys.status(host), JSON.stringify(statusOf(host, targetsPerHost)));
      for (let target = 0; target < targetsPerHost; target++) {
        const report = reportOf(index * targetsPerHost + target);
        pipeline.hset(hostKeys.observed(host), report.target, JSON.stringify(report));
        pipeline.hset(hostKeys.desired(host), report.target, JSON.stringify(orderOf(host, report)));
      }
    }
    await pipeline.exec();
  }
}

/** What workers write in a second: some beats, and some reports with news. */
export async function stirFleet(redis: Redis, hosts: number, targetsPerHost: number, part: number): Promise<void> {
  const pipeline = redis.pipeline();
  for (let index = 0; index < hosts; index++) {
    if (Math.random() >= part) continue;
    const host = hostNameOf(index);
    pipeline.set(hostKeys.status(host), JSON.stringify(statusOf(host, targetsPerHost)));
    const report = reportOf(index * targetsPerHost + Math.floor(Math.random() * targetsPerHost));
    pipeline.hset(hostKeys.observed(host), report.target, JSON.stringify(report));
  }
  await pipeline.exec();
}

function statusOf(host: string, targets: number): Status {
  const nowMs = systemClock.wallMs();
  return {
    ...{ v: 1, host, epoch: 3, bootId: '1b2f6f3e-0000-4000-8000-000000000000', pid: 812, hobblerVersion: '0.1.0' },
    ...{ startedAtMs: nowMs - 86_400_000, beatAtMs: nowMs, cores: 16, load1: Math.random() * 20 },
    ...{ pressure: NO_PRESSURE, targets, processes: targets * 12, stopsPerSecond: 120 },
    ...{ ownCpuRatio: 0.01 + Math.random() / 100, rssBytes: 90_000_000, latenessP50Ms: 0.2, latenessP99Ms: 1.4 },
    ...{ redisRttMs: 0.4, guard: 'alive', hold: null, exemptions: null },
    mechanisms: {
      signal: { supported: true, why: 'CAP_KILL' },
      freezer: { supported: true, why: 'cgroup v2, a group of our own' },
      quota: { supported: false, why: 'no cpu controller in cgroup.controllers' },
    },
  };
}

function reportOf(number: number): Report {
  const nowMs = systemClock.wallMs();
  const account = `customer-${number}`;
  const got = 0.04 + Math.random() / 50;
  return {
    ...{ v: 1, target: `user:${account}`, account, version: 1_764_000_000_000 + number },
    ...{ state: STATES[number % STATES.length]!, why: null, mechanism: 'signal' },
    ...{ mechanismWhy: 'no cgroup holds this user alone', runMs: 10, stopMs: 200, processes: 12, ownedElsewhere: 0 },
    ...{ beforeRatio: 0.98, askedRatio: 10 / 210, gotRatio: got, effective: true, costRatio: 0.001, periodMs: 210 },
    ...{ stops: 40_000 + number, reason: 'cpu 2104 s of 2000 s today, level 2 of 4, until 00:00 UTC', by: 'policy' },
    ...{ sinceMs: nowMs - 600_000, expiresAtMs: nowMs + 840_000, reportedAtMs: nowMs },
  };
}

function orderOf(host: string, { target, account, version, runMs, stopMs, reason, by, expiresAtMs }: Report) {
  const hobble = { runMs, stopMs, mechanism: 'auto' };
  const times = { version, issuedAt: version, expiresAt: expiresAtMs };
  const signature = { keyId: 'producer-1', signature: 'x'.repeat(86) };
  return { v: 1, action: 'tarpit', host, target, account, ...times, hobble, reason, by, ...signature };
}

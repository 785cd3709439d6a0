/** Records as a worker writes them, for the admin's tests: realistic by default, changed where a test says so. */

import type { Session } from '../../../admin/access/sessions.ts';
import { buildFleet, type Fleet } from '../../../admin/fleet/model.ts';
import type { Order } from '../../../shared/order.ts';
import type { DesiredState } from '../../../shared/redis/desired.ts';
import type { HostView } from '../../../shared/redis/fleet.ts';
import type { Report, Status } from '../../../shared/report.ts';
import { liveness } from '../../../shared/report.ts';
import { ISSUED_AT_MS } from '../../support/orders.ts';

/** Twenty seconds after the example orders were issued. */
export const NOW_MS = ISSUED_AT_MS + 20_000;

export function statusExample(changes: Partial<Status> = {}): Status {
  return {
    v: 1,
    host: 'web-1',
    epoch: 3,
    bootId: '1b2f6f3e-0000-4000-8000-000000000000',
    pid: 812,
    hobblerVersion: '0.1.0',
    startedAtMs: NOW_MS - 86_400_000,
    beatAtMs: NOW_MS - 2_000,
    cores: 8,
    load1: 3.42,
    pressure: { cpu: 0.18, memory: 0, io: null },
    targets: 1,
    processes: 7,
    stopsPerSecond: 33,
    ownCpuRatio: 0.012,
    rssBytes: 96 * 1024 * 1024,
    latenessP50Ms: 0.2,
    latenessP99Ms: 1.4,
    redisRttMs: 0.6,
    guard: 'alive',
    hold: null,
    mechanisms: {
      signal: { supported: true, why: 'CAP_KILL' },
      freezer: { supported: true, why: 'cgroup v2 at /sys/fs/cgroup/hobbler' },
      quota: { supported: false, why: 'no cpu controller in cgroup.controllers' },
    },
    exemptions: { minUid: 1_000, users: ['backup'], groups: ['staff'], cgroups: ['/system.slice'], leftOut: 0 },
    ...changes,
  };
}

export function reportExample(changes: Partial<Report> = {}): Report {
  return {
    v: 1,
    target: 'user:alice',
    account: 'alice',
    version: ISSUED_AT_MS,
    state: 'hobbling',
    why: null,
    mechanism: 'signal',
    mechanismWhy: 'no cgroup holds this user alone',
    runMs: 10,
    stopMs: 200,
    processes: 7,
    ownedElsewhere: 0,
    beforeRatio: 0.98,
    costRatio: 0.002,
    periodMs: 210,
    askedRatio: 0.0476,
    gotRatio: 0.051,
    effective: true,
    stops: 4_211,
    reason: 'cpu 2104 s of 2000 s today',
    by: 'policy',
    sinceMs: ISSUED_AT_MS,
    expiresAtMs: ISSUED_AT_MS + 900_000,
    reportedAtMs: NOW_MS - 1_000,
    ...changes,
  };
}

export function hostExample(changes: Partial<HostView> = {}): HostView {
  const status = changes.status === undefined ? statusExample() : changes.status;
  return {
    host: 'web-1',
    liveness: liveness(status?.beatAtMs ?? null, NOW_MS),
    status,
    broken: null,
    hold: null,
    reports: [reportExample()],
    brokenReports: [],
    ...changes,
  };
}

export function desired(...orders: Order[]): DesiredState {
  return {
    records: new Map(orders.map((order) => [order.target, { text: JSON.stringify(order), raw: order, order }])),
    broken: [],
  };
}

export function fleetExample({
  hosts = [hostExample()],
  fleetOrders = desired(),
  hostOrders = {},
  hold = null,
}: {
  hosts?: HostView[];
  fleetOrders?: DesiredState;
  hostOrders?: Record<string, DesiredState>;
  hold?: Fleet['hold'];
} = {}): Fleet {
  return buildFleet({
    view: { nowMs: NOW_MS, hold, hosts },
    fleetOrders,
    hostOrders: new Map(Object.entries(hostOrders)),
  });
}

export function sessionExample(changes: Partial<Session> = {}): Session {
  return { user: 'ann', role: 'operator', csrf: 'csrf-of-this-session', via: 'password', ...changes };
}

/** Everything that could break out of text, of an attribute, or of a tag. */
export const HOSTILE = `<script>alert(1)</script>"'\`><img src=x onerror=alert(2)>&lt;`;

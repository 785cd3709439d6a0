/**
 * The fleet in Prometheus's words: one exporter for all hosts, fed from the same reading as the page. A gauge per host
 * and per state, never one per target: accounts would make labels without bound. What is unknown has no sample, rather
 * than a zero (invariant 9).
 */
import { Gauge } from 'prom-client';
import { openRegistry } from '../shared/metrics.ts';
import type { TarpitOrder } from '../shared/order.ts';
import { type Liveness, type TargetState, targetStates } from '../shared/report.ts';
import { isOverdue } from './fleet/attention.ts';
import type { Fleet } from './fleet/model.ts';
import type { FleetAnswer } from './fleet/source.ts';

const LIVENESS: readonly Liveness[] = ['alive', 'late', 'lost'];

/** Longer than a report may be old. */
const PAST_EXPIRY_AFTER_MS = 60_000;
/** Who the producer's policy signs as. */
const POLICY = 'policy';

function policyOrders({ targets, fleetOrders, nowMs }: Fleet): TarpitOrder[] {
  const orders = [...targets.map(({ order }) => order), ...fleetOrders.map(({ order }) => order)];
  return [...new Set(orders)].filter(
    (order): order is TarpitOrder =>
      order !== null && order.action === 'tarpit' && order.by === POLICY && order.expiresAt > nowMs,
  );
}

function leftRatio({ issuedAt, expiresAt }: TarpitOrder, nowMs: number): number {
  return (expiresAt - nowMs) / (expiresAt - issuedAt);
}

/** The text that a scraper gets. With Redis away only `hobbler_redis_up 0` is true, so only that is said. */
export async function fleetMetrics(answer: FleetAnswer): Promise<{ contentType: string; text: string }> {
  const registry = openRegistry('admin');
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `hobbler_${name}`, help, labelNames, registers: [registry] });

  gauge('redis_up', 'Whether the admin can read Redis (1) or not (0).').set(answer.redis === 'here' ? 1 : 0);
  if (answer.redis === 'here') {
    const { nowMs, hosts, targets, hold, broken } = answer.fleet;
    const hostCount = gauge('hosts', 'Hosts by liveness.', ['liveness']);
    for (const liveness of LIVENESS)
      hostCount.set({ liveness }, hosts.filter((host) => host.liveness === liveness).length);

    const targetCount = gauge('targets', 'Targets by reported state, over all hosts.', ['state']);
    const ofState = (state: TargetState) => targets.filter(({ report }) => report?.state === state).length;
    for (const state of targetStates) targetCount.set({ state }, ofState(state));
    gauge('targets_unreported', 'Targets ordered that no worker has reported yet.').set(
      targets.filter(({ report }) => report === null).length,
    );
    gauge('targets_without_effect', 'Targets asked to slow down that did not.').set(
      targets.filter(({ report }) => report?.effective === false).length,
    );
    gauge('orders_overdue', 'Orders that a living host has not taken up for more than 30 s.').set(
      targets.filter((row) => isOverdue(row, nowMs)).length,
    );
    gauge(
      'targets_past_expiry',
      'Targets that a living host still hobbles a minute after their order has run out.',
    ).set(
      targets.filter(
        ({ report, liveness }) =>
          liveness === 'alive' && report !== null && report.expiresAtMs < nowMs - PAST_EXPIRY_AFTER_MS,
      ).length,
    );
    gauge('releases_pending', 'Releases that the host has not carried out yet.').set(
      targets.filter(({ releasing }) => releasing !== null).length,
    );
    gauge('records_broken', 'Records in Redis that cannot be read.').set(broken.length);
    const policy = policyOrders(answer.fleet);
    gauge('policy_orders', 'Standing tarpit orders of the policy, over all hosts.').set(policy.length);
    if (policy.length > 0) {
      gauge(
        'policy_lease_left_ratio',
        'What is left of the freshest order of the policy, as a part of its whole life: renewed at two thirds.',
      ).set(policy.reduce((most, order) => Math.max(most, leftRatio(order, nowMs)), 0));
    }
    gauge('fleet_hold', 'Whether the whole fleet is held.').set(hold === null ? 0 : 1);

    const perHost = (name: string, help: string) => gauge(`host_${name}`, help, ['host']);
    const beatAge = perHost('beat_age_seconds', "Age of the host's last heartbeat.");
    const hostTargets = perHost('targets', 'Targets that the worker carries out.');
    const processes = perHost('processes', 'Processes of all targets.');
    const rss = perHost('rss_bytes', 'Memory of worker and guard.');
    const roundTrip = perHost('redis_round_trip_seconds', 'Round trip from the host to Redis.');
    const held = perHost('hold', 'Whether the worker says that it holds.');
    const guard = perHost('guard_alive', 'Whether the guard is alive.');
    const epoch = perHost('lease_epoch', 'The epoch of the lease that the worker holds.');
    const ownCpu = perHost('own_cpu_ratio', 'CPU of worker and guard, as a share of one core.');
    const stops = perHost('stops_per_second', 'Stop signals sent per second.');
    const lateness = perHost('phase_lateness_p99_seconds', 'How late phases start, 99th percentile.');
    for (const { host, status } of hosts) {
      if (status === null) continue;
      beatAge.set({ host }, Math.max(0, nowMs - status.beatAtMs) / 1000);
      held.set({ host }, status.hold === null ? 0 : 1);
      guard.set({ host }, status.guard === 'alive' ? 1 : 0);
      epoch.set({ host }, status.epoch);
      stops.set({ host }, status.stopsPerSecond);
      if (status.ownCpuRatio !== null) ownCpu.set({ host }, status.ownCpuRatio);
      hostTargets.set({ host }, status.targets);
      processes.set({ host }, status.processes);
      rss.set({ host }, status.rssBytes);
      if (status.redisRttMs !== null) roundTrip.set({ host }, status.redisRttMs / 1000);
      if (status.latenessP99Ms !== null) lateness.set({ host }, status.latenessP99Ms / 1000);
    }
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

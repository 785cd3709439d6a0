/**
 * The fleet in Prometheus's words: one exporter for all hosts, fed from the same reading as the page. A gauge per host
 * and per state, never one per target: accounts would make labels without bound. What is unknown has no sample, rather
 * than a zero (invariant 9).
 */
import { Gauge, Registry } from 'prom-client';
import { type Liveness, type TargetState, targetStates } from '../shared/report.ts';
import type { FleetAnswer } from './fleet/source.ts';

const LIVENESS: readonly Liveness[] = ['alive', 'late', 'lost'];

/** The text that a scraper gets. With Redis away only `hobbler_redis_up 0` is true, so only that is said. */
export async function fleetMetrics(answer: FleetAnswer): Promise<{ contentType: string; text: string }> {
  const registry = new Registry();
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
    gauge('releases_pending', 'Releases that the host has not carried out yet.').set(
      targets.filter(({ releasing }) => releasing !== null).length,
    );
    gauge('records_broken', 'Records in Redis that cannot be read.').set(broken.length);
    gauge('fleet_hold', 'Whether the whole fleet is held.').set(hold === null ? 0 : 1);

    const perHost = (name: string, help: string) => gauge(`host_${name}`, help, ['host']);
    const beatAge = perHost('beat_age_seconds', "Age of the host's last heartbeat.");
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
      if (status.latenessP99Ms !== null) lateness.set({ host }, status.latenessP99Ms / 1000);
    }
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

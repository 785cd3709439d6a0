/**
 * What a worker says of itself to Prometheus. No label names a target, an account or a user: those are without bound, and
 * a metrics page is read by more people than the fleet page. What is asked for at each scrape is worked out then; nothing
 * is kept up to date for a scraper that may not exist.
 */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../shared/clock.ts';
import { addFigure, addFigures, addTotal, openRegistry } from '../shared/metrics.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { targetStates } from '../shared/report.ts';
import type { Engine, Gate } from './engine/engine.ts';
import type { HobbleLoop } from './engine/loop.ts';
import type { GuardLink } from './guard/guard.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Lease } from './lease.ts';
import type { OrderBook } from './order-book.ts';
import type { RedisTime } from './redis-time.ts';
import type { Reporter } from './reporter.ts';

export interface Health {
  /** False: a new start may help. Redis away is no such reason. */
  isWell: boolean;
  guard: 'alive' | 'dead';
  redis: string;
  /** Why everything runs at present; null: orders are carried out. */
  gate: string | null;
}

/** The parts that are asked. */
export interface Asked {
  machine: { readonly engine: Engine; readonly guard: Pick<GuardLink, 'isAlive'> };
  book: Pick<OrderBook, 'entries'>;
  reporter: Pick<Reporter, 'current'>;
  heartbeat: Pick<Heartbeat, 'ageMs'>;
  lease: Pick<Lease, 'epoch'>;
  redis: Pick<Redis, 'status'>;
  time: Pick<RedisTime, 'nowMs' | 'roundTripMs'>;
  clock: Clock;
}

const GATES: readonly Gate[] = ['guard', 'hold', 'gap', 'lease', 'journal', 'stopping'];
/** From a pid order on an idle host (3 ms) to a host that is slow to follow. */
const FIRST_STOP_BUCKETS_S = [0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** A first stop that comes later than this was not waiting for us: the target was idle until then, or we were not there. */
const COUNTED_WITHIN_MS = 60_000;

export class WorkerMetrics {
  readonly registry: Registry;
  readonly #asked: Asked;
  readonly #orders: Counter;
  readonly #firstStop: Histogram;
  readonly #stoppedOnce = new WeakSet<HobbleLoop>();

  constructor(asked: Asked) {
    this.#asked = asked;
    this.registry = openRegistry('worker');
    const registers = [this.registry];
    this.#orders = new Counter({
      name: 'hobbler_worker_orders_total',
      help: 'Orders that came by the queue, by what became of them.',
      labelNames: ['action', 'result'],
      registers,
    });
    this.#firstStop = new Histogram({
      name: 'hobbler_worker_order_to_first_stop_seconds',
      help: 'From the issue of an order to the first stop, by Redis clock; a minute or later is not counted.',
      buckets: FIRST_STOP_BUCKETS_S,
      registers,
    });
    this.#addTargets();
    this.#addHealth();
  }

  /** An order came by the queue. */
  order(action: string, result: string): void {
    this.#orders.inc({ action, result });
  }

  /** A loop has changed: perhaps it was stopped for the first time. */
  changed(key: string): void {
    const { machine, book, clock, time } = this.#asked;
    const loop = machine.engine.loops.get(key);
    if (!loop || loop.stops === 0 || this.#stoppedOnce.has(loop)) return;
    this.#stoppedOnce.add(loop);
    const atMs = time.nowMs();
    // The first stop may come while the order is still being applied, before the book knows it.
    clock.after(0, () => {
      const order = book.entries.get(key)?.order;
      const tookMs = order && atMs - order.issuedAt;
      if (tookMs !== undefined && tookMs < COUNTED_WITHIN_MS) this.#firstStop.observe(Math.max(0, tookMs) / 1_000);
    });
  }

  /** The same in short, for probes. */
  health(): Health {
    const { machine, redis } = this.#asked;
    const { isAlive } = machine.guard;
    return {
      isWell: isAlive,
      guard: isAlive ? 'alive' : 'dead',
      redis: redis.status,
      gate: machine.engine.closedGate?.why ?? null,
    };
  }

  #addTargets(): void {
    const { reporter } = this.#asked;
    const { engine } = this.#asked.machine;
    const { registry } = this;
    addFigures(registry, 'hobbler_worker_targets', 'Targets with a standing order, by state.', 'state', () => {
      const counts = Object.fromEntries(targetStates.map((state) => [state, 0]));
      for (const { state } of reporter.current()) counts[state]! += 1;
      return counts;
    });
    addFigure(registry, 'hobbler_worker_targets_without_effect', 'Targets asked to slow down that did not.', () => {
      return reporter.current().filter(({ effective }) => effective === false).length;
    });
    addFigure(registry, 'hobbler_worker_processes', 'Processes of all targets.', () => engine.processes);
    addFigure(registry, 'hobbler_worker_braked_targets', 'Targets that the brake holds.', () => engine.brake.held);
    const brakeHelp = 'Share of the users here that are in the tarpit, by their processes.';
    addFigure(registry, 'hobbler_worker_hobbled_users_ratio', brakeHelp, () => engine.brake.hobbledRatio);
    addTotal(registry, 'hobbler_worker_stops_total', 'Stop signals sent.', () => engine.totalStops);
    const cpuHelp = 'CPU share of one core, summed over the targets that are measured:';
    addFigures(registry, 'hobbler_worker_target_cpu_ratio', `${cpuHelp} asked beside got.`, 'share', () => {
      const measured = reporter.current().filter(({ state, gotRatio }) => state === 'hobbling' && gotRatio !== null);
      return {
        asked: measured.reduce((sum, { askedRatio }) => sum + askedRatio, 0),
        got: measured.reduce((sum, { gotRatio }) => sum + gotRatio!, 0),
      };
    });
    addFigures(
      registry,
      'hobbler_worker_phase_lateness_seconds',
      'How late phases start, by quantile of the last ones.',
      'quantile',
      () => {
        const { p50Ms, p99Ms } = engine.lateness();
        return {
          ...(p50Ms === null ? {} : { '0.5': p50Ms / 1_000 }),
          ...(p99Ms === null ? {} : { '0.99': p99Ms / 1_000 }),
        };
      },
    );
  }

  #addHealth(): void {
    const { redis, time, heartbeat, lease } = this.#asked;
    const { engine, guard } = this.#asked.machine;
    const { registry } = this;
    const seconds = (ms: number | null) => (ms === null ? null : ms / 1_000);
    addFigures(
      registry,
      'hobbler_worker_gate_closed',
      '1 for the gate that keeps everything running at present: no guard, a hold, a gap, the lease, the journal.',
      'gate',
      () => Object.fromEntries(GATES.map((gate) => [gate, engine.closedGate?.gate === gate ? 1 : 0])),
    );
    addFigure(registry, 'hobbler_worker_guard_alive', 'Whether a guard listens.', () => (guard.isAlive ? 1 : 0));
    addFigure(registry, 'hobbler_worker_lease_epoch', 'The epoch of the lease.', () => lease.epoch);
    addFigure(registry, 'hobbler_worker_redis_up', 'Whether Redis can be used.', () =>
      redis.status === 'ready' ? 1 : 0,
    );
    addFigure(registry, 'hobbler_worker_redis_round_trip_seconds', 'Round trip to Redis of the last beat.', () =>
      seconds(time.roundTripMs),
    );
    addFigure(registry, 'hobbler_worker_beat_age_seconds', 'Since the last heartbeat that Redis took.', () =>
      seconds(heartbeat.ageMs),
    );
  }
}

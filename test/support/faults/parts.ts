/**
 * How the parts of a host stand in a history, as far as the one who breaks them knows: which are dead, hung or away. Pure.
 */
import type { Fault, Road } from './history.ts';
import type { Model } from './model.ts';
import type { World } from './world.ts';

export interface Parts {
  worker: 'runs' | 'hung' | 'dead';
  redis: 'up' | 'full' | 'paused' | 'down';
  isGuardHung: boolean;
  /** Another worker of the same name runs elsewhere. */
  hasSecond: boolean;
  isDiskFull: boolean;
}

export const allWell = (): Parts => ({
  worker: 'runs',
  redis: 'up',
  isGuardHung: false,
  hasSecond: false,
  isDiskFull: false,
});

/** Somebody who waits for what came of an order gets an answer, if all goes as it should. */
export function canAnswer(road: Road, { worker, redis, hasSecond }: Parts): boolean {
  const needsWorker = road === 'job' || road === 'fleet';
  return redis === 'up' && (!needsWorker || (worker === 'runs' && !hasSecond));
}

/** Whether a fault makes sense as things stand; else it is passed over. */
export function isPossible(fault: Fault, parts: Parts, model: Model, world: World): boolean {
  const isRunning = parts.worker === 'runs';
  switch (fault) {
    case 'worker-killed':
      return parts.worker !== 'dead';
    case 'worker-hung':
    case 'worker-replaced':
      return isRunning;
    case 'worker-wakes':
      return parts.worker === 'hung';
    case 'worker-starts':
      return parts.worker === 'dead';
    case 'guard-killed':
      return isRunning && !parts.isGuardHung && !parts.isDiskFull && world.hasGuard();
    case 'guard-hung':
    case 'both-killed-then-script':
    case 'both-killed-then-start':
    case 'both-hung':
      return isRunning && !parts.isGuardHung && !parts.isDiskFull && world.isWell();
    case 'guard-wakes':
      return parts.isGuardHung;
    case 'second-worker':
      return !parts.hasSecond && isRunning && parts.redis === 'up';
    case 'second-ends':
      return parts.hasSecond;
    case 'lease-taken':
    case 'redis-flushed':
    case 'redis-full':
      return parts.redis === 'up';
    case 'redis-paused':
      return parts.redis === 'up';
    case 'redis-snapshot':
      return parts.redis === 'up' && model.outbox.size === 0;
    case 'redis-restored':
      return parts.redis === 'up' && model.hasSnapshot;
    case 'redis-resumes':
      return parts.redis === 'paused';
    case 'redis-roomy':
      return parts.redis === 'full';
    case 'redis-killed':
    case 'redis-lost':
      return parts.redis !== 'down' && parts.redis !== 'paused';
    case 'redis-starts':
      return parts.redis === 'down';
    case 'journal-full':
      // A limit on a process that is still being started is not one on the worker alone.
      return isRunning && !parts.isDiskFull && !parts.isGuardHung && world.isWell();
    case 'disk-full':
      return isRunning && !parts.isDiskFull && !parts.isGuardHung;
    case 'disk-freed':
      return parts.isDiskFull;
  }
}

/**
 * Finds the job that carried an order to a host: among the jobs that its queue keeps, by target and version. Read only.
 * Jobs are few per host and kept in bounded numbers (shared/queue.ts), so they are looked through from the newest.
 */
import { openQueue } from '../../shared/queue.ts';
import type { Redis } from '../../shared/redis/connection.ts';

/** Where a job may be, the likeliest first; and how many of each are looked through, from the newest. */
const STATES = ['completed', 'failed', 'active', 'wait', 'delayed'] as const;
const LOOKED_THROUGH = 500;

/** The job's id; null when it is kept no more, or when the host found the order by itself. Rejects when Redis is away. */
export async function findOrderJob(
  redis: Redis,
  host: string,
  target: string,
  version: number,
): Promise<string | null> {
  const queue = openQueue(host, redis);
  for (const state of STATES) {
    for (const job of await queue.getJobs([state], 0, LOOKED_THROUGH - 1)) {
      const order = (job?.data ?? {}) as { target?: unknown; version?: unknown };
      if (order.target === target && order.version === version) return job.id ?? null;
    }
  }
  return null;
}

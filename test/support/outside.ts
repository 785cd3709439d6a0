/**
 * Gives orders as a stranger would: with a plain BullMQ queue and nothing of hobbler imported but the test's own types.
 * What it sends is the documented contract (docs/contract.md), written out by hand.
 */
import { Queue } from 'bullmq';
import type { ProcessId } from '../../shared/target.ts';
import { until } from './until.ts';

export interface Outside {
  /** Adds an order as a job and waits for what came of it. Throws with the reason when the job failed. */
  order(
    action: 'tarpit' | 'untarpit',
    target: ProcessId | string,
    changes?: Record<string, unknown>,
  ): Promise<Record<string, unknown>>;
  /** Adds a job with any data at all; gives its failure's reason. */
  poison(name: string, data: unknown): Promise<string>;
  close(): Promise<void>;
}

export function openOutside(redis: { url: string }, host = 'web-1'): Outside {
  const queue = new Queue('orders', {
    prefix: `hobbler:{${host}}`,
    connection: { path: redis.url.replace('unix://', '') },
  });
  queue.on('error', () => {}); // tests take Redis away
  const settle = async (name: string, data: unknown) => {
    const { id } = await queue.add(name, data);
    return until(
      async () => {
        const job = await queue.getJob(id!);
        return job?.finishedOn === undefined ? undefined : job;
      },
      { deadlineMs: 10_000, what: `job ${id} to finish` },
    );
  };
  let lastVersion = 0;
  return {
    order: async (action, target, changes = {}) => {
      const now = Date.now();
      lastVersion = Math.max(now, lastVersion + 1);
      const job = await settle(action, {
        v: 1,
        action,
        host,
        target: typeof target === 'string' ? target : `pid:${target.pid}@${target.startTicks}`,
        version: lastVersion,
        issuedAt: now,
        ...(action === 'tarpit' ? { expiresAt: now + 600_000, hobble: { runMs: 10, stopMs: 200, every: true } } : {}),
        reason: 'a test',
        by: 'outsider',
        ...changes,
      });
      if (job!.failedReason) throw new Error(job!.failedReason);
      return job!.returnvalue as Record<string, unknown>;
    },
    poison: async (name, data) => (await settle(name, data))!.failedReason,
    close: () => queue.close(),
  };
}

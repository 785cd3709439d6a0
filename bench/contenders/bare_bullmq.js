// The peer for orders: a BullMQ worker that does nothing with a job, with the settings of hobbler's own.
// Usage: node bare_bullmq.js SOCKET PREFIX [stamp]; `stamp` prints `ID NS` for each job, NS on CLOCK_MONOTONIC.
import { Worker } from 'bullmq';

const [path, prefix, stamp] = process.argv.slice(2);
const worker = new Worker(
  'orders',
  async (job) => {
    const atNs = process.hrtime.bigint();
    if (stamp) console.log(`${job.id} ${atNs}`);
    return { status: 'applied' };
  },
  {
    connection: { path, maxRetriesPerRequest: null },
    prefix,
    concurrency: 16,
    drainDelay: 30,
    lockDuration: 30_000,
    stalledInterval: 30_000,
    maxStalledCount: 10,
    removeOnComplete: { count: 100 },
    removeOnFail: { count: 500 },
  },
);
await worker.waitUntilReady();
console.log('ready');
process.once('SIGTERM', () => process.exit());

/**
 * Takes orders from this host's queue, in milliseconds each: check, compare-and-set into the desired state, apply. The
 * job's return value says what came of it. Poison fails at once and visibly and holds up nobody. Jobs side by side share
 * their calls to Redis; each is still written before it is applied, and answered for by itself.
 */
import { messageOf, quote } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import { FLEET, type Order, type OrderResult, takeOrder } from '../shared/order.ts';
import { type Consumer, failForGood, type Job, openConsumer } from '../shared/queue.ts';
import { appendAudits } from '../shared/redis/audit.ts';
import type { Redis, RedisSettings } from '../shared/redis/connection.ts';
import { type DesiredWrite, type PutResult, putAllDesired } from '../shared/redis/desired.ts';
import { Gather } from './gather.ts';
import { type OrderBook, requireSameAction } from './order-book.ts';
import type { Reconciler } from './reconciler.ts';

/**
 * Jobs worked on at once. Each waits for Redis most of its time, and the more there are, the more share a call: 16 take a
 * sixth more CPU per order. So many are applied in one turn of the event loop, at 50 to 100 µs each, while phases wait.
 */
const CONCURRENCY = 32;

export interface ConsumerParts {
  host: string;
  redis: Redis;
  settings: RedisSettings;
  book: OrderBook;
  reconciler: Reconciler;
  /** Told of every job: what it asked for, and what came of it. */
  onResult: (action: Order['action'] | 'unknown', status: OrderResult['status']) => void;
  log: Logger;
}

/** What jobs side by side share. */
interface Shared extends ConsumerParts {
  writes: Gather<DesiredWrite, PutResult>;
  audits: Gather<AuditEntry, true>;
}
type AuditEntry = Record<string, string | number>;

/** What a consumer does with one job, whoever brings it. */
export function jobTaker(parts: ConsumerParts): (job: Job) => Promise<OrderResult> {
  const { host, redis } = parts;
  const shared: Shared = {
    ...parts,
    writes: new Gather(CONCURRENCY, (writes) => putAllDesired(redis, host, writes)),
    audits: new Gather(CONCURRENCY, async (entries) => {
      await appendAudits(redis, hostKeys.audit(host), entries);
      return entries.map(() => true);
    }),
  };
  return (job) => takeJob(shared, job);
}

/** A consumer of this host's orders; not started. */
export function createConsumer(parts: ConsumerParts): Consumer {
  const { host, settings, log } = parts;
  let lastMessage = '';
  return openConsumer({
    host,
    settings,
    concurrency: CONCURRENCY,
    onJob: jobTaker(parts),
    onError: (error) => {
      if (error.message !== lastMessage) log.warn(`orders queue: ${error.message}`);
      lastMessage = error.message;
    },
  });
}

async function takeJob(parts: Shared, job: Job): Promise<OrderResult> {
  let order: Order;
  let text: string;
  try {
    ({ order, text } = takeOrder(job.data, 'job.data'));
    requireSameAction(job.name, order);
  } catch (error) {
    parts.log.warn({ job: job.id }, `order refused: ${messageOf(error)}`);
    parts.onResult('unknown', 'invalid');
    failForGood(`invalid: ${messageOf(error)}`);
  }
  const refusal = parts.book.check(order, job.data as Record<string, unknown>);
  if (refusal && 'why' in refusal) {
    parts.onResult(order.action, refusal.status);
    parts.log.warn({ job: job.id, target: order.target }, `order ${refusal.status}: ${refusal.why}`);
    failForGood(`${refusal.status}: ${refusal.why}`);
  }
  const result = order.host === FLEET ? await applyFleetOrder(parts, order) : await applyOwnOrder(parts, order, text);
  parts.onResult(order.action, result.status);
  audit(parts, order, result);
  return result;
}

async function applyOwnOrder({ writes, book }: Shared, order: Order, text: string): Promise<OrderResult> {
  const put = await writes.add({ order, text });
  switch (put.status) {
    case 'stale':
      return { status: 'stale', currentVersion: put.currentVersion };
    case 'full':
      return { status: 'refused', why: `${put.size} orders stand for this host already` };
    case 'written':
    case 'same':
      return book.apply(order);
  }
}

/** A fleet order is carried out from the fleet's record, where every other host finds it too. */
async function applyFleetOrder({ book, reconciler }: ConsumerParts, order: Order): Promise<OrderResult> {
  await reconciler.takeFleet();
  const entry = book.entries.get(order.target);
  if (!entry || entry.order.version < order.version) {
    // It is there, and an earlier worker saw a newer one that Redis has forgotten.
    const newest = book.newestVersion(order.target);
    if (newest > order.version) return { status: 'stale', currentVersion: newest };
    return {
      status: 'refused',
      why: `no such order in the fleet's record: write it to hobbler:fleet first (version ${quote(order.version)})`,
    };
  }
  return book.apply(order);
}

/** Fire and forget: a full audit stream or a Redis that goes away must not fail an order that was carried out. */
function audit({ audits, log }: Shared, order: Order, result: OrderResult): void {
  const { action, target, version, reason, by } = order;
  const entry = { action, target, version, reason, by, result: JSON.stringify(result) };
  audits.add(entry).catch((error) => log.debug(`audit: ${messageOf(error)}`));
}

/**
 * The queues of all hosts for bull-board, found at run time in the index of hosts and looked up anew every ten seconds.
 * All share one connection. Read here, changed only through bull-board's own calls. While Redis is away the last known
 * set stays.
 */
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { Clock, Timer } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import { fleetKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import { hostName } from '../../shared/order.ts';
import { openQueue, type Queue } from '../../shared/queue.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { MAX_TARGET_CHARS } from '../../shared/target.ts';
import { hostPath } from '../views/paths.ts';
import { GROUP_DELIMITER, queueName } from './names.ts';

export const LOOK_EVERY_MS = 10_000;

/** Each queue's own name is `orders`; bull-board keys queues by name, so here they go by their host. */
class HostAdapter extends BullMQAdapter {
  readonly #name: string;

  constructor(host: string, queue: Queue) {
    super(queue, {
      displayName: host,
      delimiter: GROUP_DELIMITER,
      description: `Orders for ${host}`,
      externalJobUrl: ({ data }) => targetOnHostPage(host, data),
    });
    this.#name = queueName(host);
  }

  override getName(): string {
    return this.#name;
  }

  /**
   * Removing a job removes its children, too, wherever the job says that they are. Orders have none; one that a hostile
   * host wrote into its own queue would have an operator remove the jobs of other hosts.
   */
  override async getJob(id: string) {
    const job = await super.getJob(id);
    if (job) {
      const remove = job.remove.bind(job);
      job.remove = () => remove({ removeChildren: false });
    }
    return job;
  }
}

/** From a job to what became of its target. What is no order leads to the host. */
function targetOnHostPage(host: string, order: unknown) {
  const target = (order as { target?: unknown } | null)?.target;
  const isTarget = typeof target === 'string' && target.length <= MAX_TARGET_CHARS;
  return { displayText: 'On its host', href: isTarget ? hostPath(host, target) : hostPath(host) };
}

export class HostQueues {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #adapters = new Map<string, HostAdapter>();
  #onChange: (adapters: BullMQAdapter[]) => void = () => {};
  #timer: Timer | undefined;

  constructor(redis: Redis, clock: Clock, log: Logger) {
    this.#redis = redis;
    this.#clock = clock;
    this.#log = log;
  }

  /** Where each new set of queues goes. */
  onChange(listener: (adapters: BullMQAdapter[]) => void): void {
    this.#onChange = listener;
  }

  /** Begins to look for hosts, at once and then every ten seconds. */
  start(): void {
    const look = () => this.look();
    look();
    this.#timer = this.#clock.every(LOOK_EVERY_MS, look);
  }

  /** The shared connection is closed by its owner; these queues hold nothing else. */
  stop(): void {
    this.#timer?.cancel();
  }

  /** Reads the index of hosts once and adds or drops queues to match. Never rejects. */
  async look(): Promise<void> {
    try {
      const names = await this.#redis.smembers(fleetKeys.hosts);
      // A name that is none could only have been put there by hand; the fleet page reports it.
      this.#take(new Set(names.filter((name) => hostName.safeParse(name).success)));
    } catch (error) {
      this.#log.debug({ why: messageOf(error) }, 'hosts cannot be looked up');
    }
  }

  #take(hosts: ReadonlySet<string>): void {
    let isChanged = false;
    for (const host of this.#adapters.keys()) {
      if (hosts.has(host)) continue;
      this.#adapters.delete(host);
      isChanged = true;
    }
    for (const host of hosts) {
      if (this.#adapters.has(host)) continue;
      this.#adapters.set(host, new HostAdapter(host, openQueue(host, this.#redis)));
      isChanged = true;
    }
    if (!isChanged) return;
    this.#onChange([...this.#adapters.values()]);
    this.#log.info({ hosts: hosts.size }, 'queues found');
  }
}

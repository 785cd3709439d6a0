/**
 * The workers' own meter as a source of readings, for sites with no accounting of their own. Reads what each host
 * publishes, adds it up per account (meter-arithmetic.ts), and hands the intake one running total per account. Owns the
 * polling and which account a counter belongs to. A host that cannot be read delays and spoils no other.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import { fleetKeys, hostKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import { FLEET } from '../../shared/order.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { METERED, type ProducerConfig } from '../config.ts';
import type { Intake } from '../intake.ts';
import type { Judging } from '../judging.ts';
import type { Ledger, LedgerEntry, MeterMemory } from '../ledger.ts';
import { type ReadingInput, readingSchema } from '../reading.ts';
import { addUp, type Counter, type HostMeter, parseHostMeter } from './meter-arithmetic.ts';

export interface MeterOptions {
  config: Pick<ProducerConfig, 'accounts'>;
  everyMs: number;
  redis: Redis;
  ledger: Ledger;
  judging: Pick<Judging, 'rulesOf'>;
  intake: Pick<Intake, 'accept'>;
  clock: Clock;
  log: Logger;
}

export class MeterSource {
  readonly #options: MeterOptions;
  #accountByPlace: Map<string, string>;
  /** What each host had when it was last looked at. */
  readonly #lastLook = new Map<string, HostMeter>();
  #timer: Timer | undefined;
  #lastTrouble = '';

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#accountByPlace = accountsByPlace(options.config);
  }

  /** Another config from the next look on. */
  reconfigure(config: Pick<ProducerConfig, 'accounts'>): void {
    this.#accountByPlace = accountsByPlace(config);
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.everyMs, () => this.#runSafely());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One look at every host. Rejects when Redis cannot be used; then nothing was counted, and the next look makes it good. */
  async runOnce(): Promise<void> {
    const { ledger, judging, intake, clock, log } = this.#options;
    const meters = await this.#readMeters();
    const counters = this.#countersByAccount(meters);
    // A limit on something else is for another accounting system to report on.
    for (const account of counters.keys()) if (!isMetered(judging, account)) counters.delete(account);
    const nowMs = clock.wallMs();
    const entries = await ledger.read([...counters.keys()]);
    const counted: { entry: LedgerEntry; meter: MeterMemory }[] = [];
    const readings = new Map<string, ReadingInput>();
    for (const [account, own] of counters) {
      const entry = entries.get(account)!;
      const meter = addUp(entry.meter, own, nowMs);
      if (!meter) continue;
      const reading = readingSchema.safeParse({ account, total: meter.totalSeconds, ...METERED, at: meter.atMs });
      // Else it is a user's name on some host that cannot be an account.
      if (!reading.success) continue;
      counted.push({ entry, meter });
      readings.set(account, { reading: reading.data });
    }
    // Who was overtaken counts the same from the same memory at the next look.
    for (const account of await ledger.saveMeters(counted)) readings.delete(account);
    for (const meter of meters) this.#lastLook.set(meter.host, meter);
    if (readings.size === 0) return;
    const { refused } = await intake.accept([...readings.values()], { sender: 'meter' });
    if (refused.length > 0) log.debug({ refused: refused.slice(0, 5) }, 'readings of the meter were refused');
  }

  async #runSafely(): Promise<void> {
    try {
      await this.runOnce();
      this.#lastTrouble = '';
    } catch (error) {
      const trouble = messageOf(error);
      if (trouble !== this.#lastTrouble) this.#options.log.warn(`the meter waits: ${trouble}`);
      this.#lastTrouble = trouble;
    }
  }

  async #readMeters(): Promise<HostMeter[]> {
    const { redis, log } = this.#options;
    const hosts = await redis.smembers(fleetKeys.hosts);
    const replies = await Promise.all(
      hosts.map((host) =>
        redis.hgetall(hostKeys.meter(host)).catch((error: Error) => {
          if (error.name !== 'ReplyError') throw error;
          log.warn({ host }, `its meter cannot be read: ${error.message}`);
          return {};
        }),
      ),
    );
    return hosts.flatMap((host, index) => {
      const meter = parseHostMeter(host, replies[index] ?? {});
      if (meter && meter.unreadable.length > 0) {
        log.warn({ host, fields: meter.unreadable.slice(0, 5) }, 'fields of its meter cannot be read');
      }
      return meter ?? [];
    });
  }

  #countersByAccount(meters: readonly HostMeter[]): Map<string, Counter[]> {
    const counters = new Map<string, Counter[]>();
    for (const { host, boot, atMs, secondsByTarget } of meters) {
      const before = this.#lastLook.get(host);
      for (const [target, seconds] of secondsByTarget) {
        const account = this.#accountOf(host, target);
        if (account === undefined) continue;
        const own = counters.get(account) ?? [];
        const wasAbsent = before?.boot === boot && !before.secondsByTarget.has(target);
        own.push({ host, target, boot, seconds, atMs, absentAtMs: wasAbsent ? before.atMs : null });
        counters.set(account, own);
      }
    }
    return counters;
  }

  /** By config; else the user's name is the account's. A uid without a name belongs to nobody. */
  #accountOf(host: string, target: string): string | undefined {
    const byConfig = this.#accountByPlace.get(`${host} ${target}`) ?? this.#accountByPlace.get(`${FLEET} ${target}`);
    if (byConfig !== undefined) return byConfig;
    return target.startsWith('user:') ? target.slice('user:'.length) : undefined;
  }
}

function isMetered(judging: Pick<Judging, 'rulesOf'>, account: string): boolean {
  const { limits } = judging.rulesOf(account);
  return limits.some(({ unit, resource }) => unit === METERED.unit && resource === METERED.resource);
}

function accountsByPlace({ accounts }: Pick<ProducerConfig, 'accounts'>): Map<string, string> {
  const byPlace = new Map<string, string>();
  for (const [account, { targets }] of Object.entries(accounts)) {
    for (const { host, target } of targets ?? []) byPlace.set(`${host} ${target}`, account);
  }
  return byPlace;
}

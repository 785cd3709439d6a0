/**
 * The hold: the stop-everything switch, of the fleet, of this host, or local (a file, for when Redis is away). While
 * anything is hobbled it is looked at several times a second, so that everybody runs within one second; idle hosts look
 * with their heartbeat.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { parseHold } from '../shared/redis/fleet.ts';
import type { Status } from '../shared/report.ts';
import type { Engine } from './engine/engine.ts';
import { isThere, readStateFile } from './state-file.ts';

export type HoldInForce = NonNullable<Status['hold']>;

const LOOK_EVERY_MS = 500;
const MAX_REASON_BYTES = 1_000;

/** Something that is no text stands where a hold belongs: doubt means release. Throws what else went wrong. */
function holdIfUnreadable(error: unknown): string {
  if (messageOf(error).startsWith('WRONGTYPE')) return 'the record of the hold cannot be read';
  throw error;
}

export class Holds {
  readonly #redis: Redis;
  readonly #host: string;
  readonly #localPath: string;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #onChange: (hold: HoldInForce | null) => void;
  #remote: HoldInForce | null = null;
  #inForce: HoldInForce | null = null;
  #timer: Timer | undefined;

  constructor(
    redis: Redis,
    host: string,
    localPath: string,
    engine: Engine,
    clock: Clock,
    onChange: (hold: HoldInForce | null) => void,
  ) {
    this.#redis = redis;
    this.#host = host;
    this.#localPath = localPath;
    this.#engine = engine;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get inForce(): HoldInForce | null {
    return this.#inForce;
  }

  start(): void {
    this.#timer = this.#clock.every(LOOK_EVERY_MS, () => {
      if (this.#engine.loops.size === 0) return this.#settle();
      // Not awaited: a slow Redis must not delay the local look, which comes first.
      this.look().catch(() => {});
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Looks at all three. Rejects when Redis is away; what was known of it then stays in force. */
  async look(): Promise<void> {
    this.#settle();
    const [fleet, host] = await Promise.all([
      this.#redis.get(fleetKeys.hold).catch(holdIfUnreadable),
      this.#redis.get(hostKeys.hold(this.#host)).catch(holdIfUnreadable),
    ]);
    const fleetHold = parseHold(fleet);
    const hostHold = parseHold(host);
    if (fleetHold) this.#remote = { scope: 'fleet', reason: fleetHold.reason };
    else if (hostHold) this.#remote = { scope: 'host', reason: hostHold.reason };
    else this.#remote = null;
    this.#settle();
  }

  #settle(): void {
    const hold = this.#local() ?? this.#remote;
    if (hold?.scope === this.#inForce?.scope && hold?.reason === this.#inForce?.reason) return;
    this.#inForce = hold;
    if (hold) this.#engine.closeGate('hold', `held (${hold.scope}): ${hold.reason}`);
    else this.#engine.openGate('hold');
    this.#onChange(hold);
  }

  #local(): HoldInForce | null {
    if (!isThere(this.#localPath)) return null;
    try {
      return {
        scope: 'local',
        reason: readStateFile(this.#localPath, MAX_REASON_BYTES).trim().slice(0, 200) || 'local hold',
      };
    } catch {
      return { scope: 'local', reason: 'local hold' };
    }
  }
}

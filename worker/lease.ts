/**
 * The lease: the right to be the one worker of a host, which it renews. Its epoch grows with every new holder; seeing
 * another one than one's own means that somebody else has been the worker meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { HobblerError } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { loadScript, runScript } from '../shared/redis/scripts.ts';

/** A lease not renewed for this long is free. Renewed with every beat (5 s), so one lost beat does not lose it. */
export const LEASE_TTL_MS = 15_000;

const takeLease = loadScript('take-lease');
const giveLease = loadScript('give-lease');

export type LeaseResult = { status: 'held'; epoch: number } | { status: 'other'; epoch: number; freeInMs: number };

export class Lease {
  readonly #redis: Redis;
  readonly #host: string;
  readonly #owner: string;
  #epoch = 0;

  /** `machine` stands for the local lock that the caller holds: a dead holder of the same lock is succeeded at once. */
  constructor(redis: Redis, host: string, machine: string) {
    this.#owner = `${machine}#${randomUUID()}`;
    this.#redis = redis;
    this.#host = host;
  }

  /** The epoch held; 0 before the lease was first taken. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Takes or renews it. A changed epoch in the answer: another worker held it in between. */
  async take(): Promise<LeaseResult> {
    const reply = (await runScript(
      this.#redis,
      takeLease,
      [hostKeys.lease(this.#host), hostKeys.epoch(this.#host)],
      [this.#owner, LEASE_TTL_MS, this.#epoch],
    )) as string[];
    const epoch = Number(reply[1]);
    switch (reply[0]) {
      case 'held':
        this.#epoch = epoch;
        return { status: 'held', epoch };
      case 'other':
        return { status: 'other', epoch, freeInMs: Math.max(0, Number(reply[2])) };
      default:
        throw new HobblerError('internal', 'unknown reply of take-lease', { got: reply });
    }
  }

  /** Gives it back, so that a successor need not wait for its end. */
  async give(): Promise<void> {
    await runScript(this.#redis, giveLease, [hostKeys.lease(this.#host)], [this.#owner]);
  }
}

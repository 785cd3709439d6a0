/**
 * Deadlines on the boot clock, kept across restarts (invariant 2). What counts is the time an order had left when it
 * was first seen on this host; a restart, or a Redis whose clock jumps, must not lengthen it. Untarpits are kept as well:
 * a Redis that was restored from before one of them would have it forgotten by a worker that starts anew (invariant 3).
 */
import { z } from 'zod';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { MAX_LEASE_MS, tombstoneEndsAtMs } from '../shared/order.ts';
import { isThere, readStateFile, writeStateFile } from './state-file.ts';

const fileSchema = z.object({
  bootId: z.string(),
  deadlines: z.record(z.string(), z.object({ version: z.number(), deadlineBootMs: z.number() })),
});

/** 10,000 targets with names of 1,024 bytes are 11 MB. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

interface Deadline {
  version: number;
  deadlineBootMs: number;
}

export class Deadlines {
  readonly #path: string;
  readonly #bootId: string;
  readonly #log: Logger;
  readonly #known: Map<string, Deadline>;
  #isDirty = false;

  constructor(path: string, bootId: string, log: Logger) {
    this.#path = path;
    this.#bootId = bootId;
    this.#log = log;
    this.#known = new Map(Object.entries(this.#load()));
  }

  #load(): Record<string, Deadline> {
    if (!isThere(this.#path)) return {}; // the first start on this boot
    try {
      const file = fileSchema.parse(JSON.parse(readStateFile(this.#path, MAX_FILE_BYTES)));
      return file.bootId === this.#bootId ? file.deadlines : {};
    } catch (error) {
      // Orders are in Redis with their own expiry; only the memory of when they were first seen is lost.
      this.#log.warn({ path: this.#path }, `deadlines of an earlier run cannot be read: ${messageOf(error)}`);
      return {};
    }
  }

  /** When this version of the target's order ends, in milliseconds since boot: `leftMs` from now, or sooner if known. */
  deadlineOf(target: string, version: number, leftMs: number, nowBootMs: number): number {
    const fresh = nowBootMs + Math.min(leftMs, MAX_LEASE_MS);
    const known = this.#known.get(target);
    const deadlineBootMs = known?.version === version ? Math.min(known.deadlineBootMs, fresh) : fresh;
    if (known?.version !== version || known.deadlineBootMs !== deadlineBootMs) {
      this.#known.set(target, { version, deadlineBootMs });
      this.#isDirty = true;
    }
    return deadlineBootMs;
  }

  /** The newest version that was seen of this target's orders; 0: none that is remembered. */
  versionOf(target: string): number {
    return this.#known.get(target)?.version ?? 0;
  }

  /** Notes that this version takes the target out: it ended before it began. */
  untarpitted(target: string, version: number): void {
    if (this.#known.get(target)?.version === version) return;
    this.#known.set(target, { version, deadlineBootMs: 0 });
    this.#isDirty = true;
  }

  /** Forgets what no order can have overtaken any more that stands; `nowMs` by Redis's clock. */
  forgetEnded(nowMs: number): void {
    for (const [target, { version, deadlineBootMs }] of this.#known)
      if (deadlineBootMs === 0 && tombstoneEndsAtMs(version) < nowMs) this.forget(target);
  }

  forget(target: string): void {
    this.#isDirty = this.#known.delete(target) || this.#isDirty;
  }

  /** Writes what changed, in one step. A failure is said and costs only the memory. */
  save(): void {
    if (!this.#isDirty) return;
    try {
      writeStateFile(this.#path, JSON.stringify({ bootId: this.#bootId, deadlines: Object.fromEntries(this.#known) }));
      this.#isDirty = false;
    } catch (error) {
      this.#log.warn({ path: this.#path }, `deadlines cannot be written: ${messageOf(error)}`);
    }
  }
}

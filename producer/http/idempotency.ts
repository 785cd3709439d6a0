/**
 * Idempotency-Key: a request that is repeated under the same key is not carried out again, and gets the same answer. For
 * senders whose connection broke before they heard it. The answers stand in Redis, so that every producer knows them, for
 * an hour, by sender. Owns what a key stands for; knows nothing of what is asked. (The header is that of
 * draft-ietf-httpapi-idempotency-key-header.)
 *
 *   absent ──first request──► at work ──answered──► answered (an hour)
 *     ▲                          │
 *     └──failed, or 15 s later───┘   so that a producer that died at work blocks nobody for long
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HobblerError } from '../../shared/errors.ts';
import { idempotencyKey } from '../../shared/keys.ts';
import type { Redis } from '../../shared/redis/connection.ts';

export interface HttpAnswer {
  status: number;
  body: unknown;
}

/** A request under a key. */
export interface Keyed {
  sender: string;
  /** Of the route: the same key on two of them is two keys. */
  path: string;
  key: string;
  /** Of the body; the same key with another body is a mistake. */
  bodyDigest: string;
}

/** Longer than a request may take to be answered. */
const AT_WORK_MS = 15_000;
/** A sender who repeats does so within minutes. */
const KEPT_MS = 3_600_000;
/** A longer answer, of a batch with many refusals, is not kept: such a repetition is judged again, which changes nothing. */
const MAX_KEPT_CHARS = 8_192;
const KEY_FORM = /^[\x21-\x7e]{1,128}$/;

/** The first request of this key is still under way. */
export class AtWork extends HobblerError {
  readonly retryAfterMs = 1_000;

  constructor() {
    super('bound-exceeded', 'the first request under this Idempotency-Key is still at work', {
      hint: 'ask again for its answer',
    });
  }
}

const recordSchema = z.object({
  bodyDigest: z.string(),
  /** Null: at work. */
  answer: z.object({ status: z.int(), body: z.unknown() }).nullable(),
});

export class Idempotency {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Carries `work` out, or returns the answer that it gave the first time. Throws invalid-input for a key that is none
   * or stood for another body, AtWork while the first one is under way; rejects with what Redis or `work` reject with.
   */
  async once(keyed: Keyed, work: () => Promise<HttpAnswer>): Promise<HttpAnswer & { isRepeated: boolean }> {
    if (!KEY_FORM.test(keyed.key)) {
      throw new HobblerError('invalid-input', 'not a key', {
        where: 'Idempotency-Key',
        expected: '1 to 128 printable characters without spaces',
      });
    }
    const key = idempotencyKey(digestOf(keyed.sender, keyed.path, keyed.key));
    const { bodyDigest } = keyed;
    const isFirst = await this.#redis.set(key, JSON.stringify({ bodyDigest, answer: null }), 'PX', AT_WORK_MS, 'NX');
    if (isFirst === null) return { ...(await this.#known(key, bodyDigest)), isRepeated: true };
    try {
      const answer = await work();
      const record = JSON.stringify({ bodyDigest, answer });
      if (record.length <= MAX_KEPT_CHARS) await this.#redis.set(key, record, 'PX', KEPT_MS);
      else await this.#redis.del(key);
      return { ...answer, isRepeated: false };
    } catch (error) {
      // Where that fails as well, the key is free again when its time at work is over.
      await this.#redis.del(key).catch(() => {});
      throw error;
    }
  }

  async #known(key: string, bodyDigest: string): Promise<HttpAnswer> {
    const text = await this.#redis.get(key);
    // It failed, or its time was over, in between.
    if (text === null) throw new AtWork();
    const record = recordSchema.parse(JSON.parse(text));
    if (record.bodyDigest !== bodyDigest) {
      throw new HobblerError('unsupported', 'this key stood for another body', {
        where: 'Idempotency-Key',
        hint: 'take a new key for each request, and the same one for its repetition',
      });
    }
    if (!record.answer) throw new AtWork();
    return record.answer;
  }
}

/** Of parts that may hold anything. */
export function digestOf(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

/**
 * Asks a worker for the processes of a target, for as long as somebody looks, and gives what it answered. One question per
 * host, however many people look; of more targets than a worker tells at a time, those asked for last.
 */
import type { Clock } from '../../shared/clock.ts';
import { hostKeys } from '../../shared/keys.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { LOOKING_TTL_MS, MAX_LOOKED_INTO, type Tree, treesSchema } from '../../shared/trees.ts';

export interface TreeLook {
  /** Null: the worker has not answered yet, or does not know the target. */
  tree: Tree | null;
  /** When it answered, on Redis's clock; null: not yet. */
  atMs: number | null;
}

const NO_ANSWER: TreeLook = { tree: null, atMs: null };

export class TreeReader {
  readonly #redis: Redis;
  readonly #clock: Clock;
  /** By host: the targets asked for, with when; the last one last. */
  readonly #asked = new Map<string, Map<string, number>>();

  constructor(redis: Redis, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** What the worker of this host said last of this target, and the question for more. Rejects when Redis is away. */
  async look(host: string, target: string): Promise<TreeLook> {
    const looking = JSON.stringify(this.#note(host, target));
    const [text] = await Promise.all([
      this.#redis.get(hostKeys.trees(host)),
      this.#redis.set(hostKeys.looking(host), looking, 'PX', LOOKING_TTL_MS),
    ]);
    return text === null ? NO_ANSWER : answerOf(text, target);
  }

  #note(host: string, target: string): string[] {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, targets] of this.#asked) {
      for (const [asked, atMs] of targets) if (nowMs - atMs > LOOKING_TTL_MS) targets.delete(asked);
      if (targets.size === 0) this.#asked.delete(name);
    }
    const targets = this.#asked.get(host) ?? new Map<string, number>();
    this.#asked.set(host, targets);
    targets.delete(target);
    targets.set(target, nowMs);
    return [...targets.keys()].slice(-MAX_LOOKED_INTO);
  }
}

/** A worker of another version may say it in another way: then nothing is known. */
function answerOf(text: string, target: string): TreeLook {
  try {
    const { trees, atMs } = treesSchema.parse(JSON.parse(text));
    return { tree: trees.find((tree) => tree.target === target) ?? null, atMs };
  } catch {
    return NO_ANSWER;
  }
}

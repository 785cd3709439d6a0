/** Loads the Lua scripts next door and runs them by hash. Owns nothing of what they mean: each script says that itself. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from './connection.ts';

export interface Script {
  sha1: string;
  source: string;
}

/** Reads `lua/NAME.lua`. */
export function loadScript(name: string): Script {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
  return { sha1: createHash('sha1').update(source).digest('hex'), source };
}

/** Runs a script on keys of one slot; sends its source only when the server does not know it yet. */
export async function runScript(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return redis.eval(script.source, keys.length, ...keys, ...args);
  }
}

/**
 * What a fuzzed parser is, and what is asked of each: it takes the input, or refuses it in the way it says it does, and
 * what it has taken keeps its promises. Anything else that is thrown is a finding.
 */
import { strict as assert } from 'node:assert';
import { HobblerError } from '../../../shared/errors.ts';

export interface FuzzedParser {
  name: string;
  /** Its part of all inputs; a slow one gets less. */
  weight: number;
  /** How long it may take over one input, milliseconds, where that is more than the second which all others have. */
  mayTakeMs?: number;
  examples: readonly Buffer[];
  /** Fails when something that must hold does not. */
  check(bytes: Buffer): void;
  /** The same for a value, where the parser takes one: fast-check makes those. */
  checkValue?(value: unknown): void;
}

export const texts = (...examples: unknown[]) =>
  examples.map((example) => Buffer.from(typeof example === 'string' ? example : JSON.stringify(example)));

/** What the parser gave; undefined when it refused in good order. Anything else that is thrown goes on. */
export function taken<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof HobblerError)) throw error;
    assert.ok(error.code !== 'internal', `refused as a fault of ours: ${error.message}`);
    assert.ok(error.message.length <= 8_000, `a refusal of ${error.message.length} characters`);
    return undefined;
  }
}

export function fromJson(bytes: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(bytes.toString()) as unknown };
  } catch {
    return undefined;
  }
}

export const hasControls = (text: string) => /\p{Cc}/u.test(text);

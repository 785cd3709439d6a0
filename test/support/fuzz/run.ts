/** Runs the parsers on broken inputs: bytes from real examples, and values from fast-check. Owns the counting and the seed. */
import fc from 'fast-check';
import { mutate, randomOf } from './mutate.ts';
import type { FuzzedParser } from './parser.ts';

/** Of the inputs of a parser that takes values, one in so many is one; fast-check takes its time to make them. */
const VALUES_ONE_IN = 20;
const VALUES_AT_ONCE = 500;

export interface Finding {
  parser: string;
  seed: number;
  /** Which input of that parser. */
  number: number;
  input: string;
  why: string;
}

export interface FuzzResult {
  inputs: number;
  /** The first few; a parser that fails at every other input says no more by the thousandth. */
  findings: Finding[];
  slowestMs: number;
  slowestInput: string;
}

const MAX_FINDINGS = 3;
/** Characters of an input in a finding; the whole of it is made again from seed and number. */
const MAX_SHOWN = 300;

/** Gives one parser `inputs` inputs. `clock` measures the slowest, in milliseconds; left out, nothing is measured. */
export function fuzz(parser: FuzzedParser, inputs: number, seed: number, clock: () => number = () => 0): FuzzResult {
  const result: FuzzResult = { inputs, findings: [], slowestMs: 0, slowestInput: '' };
  const values = parser.checkValue === undefined ? 0 : Math.floor(inputs / VALUES_ONE_IN);
  const attempt = (number: number, show: () => string, check: () => void) => {
    const from = clock();
    try {
      check();
    } catch (error) {
      if (result.findings.length < MAX_FINDINGS) {
        const why =
          error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);
        result.findings.push({ parser: parser.name, seed, number, input: show(), why });
      }
    }
    const tookMs = clock() - from;
    if (tookMs > result.slowestMs) Object.assign(result, { slowestMs: tookMs, slowestInput: show() });
  };
  for (let number = 0; number < inputs - values; number++) {
    const bytes = inputOf(parser, seed, number);
    attempt(
      number,
      () => `bytes ${JSON.stringify(bytes.toString('latin1').slice(0, MAX_SHOWN))}`,
      () => parser.check(bytes),
    );
  }
  for (let done = 0; done < values; done += VALUES_AT_ONCE) {
    const some = fc.sample(anyValueFor(parser), {
      seed: seed + done,
      numRuns: Math.min(VALUES_AT_ONCE, values - done),
    });
    some.forEach((value, index) => {
      attempt(
        inputs - values + done + index,
        () => `value ${fc.stringify(value).slice(0, MAX_SHOWN)}`,
        () => parser.checkValue!(value),
      );
    });
  }
  return result;
}

/** That input again. */
export function inputOf(parser: FuzzedParser, seed: number, number: number): Buffer {
  return mutate(parser.examples, randomOf(seed, parser.name, number));
}

/** Anything at all (but bigints: values come out of JSON, BullMQ's jobs too), and the examples with some fields exchanged for anything. */
function anyValueFor({ examples }: FuzzedParser): fc.Arbitrary<unknown> {
  const anything = fc.anything({
    withMap: true,
    withNullPrototype: true,
    withDate: true,
    withSparseArray: true,
  });
  const objects = examples.map((bytes) => JSON.parse(bytes.toString()) as Record<string, unknown>);
  const changed = fc.constantFrom(...objects).chain((object) =>
    fc
      .tuple(
        fc.subarray(Object.keys(object), { minLength: 1 }),
        fc.array(fc.oneof(anything, fc.jsonValue()), { minLength: 3, maxLength: 3 }),
      )
      .map(([keys, some]) => ({
        ...object,
        ...Object.fromEntries(keys.slice(0, 3).map((key, index) => [key, some[index]])),
      })),
  );
  return fc.oneof(anything, { arbitrary: changed, weight: 3 });
}

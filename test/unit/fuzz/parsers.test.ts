/** Every parser on broken inputs: a few thousand each, the same ones every time. `npm run fuzz` runs a million. */
import { describe, expect, it } from 'vitest';
import { mutate, randomOf } from '../../support/fuzz/mutate.ts';
import type { FuzzedParser } from '../../support/fuzz/parser.ts';
import { PARSERS } from '../../support/fuzz/parsers.ts';
import { fuzz, inputOf } from '../../support/fuzz/run.ts';

const SEED = 20_251_124;
const INPUTS_PER_WEIGHT = 500;

it.each(PARSERS.map((parser) => [parser.name, parser] as const))('%s', (_name, parser) => {
  expect(fuzz(parser, Math.ceil(parser.weight * INPUTS_PER_WEIGHT), SEED).findings).toEqual([]);
});

it.each(PARSERS.map((parser) => [parser.name, parser] as const))(
  'the examples of %s break nothing',
  (_name, parser) => {
    for (const example of parser.examples) parser.check(example);
  },
);

describe('the fuzzer itself', () => {
  const picky: FuzzedParser = {
    name: 'picky',
    weight: 1,
    examples: [Buffer.from('{"a":1}')],
    check: (bytes) => {
      if (bytes.includes('__proto__')) throw new TypeError('found');
    },
  };

  it('finds what is there to be found, and tells how to make it again', () => {
    const { findings } = fuzz(picky, 5_000, 1);
    expect(findings.length).toBeGreaterThan(0);
    const { seed, number, why } = findings[0]!;
    expect(why).toContain('TypeError: found');
    expect(inputOf(picky, seed, number).toString()).toContain('__proto__');
  });

  it('makes the same from one seed, and others from another', () => {
    const make = (seed: number) =>
      Array.from({ length: 20 }, (_, n) => mutate(picky.examples, randomOf(seed, 'x', n)).toString('base64'));
    expect(make(1)).toEqual(make(1));
    expect(make(1)).not.toEqual(make(2));
  });
});

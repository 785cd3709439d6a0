/**
 * Inputs for fuzzing: real examples, broken byte by byte. Everything comes from a seed, so that an input which broke
 * something is made again from three values: seed, parser, number.
 */

export interface Random {
  /** A whole number from 0 up to, and not including, `bound`. */
  below(bound: number): number;
  pick<T>(items: readonly T[]): T;
}

/** Mulberry32 over a hash of the words: small, fast, and the same on every machine. */
export function randomOf(...words: (string | number)[]): Random {
  let state = 0x9e3779b9;
  for (const char of words.join('\0')) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return { below, pick: (items) => items[below(items.length)]! };
}

/** What parsers have stumbled over, here and elsewhere. */
const TOKENS = [
  ...['', ' ', '\n', '\r\n', '\t', '\0', '\u001b[2J', '\u0085', '\u2028', '\ud800', '\ufeff', '\u202e'],
  ...[
    '"',
    "'",
    '\\',
    '`',
    '$(',
    ')',
    '(',
    ') R 1 1 ',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '/',
    '..',
    '/../',
    '%00',
    '*',
    '?',
    '#',
    '&a',
    '*a',
    '<<:',
  ],
  ...[
    'null',
    'true',
    '-1',
    '0',
    '00',
    '-0',
    '1e999',
    '1e-999',
    'NaN',
    'Infinity',
    '9007199254740993',
    '18446744073709551616',
    '4294967295',
  ],
  ...['__proto__', 'constructor', 'toString', 'prototype', 'valueOf', '!!js/function', '!!binary', '!!set'],
  ...['pid:', 'pid:1@1', 'uid:0', 'user:root', 'cgroup:/', 'operator:eve', 'policy', 'stop 1 1', 'left 1 1', 'boot '],
].map((text) => Buffer.from(text));
const BYTES = [0x00, 0x09, 0x0a, 0x20, 0x22, 0x28, 0x29, 0x2d, 0x30, 0x39, 0x5c, 0x7f, 0x80, 0xc0, 0xed, 0xff];
/** Longer inputs are refused by every parser unread; that is tried, and no more of it. */
const MAX_BYTES = 64 * 1024;

/** A broken copy of one of the examples. */
export function mutate(examples: readonly Buffer[], random: Random): Buffer {
  let bytes = Buffer.from(random.pick(examples));
  // Most inputs get one to four changes: more, and nothing of the example's form is left.
  for (let left = 1 + random.below(4); left > 0; left--) bytes = change(bytes, examples, random);
  return bytes.subarray(0, MAX_BYTES);
}

function change(bytes: Buffer, examples: readonly Buffer[], random: Random): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(random.pick([1, 4, 16, bytes.length + 1])));
  const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (random.below(10)) {
    case 0: // one bit
      return Buffer.concat([
        before,
        part.map((byte, index) => (index === 0 ? byte ^ (1 << random.below(8)) : byte)),
        after,
      ]);
    case 1: // one byte
      return Buffer.concat([before, Buffer.from([random.pick(BYTES)]), bytes.subarray(at + 1)]);
    case 2: // something put in
      return Buffer.concat([before, random.pick(TOKENS), bytes.subarray(at)]);
    case 3: // something in the place of a part
      return Buffer.concat([before, random.pick(TOKENS), after]);
    case 4: // a part left out
      return Buffer.concat([before, after]);
    case 5: // the end left out
      return Buffer.from(before);
    case 6: // a part twice
      return Buffer.concat([before, part, part, after]);
    case 7: // a part many times over
      return Buffer.concat([before, ...Array<Buffer>(random.pick([10, 100, 1_000])).fill(part.subarray(0, 64)), after]);
    case 8: {
      // a part of another example
      const other = random.pick(examples);
      const from = random.below(other.length + 1);
      return Buffer.concat([before, other.subarray(from, from + random.below(64)), after]);
    }
    default: {
      // two parts exchanged
      const middle = Math.floor(part.length / 2);
      return Buffer.concat([before, part.subarray(middle), part.subarray(0, middle), after]);
    }
  }
}

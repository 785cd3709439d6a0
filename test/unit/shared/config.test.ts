/** The config file: every fault at once, each with its line and its path, so that it can be mended in one go. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadSection, parseSection } from '../../../shared/config.ts';
import { durationMs } from '../../../shared/duration.ts';
import { HobblerError } from '../../../shared/errors.ts';

const schema = z.strictObject({
  minUid: z.int().min(1).default(1000),
  every: durationMs.prefault('10s'),
  keys: z.array(z.strictObject({ id: z.string(), role: z.enum(['producer', 'operator']) })).default([]),
});
const parse = (text: string) => parseSection(text, 'hobbler.yaml', 'worker', schema);
const faultsOf = (text: string): string[] => {
  try {
    parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(HobblerError);
    expect(error).toMatchObject({ code: 'invalid-config' });
    return (error as Error).message.split('\n');
  }
  return [];
};

describe('a config file', () => {
  it('may be empty, or leave the section out, or leave it empty: then all defaults hold', () => {
    for (const text of ['', '# nothing\n', 'producer: {}', 'worker:', 'worker: {}'])
      expect(parse(text)).toEqual({ minUid: 1000, every: 10_000, keys: [] });
  });

  it('may be JSON', () => {
    expect(parse('{"worker": {"minUid": 500, "every": "1m"}}')).toMatchObject({ minUid: 500, every: 60_000 });
  });

  it('names every fault with its line and its path, in one go', () => {
    const text = `redis: {}
wroker: {}
worker:
  minUid: "many"
  every: soon
  evry: 10s
  keys:
    - id: a
      role: producer
    - id: b
      role: king
      colour: red
    - {}
`;
    expect(faultsOf(text)).toEqual([
      'hobbler.yaml:2: wroker: unknown section; expected one of redis, worker, producer, admin',
      expect.stringMatching(/^hobbler\.yaml:4: worker\.minUid: .*expected number.*; got "many"$/),
      'hobbler.yaml:5: worker.every: expected a duration such as 90s, 30m, 1h30m, 1d; got "soon"',
      expect.stringMatching(/^hobbler\.yaml:11: worker\.keys\.1\.role: .*"producer"\|"operator"; got "king"$/),
      'hobbler.yaml:12: worker.keys.1.colour: unknown setting',
      expect.stringMatching(/^hobbler\.yaml:13: worker\.keys\.2\.id: .*; got nothing$/),
      expect.stringMatching(/^hobbler\.yaml:13: worker\.keys\.2\.role: /),
      'hobbler.yaml:6: worker.evry: unknown setting',
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['is not YAML', 'worker:\n\tminUid: 5', /^hobbler\.yaml:2: Tabs are not allowed/],
    ['says one thing twice', 'worker:\n  minUid: 5\n  minUid: 6', /^hobbler\.yaml:3: Map keys must be unique/],
    ['is a list', '- 1', /^hobbler\.yaml: not a mapping; expected sections redis, worker/],
    ['is two documents', 'worker: {}\n---\nworker: {}', /^hobbler\.yaml:2: .*multiple documents/],
    ['has a scalar for a section', 'worker: 5', /^hobbler\.yaml:1: worker: .*expected object.*got 5/],
    ['uses an anchor that is not there', 'worker:\n  minUid: *floor', /^hobbler\.yaml:2: \*floor: no such anchor/],
    ['multiplies aliases', billionLaughs(), /^hobbler\.yaml: Excessive alias count/],
    ['nests without end', 'worker: '.repeat(20_000), /^hobbler\.yaml/],
    ['opens without end', '[{'.repeat(20_000), /^hobbler\.yaml/],
  ])('that %s is refused', (_, text, message) => {
    expect(faultsOf(text).join('\n')).toMatch(message);
  });

  it('that is broken altogether gets a message that can be read', () => {
    const message = faultsOf(
      `worker:\n${Array.from({ length: 500 }, (_, n) => `  typo${'o'.repeat(n)}: 1\n`).join('')}`,
    ).join('\n');
    expect(message).toMatch(/\nand 470 more$/);
    expect(message.length).toBeLessThan(10_000);
  });

  it('that cannot be read is refused with its path and where to give another', () => {
    const missing = join(tmpdir(), 'no-such-hobbler.yaml');
    expect(() => loadSection(missing, 'worker', schema)).toThrow(/no-such-hobbler\.yaml: cannot read it.*--config/);
  });

  it('is read from its path; without a path all defaults hold', () => {
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-config-'));
    try {
      writeFileSync(join(dir, 'a.yaml'), 'worker: {minUid: 7}');
      expect(loadSection(join(dir, 'a.yaml'), 'worker', schema).minUid).toBe(7);
      expect(loadSection(undefined, 'worker', schema).minUid).toBe(1000);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

function billionLaughs(): string {
  const levels = Array.from({ length: 8 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(10).fill(`*a${n}`).join(', ')}]`);
  return ['a0: &a0 [x]', ...levels].join('\n');
}

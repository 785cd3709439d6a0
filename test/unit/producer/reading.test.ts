/** Readings: refused one by one with the reason, or completed from the config. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rules } from '../../../producer/policy/rules.ts';
import {
  completeReading,
  parseReading,
  parseReadingText,
  placesOfSubject,
  type Reading,
} from '../../../producer/reading.ts';
import { config, MIDNIGHT_MS, NOW_MS } from './support.ts';

describe('a reading is refused with path, expected and got:', () => {
  const nested: unknown = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
  it.each([
    ['no account', { used: 1 }, 'reading.account: Invalid input: expected string, received undefined; got nothing'],
    [
      'no figure',
      { account: 'a' },
      'reading.used: expected either used (in a window) or total (a running total); got nothing',
    ],
    ['two figures', { account: 'a', used: 1, total: 1 }, 'reading.used: expected either used'],
    [
      'a text for a number',
      { account: 'a', used: '1' },
      'reading.used: Invalid input: expected number, received string; got "1"',
    ],
    ['a negative figure', { account: 'a', used: -1 }, 'reading.used: Too small: expected number to be >=0; got -1'],
    [
      'a limit of zero',
      { account: 'a', used: 1, limit: 0 },
      'reading.limit: Too small: expected number to be >0; got 0',
    ],
    ['a misspelt field', { account: 'a', used: 1, limt: 5 }, 'reading: Unrecognized key: "limt"'],
    [
      'a line break in the account',
      { account: 'a\nb', used: 1 },
      'reading.account: expected no control characters; got "a\\nb"',
    ],
    [
      'an escape in the unit',
      { account: 'a', used: 1, unit: '\u001b[31m' },
      'reading.unit: expected no control characters',
    ],
    [
      'seconds for milliseconds',
      { account: 'a', used: 1, at: 1_764_000_000 },
      'reading.at: expected a time in ISO 8601',
    ],
    [
      'a time without zone',
      { account: 'a', used: 1, resetsAt: '2025-11-25T00:00:00' },
      'reading.resetsAt: expected a time',
    ],
    [
      'a bad host',
      { account: 'a', used: 1, host: '../x' },
      'reading.host: expected a host name of [a-z0-9.-]; got "../x"',
    ],
    ['an array', [1], 'reading: expected an object; got an array'],
    ['null', null, 'reading: expected an object; got null'],
    ['something nested without end', { account: nested, used: 1 }, 'reading.account: Invalid input: expected string'],
    ['one that has an id', { id: 'r-7', used: 1 }, 'reading "r-7".account'],
  ])('%s', (_title, raw, why) => {
    const input = parseReading(raw);
    expect('refused' in input && input.refused).toContain(why);
  });

  it('a line that is no JSON, or far too long', () => {
    expect(parseReadingText('{"account":')).toMatchObject({ refused: expect.stringContaining('not JSON') });
    expect(parseReadingText(`"${'x'.repeat(20_000)}"`)).toMatchObject({ refused: expect.stringContaining('16384') });
  });

  it('whatever it is, and in one printable line', () => {
    fc.assert(
      fc.property(fc.anything(), (raw) => {
        const input = parseReading(raw);
        if ('refused' in input) expect(input.refused).toMatch(/^\P{Cc}{1,1000}$/u);
      }),
    );
    fc.assert(
      fc.property(fc.string(), (line) => {
        const input = parseReadingText(line);
        if ('refused' in input) expect(input.refused).toMatch(/^\P{Cc}{1,1000}$/u);
      }),
    );
  });
});

describe('a reading is completed from the config:', () => {
  const reading = (parts: Partial<Reading> = {}): Reading => ({ account: 'alice', used: 5, ...parts });
  const complete = (parts: Partial<Reading>, section: object = {}) => {
    const one = reading(parts);
    const all = config(section);
    const completed = completeReading(one, all, new Rules(all).of(one.account), NOW_MS);
    if ('refused' in completed) return completed.refused;
    return { ...completed, places: placesOfSubject(completed.account, completed.subject, all) };
  };

  it('limit, unit, window and places, when it says nothing of them', () => {
    expect(complete({})).toEqual({
      account: 'alice',
      subject: 'account',
      reading: {
        kind: 'figure',
        id: null,
        limitName: 'default',
        used: 5,
        limit: null,
        unit: 's',
        resource: 'cpu',
        window: null,
        resetsAtMs: MIDNIGHT_MS,
        isRolling: false,
        readAtMs: NOW_MS,
      },
      places: [{ host: '*', target: 'user:alice' }],
    });
  });

  it("its own limit and reset time count, and the config's window does not mix in", () => {
    expect(complete({ limit: 7, resetsAt: NOW_MS + 1 })).toMatchObject({
      reading: { limit: 7, window: null, resetsAtMs: NOW_MS + 1 },
    });
  });

  it('a running total is measured by every limit that counts the same', () => {
    const { used: _, ...rest } = reading();
    const all = config({ limits: { day: { used: 9 }, hour: { used: 2, window: { rolling: '1h' } } } });
    expect(completeReading({ ...rest, total: 77, id: 'x' }, all, new Rules(all).of('alice'), NOW_MS)).toMatchObject({
      reading: { kind: 'total', total: 77, resource: 'cpu', unit: 's', id: 'x' },
    });
  });

  it('an account has the targets and the limit that the config gives it', () => {
    const targets = [{ target: 'uid:1001' }, { host: 'web-1', target: 'user:al' }];
    const section = { accounts: { alice: { targets, limits: { default: { used: 9, window: { daily: '06:00' } } } } } };
    expect(complete({}, section)).toMatchObject({
      reading: { limitName: 'default', limit: null, resetsAtMs: Date.parse('2025-11-25T06:00:00Z') },
      places: [
        { host: '*', target: 'uid:1001' },
        { host: 'web-1', target: 'user:al' },
      ],
    });
    expect(complete({ host: 'web-1' }, section)).toMatchObject({
      subject: 'web-1 -',
      places: [
        { host: 'web-1', target: 'uid:1001' },
        { host: 'web-1', target: 'user:al' },
      ],
    });
  });

  it('a reading may name host and target itself', () => {
    expect(complete({ host: 'web-1', target: 'pid:42@77' })).toMatchObject({
      subject: 'web-1 pid:42@77',
      places: [{ host: 'web-1', target: 'pid:42@77' }],
    });
  });

  it.each([
    ['a pid without its host', { target: 'pid:42@77' }, {}, 'a pid target needs the host it is on'],
    ['a target that is none', { target: 'everyone' }, {}, 'reading.target: not a target'],
    ['an account that is no user name', { account: 'a b' }, {}, 'the account is no user name'],
    ['no limit anywhere', {}, { limits: {} }, 'reading.limit: expected a limit'],
    ['both a figure and a total', { total: 7 }, {}, 'expected either used'],
    ['a limit of another name', { limitName: 'disk' }, {}, 'reading.limitName: expected default; got "disk"'],
    [
      'a figure that could be of two limits',
      {},
      { limits: { day: { used: 9 }, hour: { used: 2, window: { rolling: '1h' } } } },
      'reading.limitName: expected day or hour',
    ],
    ['a reading from the future', { at: NOW_MS + 61_000 }, {}, "61 s ahead of this machine's clock"],
    [
      'a host on which it has no target',
      { host: 'web-2' },
      { accounts: { alice: { targets: [{ host: 'web-1', target: 'uid:1' }] } } },
      'no target there',
    ],
  ])('%s is refused', (_title, parts, section, why) => {
    expect(complete(parts, section)).toContain(why);
  });

  it('an account named like a part of every object is an account like any other', () => {
    expect(complete({ account: '__proto__' })).toMatchObject({ places: [{ host: '*', target: 'user:__proto__' }] });
    expect(complete({ account: 'constructor' })).toMatchObject({ reading: { limitName: 'default' } });
  });
});

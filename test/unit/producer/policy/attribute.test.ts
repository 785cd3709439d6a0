/** Which limit a reading speaks of, what it may leave out, and why one is refused. */
import { describe, expect, it } from 'vitest';
import { attribute, type RawReading } from '../../../../producer/policy/attribute.ts';
import { at, rulesFor } from './course.ts';

const NOW_MS = at('12:00');
const ONE = rulesFor({ limits: { day: { used: 2000 } } });
const SEVERAL = rulesFor({
  limits: {
    day: { used: 2000 },
    hour: { used: 600, window: { rolling: '1h' } },
    memory: { used: 8, unit: 'GB', resource: 'memory', window: { every: '6h' } },
  },
});
const NONE = rulesFor({});

describe('a reading is for', () => {
  it.each([
    [
      'the only limit there is',
      ONE,
      { used: 5 },
      {
        kind: 'figure',
        limitName: 'day',
        limit: null,
        unit: 's',
        resource: 'cpu',
        window: null,
        resetsAtMs: at('+1 00:00'),
        isRolling: false,
        readAtMs: NOW_MS,
        id: null,
      },
    ],
    ['that, with an amount of its own', ONE, { used: 5, limit: 10 }, { limitName: 'day', limit: 10 }],
    [
      'the limit it names',
      SEVERAL,
      { used: 5, limitName: 'hour' },
      { limitName: 'hour', isRolling: true, resetsAtMs: at('13:00') },
    ],
    [
      'the only limit on its resource',
      SEVERAL,
      { used: 5, resource: 'memory' },
      { limitName: 'memory', unit: 'GB', resetsAtMs: at('18:00') },
    ],
    ['the only limit in its unit', SEVERAL, { used: 5, unit: 'GB' }, { limitName: 'memory' }],
    [
      'a window by its own name, and no reset time of ours',
      ONE,
      { used: 5, window: 'monday' },
      { window: 'monday', resetsAtMs: null },
    ],
    [
      'a window with its own reset time',
      SEVERAL,
      { used: 5, limitName: 'hour', resetsAt: at('12:30') },
      { resetsAtMs: at('12:30'), isRolling: false },
    ],
    [
      'its own limit, where none fits',
      ONE,
      { used: 5, limit: 10, unit: 'GB' },
      { limitName: '*', limit: 10, unit: 'GB', resource: '', resetsAtMs: null },
    ],
    [
      'its own limit, where there is none',
      NONE,
      { used: 5, limit: 10, resource: 'disk' },
      { limitName: '*disk', limit: 10, unit: '', resource: 'disk' },
    ],
    [
      'all limits on its resource, as a running total',
      SEVERAL,
      { total: 5, resource: 'cpu' },
      { kind: 'total', resource: 'cpu', unit: 's', total: 5 },
    ],
    ['when it was taken', ONE, { used: 5, at: at('11:00'), id: 'r1' }, { readAtMs: at('11:00'), id: 'r1' }],
    [
      'now, when the clock it was taken by is a little ahead',
      ONE,
      { used: 5, at: NOW_MS + 60_000 },
      { readAtMs: NOW_MS },
    ],
  ])('%s', (_title, rules, reading, expected) => {
    expect(attribute(reading as RawReading, rules, NOW_MS)).toMatchObject({ reading: expected });
  });
});

describe('a reading is refused', () => {
  it.each([
    ['with neither used nor total', ONE, {}, 'reading: expected either used (in a window) or total (a running total)'],
    ['with both', ONE, { used: 1, total: 1 }, 'reading: expected either used (in a window) or total (a running total)'],
    ['from the future', ONE, { used: 1, at: NOW_MS + 61_000 }, "reading.at: lies 61 s ahead of this machine's clock"],
    [
      'that fits several limits',
      SEVERAL,
      { used: 1, resource: 'cpu' },
      'reading.limitName: expected day or hour, as each of them counts this',
    ],
    [
      'for a limit that is not there',
      SEVERAL,
      { used: 1, limitName: 'week' },
      'reading.limitName: expected day or hour or memory; got "week"',
    ],
    [
      'for a limit where there is none',
      NONE,
      { used: 1, limitName: 'week' },
      'reading.limitName: expected no limit, as the config has none for this account; got "week"',
    ],
    [
      'for a limit that counts something else',
      SEVERAL,
      { used: 1, limitName: 'memory', resource: 'cpu' },
      'reading: limit memory counts memory in GB',
    ],
    [
      'without any limit',
      NONE,
      { used: 1 },
      'reading.limit: expected a limit, as the config has none for this account; got nothing',
    ],
    [
      'a total without any limit',
      NONE,
      { total: 1 },
      'reading.total: expected a limit on it in the config; there is none for this account',
    ],
    [
      'a total of nobody knows what',
      SEVERAL,
      { total: 1 },
      'reading.resource, reading.unit: expected one of cpu in s, memory in GB',
    ],
    [
      'a total with a limit',
      SEVERAL,
      { total: 1, resource: 'cpu', limit: 5 },
      'reading.limit: a running total has none; its windows are in the config',
    ],
    [
      'a total with a window',
      SEVERAL,
      { total: 1, resource: 'cpu', window: 'w' },
      'reading.window: a running total has none; its windows are in the config',
    ],
  ])('%s', (_title, rules, reading, refused) => {
    expect(attribute(reading as RawReading, rules, NOW_MS)).toEqual({ refused });
  });
});

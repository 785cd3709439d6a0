/** What keys do to `top`: sequences into keys, keys into state, rows filtered and sorted. No terminal, no Redis. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COLUMN_IDS, COLUMNS } from '../../../cli/top/columns.ts';
import { readKeys } from '../../../cli/top/keys.ts';
import { type Bounds, FIRST_STATE, press, type TopState } from '../../../cli/top/model.ts';
import { filterRows, rowsOf, sortRows } from '../../../cli/top/rows.ts';
import { hostExample, targetExample, viewExample } from '../../support/views.ts';

const BOUNDS: Bounds = { rows: 100, page: 10, showsHost: true };

function pressAll(text: string, bounds = BOUNDS, state: TopState = FIRST_STATE): TopState {
  return readKeys(text, true).keys.reduce((now, key) => press(now, key, bounds).state, state);
}

const KEYS = {
  up: '\u001b[A',
  down: '\u001b[B',
  right: '\u001b[C',
  left: '\u001b[D',
  pageDown: '\u001b[6~',
  end: '\u001b[F',
  escape: '\u001b',
};

describe('keys', () => {
  test.each<[string, string[]]>([
    ['q', ['q']],
    ['\u001b[A\u001bOB\u001b[5~', ['up', 'down', 'page-up']],
    ['\u001b[1;5C', ['unknown']],
    ['\u001b[<0;10;5M', ['unknown']],
    ['é😀', ['é', '😀']],
    ['\u0003\u001a\r\u007f', ['ctrl-c', 'ctrl-z', 'enter', 'backspace']],
    ['\u0007\u202e', ['unknown', 'unknown']],
  ])('%j is %j', (text, keys) => {
    expect(readKeys(text)).toEqual({ keys, rest: '' });
  });

  test('a sequence in two pieces is one key; an Escape that nothing follows is itself', () => {
    const { keys, rest } = readKeys('a\u001b[');
    expect(keys).toEqual(['a']);
    expect(readKeys(`${rest}6~`).keys).toEqual(['page-down']);
    expect(readKeys('\u001b')).toEqual({ keys: [], rest: '\u001b' });
    expect(readKeys('\u001b', true)).toEqual({ keys: ['escape'], rest: '' });
  });

  test('whatever comes, in whatever pieces, is read to its end and means the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...Object.values(KEYS), 'q', '/', ' ', '日', '\u001bO', '\u001b[1')),
        fc.nat(),
        (parts, at) => {
          const text = parts.join('');
          const where = text.length === 0 ? 0 : at % text.length;
          const first = readKeys(text.slice(0, where));
          const second = readKeys(first.rest + text.slice(where), true);
          expect([...first.keys, ...second.keys]).toEqual(readKeys(text, true).keys);
          expect(second.rest).toBe('');
        },
      ),
    );
  });
});

describe('a key', () => {
  test('of a column sorts by it, and again the other way round', () => {
    for (const id of COLUMN_IDS.filter((each) => each !== FIRST_STATE.sort)) {
      expect(pressAll(COLUMNS[id].key)).toMatchObject({ sort: id, isReversed: false });
      expect(pressAll(COLUMNS[id].key.repeat(2))).toMatchObject({ sort: id, isReversed: true });
    }
    expect(new Set(COLUMN_IDS.map((id) => COLUMNS[id].key)).size).toBe(COLUMN_IDS.length);
  });

  test('< and > sort by the column beside it, and stop at the ends', () => {
    expect(pressAll('<').sort).toBe('asked');
    expect(pressAll('>').sort).toBe('cost');
    expect(pressAll('<'.repeat(50)).sort).toBe('host');
    expect(pressAll('>'.repeat(50)).sort).toBe('reason');
    expect(pressAll('<'.repeat(50), { ...BOUNDS, showsHost: false }).sort).toBe('target');
    expect(pressAll('H', { ...BOUNDS, showsHost: false }).sort).toBe('got');
  });

  test('scrolls within the rows', () => {
    expect(pressAll(KEYS.up).first).toBe(0);
    expect(pressAll(KEYS.down + KEYS.pageDown).first).toBe(11);
    expect(pressAll(KEYS.end).first).toBe(90);
    expect(pressAll(KEYS.end + KEYS.down).first).toBe(90);
    expect(pressAll(KEYS.end, { ...BOUNDS, rows: 4 }).first).toBe(0);
    expect(pressAll(KEYS.right.repeat(99)).skip).toBe(10);
    expect(pressAll(KEYS.right + KEYS.left.repeat(3)).skip).toBe(0);
  });

  test('/ begins a filter, in which letters are text; enter keeps it, escape clears it', () => {
    expect(pressAll('/qh ?')).toMatchObject({ filter: 'qh ?', isTyping: true, isHelp: false });
    expect(pressAll('/alicx\u007fe\r')).toMatchObject({ filter: 'alice', isTyping: false });
    expect(pressAll(`/alice${KEYS.escape}`)).toMatchObject({ filter: '', isTyping: false });
    expect(pressAll(`/alice\r${KEYS.escape}`).filter).toBe('');
    expect(pressAll(`${KEYS.end}/a`).first).toBe(0);
    expect(pressAll(`/${'x'.repeat(500)}`).filter).toHaveLength(100);
  });

  test('quits, suspends or draws anew, in whatever state it is', () => {
    for (const state of [FIRST_STATE, pressAll('/x'), pressAll('h'), pressAll(' ')]) {
      expect(press(state, 'ctrl-c', BOUNDS).act).toBe('quit');
      expect(press(state, 'ctrl-z', BOUNDS).act).toBe('suspend');
      expect(press(state, 'ctrl-l', BOUNDS).act).toBe('redraw');
    }
    expect(press(FIRST_STATE, 'q', BOUNDS).act).toBe('quit');
    expect(press(pressAll('/x'), 'q', BOUNDS)).toMatchObject({ state: { filter: 'xq' } });
  });

  test('of any kind leaves help, and is nothing else then', () => {
    expect(pressAll('h').isHelp).toBe(true);
    expect(pressAll('hr')).toEqual(FIRST_STATE);
    expect(pressAll('  ')).toEqual(FIRST_STATE);
  });
});

describe('rows', () => {
  const view = viewExample([
    hostExample('web-2', [
      targetExample('user:bob', { gotRatio: 0.2, account: 'acme' }),
      targetExample('user:carol', { gotRatio: null, reason: 'Backup running' }),
    ]),
    hostExample('web-1', [targetExample('user:alice', { gotRatio: 0.9 }), targetExample('uid:7', { gotRatio: 0.2 })], {
      brokenReports: [{ target: 'uid:9', why: 'not JSON' }],
    }),
  ]);
  const rows = rowsOf(view);
  const targets = (sorted: readonly { target: string }[]) => sorted.map(({ target }) => target);

  test('are sorted by plain values, the unknown last either way, the alike by name', () => {
    expect(targets(sortRows(rows, { sort: 'got', isReversed: false }))).toEqual([
      'user:alice',
      'uid:7',
      'user:bob',
      'uid:9',
      'user:carol',
    ]);
    expect(targets(sortRows(rows, { sort: 'got', isReversed: true }))).toEqual([
      'uid:7',
      'user:bob',
      'user:alice',
      'uid:9',
      'user:carol',
    ]);
    expect(targets(sortRows(rows, { sort: 'target', isReversed: false }))).toEqual([
      'uid:7',
      'uid:9',
      'user:alice',
      'user:bob',
      'user:carol',
    ]);
  });

  test('are found by every word, in any case, in any of their texts', () => {
    expect(targets(filterRows(rows, 'ACME'))).toEqual(['user:bob']);
    expect(targets(filterRows(rows, ' backup  web-2 '))).toEqual(['user:carol']);
    expect(targets(filterRows(rows, 'json'))).toEqual(['uid:9']);
    expect(filterRows(rows, 'backup web-1')).toEqual([]);
    expect(filterRows(rows, '')).toHaveLength(5);
  });

  test('sorting loses none and is an order, by any column', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...COLUMN_IDS),
        fc.boolean(),
        fc.array(fc.record({ got: fc.option(fc.double({ min: 0, noNaN: true })), processes: fc.nat() })),
        (sort, isReversed, values) => {
          const reports = values.map(({ got, processes }, index) =>
            targetExample(`uid:${index}`, { gotRatio: got, processes }),
          );
          const given = rowsOf(viewExample([hostExample('web-1', reports)]));
          const sorted = sortRows(given, { sort, isReversed });
          expect(new Set(sorted)).toEqual(new Set(given));
          const keys = sorted.map((row) => COLUMNS[sort].value(row)).filter((key) => key !== null);
          const ascending = COLUMNS[sort].isText !== isReversed;
          for (const [index, key] of keys.entries()) {
            const next = keys[index + 1];
            if (next !== undefined) expect(ascending ? key <= next : key >= next).toBe(true);
          }
        },
      ),
    );
  });
});

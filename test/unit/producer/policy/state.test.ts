/** What is remembered, as it is written: what is read back, what is not, and what is forgotten in time. */
import { describe, expect, it } from 'vitest';
import { emptyState, parseState } from '../../../../producer/policy/state.ts';
import { Course } from './course.ts';

const DAY_MS = 86_400_000;
const written = () => {
  const course = new Course({
    limits: { day: { used: 2000 }, hour: { used: 60, resource: 'memory', window: { rolling: '1h' } } },
  });
  course.read('09:00', { used: 2104, resource: 'cpu', id: 'r1' }, { total: 5, resource: 'memory' });
  course.read('10:00', { total: 3, resource: 'memory' });
  return course.ledger;
};

describe('a state', () => {
  it('is read back as it was written', () => {
    const state = written();
    expect(parseState(JSON.stringify(state), 'alice', 'account')).toEqual(state);
    expect(parseState(JSON.stringify(emptyState('bob', 's')), 'bob', 's')).toEqual(emptyState('bob', 's'));
  });

  it.each([
    ['no JSON', '{', /JSON/],
    ['nothing', 'null', /expected object/],
    ['another schema', JSON.stringify({ ...written(), v: 3 }), /written by a newer hobbler; expected 2; got 3/],
    ['the schema before', JSON.stringify({ ...written(), v: 1 }), /expected 2/],
    ['another account', JSON.stringify({ ...written(), account: 'bob' }), /state under another name/],
    ['a figure that is none', JSON.stringify(written()).replace('2104', '"2104"'), /expected number/],
    ['a standing that is none', JSON.stringify({ ...written(), standing: null }), /standing/],
  ])('that is %s is said to be unreadable, and why', (_title, text, why) => {
    expect(parseState(text, 'alice', 'account')).toEqual({ unreadable: expect.stringMatching(why) });
  });
});

describe('what no limit asks for any more', () => {
  it('is remembered for a month, so that a limit taken out by mistake can come back, and then forgotten', () => {
    const course = new Course({});
    course.read('09:00', { used: 5, limit: 10, resource: 'disk' });
    const { rules } = course;
    course.rules = new Course({ limits: { day: { used: 2000 } } }).rules;
    const startMs = course.nowMs;
    for (const days of [1, 31]) {
      course.read(startMs + days * DAY_MS, { used: 1 });
      expect(Object.keys(course.ledger.limits).sort()).toEqual(['*disk', 'day']);
    }
    course.read(startMs + 31 * DAY_MS + 1, { used: 1 });
    expect(Object.keys(course.ledger.limits)).toEqual(['day']);
    expect(rules.limits).toEqual([]);
  });

  it('limits that readings bring are bounded in number', () => {
    const course = new Course({});
    for (let n = 0; n < 16; n++) course.read('09:00', { used: 5, limit: 10, resource: `r${n}` });
    course.read('09:01', { used: 50, limit: 10, resource: 'r16' });
    expect(course.standing).toBe('free');
    expect(course.last?.notes).toEqual([
      { index: 0, kind: 'refused', text: 'more than 16 limits that are not in the config' },
    ]);
    expect(course.read('09:02', { used: 50, limit: 10, resource: 'r3' })).toBe('10/200');
  });
});

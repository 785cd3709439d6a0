/** docs/policy.md says what is true: its example is valid, and what its table promises happens, read once a minute. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { producerSchema } from '../../../../producer/config.ts';
import { Rules } from '../../../../producer/policy/rules.ts';
import { placesOfSubject } from '../../../../producer/reading.ts';
import { Course, FIRST_DAY_MS } from './course.ts';

const page = readFileSync(new URL('../../../../docs/policy.md', import.meta.url), 'utf8');
const [, text] = /## An example\n\n```yaml\n([\s\S]*?)```/.exec(page)!;
const section = (parse(text!) as { producer: object }).producer;
const MINUTE_MS = 60_000;

/** What becomes of an account that uses so many seconds in each minute of so many hours. */
function changesOf(account: string, hours: number, usedAt: (minute: number) => number): string[] {
  const { exempt: _, accounts: __, ...policy } = section as { exempt: unknown; accounts: unknown };
  const course = new Course(policy, account);
  let total = 0;
  for (let minute = 0; minute <= hours * 60; minute++) {
    if (minute > 0) total += usedAt(minute - 1);
    course.read(FIRST_DAY_MS + minute * MINUTE_MS, { total });
  }
  return course.changes;
}
/** So much in each of these hours, evenly. */
const inHours = (used: Record<number, number>) => (minute: number) => (used[Math.floor(minute / 60)] ?? 0) / 60;

it('is valid', () => {
  expect(() => producerSchema.parse(section)).not.toThrow();
});

it('alice is slowed in the evening, until midnight', () => {
  expect(changesOf('alice', 25, () => 115 / 60)).toEqual(['17:24 20/80', '+1 00:00 free']);
});

it('bob is slowed for longer each time, and is forgiven', () => {
  const [first, firstEnd, second, secondEnd, third] = changesOf('bob', 18, inHours({ 6: 650, 8: 650, 14: 650 }));
  expect(first).toMatch(/^06:5\d 50\/50$/);
  expect(firstEnd).toMatch(/^07:2\d free$/);
  expect(second).toMatch(/^08:5\d 20\/80$/);
  expect(secondEnd).toMatch(/^09:5\d free$/);
  expect(third).toMatch(/^14:5\d 20\/80$/);
});

it('who pays may use more, and as fast as he likes', () => {
  expect(changesOf('pro-9', 24, inHours({ 3: 5_000 }))).toEqual([]);
});

it('the days of a group begin when it says', () => {
  expect(changesOf('ci-3', 30, inHours({ 2: 590, 3: 590, 4: 590, 5: 0, 1: 240 }))).toEqual([
    expect.stringMatching(/^04:5\d 20\/80$/),
    '06:00 free',
  ]);
});

it('acme is a cgroup on every host, and carol is exempt until Christmas', () => {
  const config = producerSchema.parse(section);
  expect(placesOfSubject('acme', 'account', config)).toEqual([{ host: '*', target: 'cgroup:/customers/acme' }]);
  expect(new Rules(config).of('carol').exemptions).toMatchObject([
    { untilMs: Date.parse('2025-12-24T00:00:00Z'), by: 'ann', why: 'thesis' },
  ]);
});

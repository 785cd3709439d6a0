/** How a host stands, by the age of its last beat (design.md: late after 15 s, lost after 30 s). */
import { expect, it } from 'vitest';
import { liveness } from '../../../shared/report.ts';

const NOW_MS = 1_764_000_000_000;

it.each<[number | null, string]>([
  [0, 'alive'],
  [15_000, 'alive'],
  [15_001, 'late'],
  [30_000, 'late'],
  [30_001, 'lost'],
  [-60_000, 'alive'],
  [null, 'lost'],
])('a host whose last beat is %s ms old is %s', (ageMs, expected) => {
  expect(liveness(ageMs === null ? null : NOW_MS - ageMs, NOW_MS)).toBe(expected);
});

/** What a host remembers of its orders over restarts of the worker, and when it forgets (invariants 2 and 3). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { MAX_LEASE_MS } from '../../../shared/order.ts';
import { Deadlines } from '../../../worker/deadlines.ts';

const HOUR_MS = 3_600_000;
const VERSION = 1_764_000_000_000;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-deadlines-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const open = () => new Deadlines(join(dir, 'orders.json'), 'boot-1', silentLogger());
/** A worker that ends in good order, and the next one. */
function restarted(before: Deadlines): Deadlines {
  before.save();
  return open();
}

it('an untarpit is remembered as long as an order can live that it has overtaken, and no longer', () => {
  const first = open();
  first.untarpitted('user:alice', VERSION);
  const second = restarted(first);
  second.forgetEnded(VERSION + MAX_LEASE_MS);
  expect(restarted(second).versionOf('user:alice')).toBe(VERSION);
  second.forgetEnded(VERSION + MAX_LEASE_MS + 2 * HOUR_MS);
  expect(restarted(second).versionOf('user:alice')).toBe(0);
});

it('a tarpit is not forgotten by that: its loop may run', () => {
  const first = open();
  first.deadlineOf('user:alice', VERSION, HOUR_MS, 5_000);
  first.forgetEnded(VERSION + 10 * MAX_LEASE_MS);
  expect(restarted(first).versionOf('user:alice')).toBe(VERSION);
});

it('the order that an untarpit overtook has no time left, under its own version too', () => {
  const first = open();
  first.untarpitted('user:alice', VERSION);
  expect(restarted(first).deadlineOf('user:alice', VERSION, HOUR_MS, 5_000)).toBe(0);
});

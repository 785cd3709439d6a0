/** The enforcer against a desk that only writes down what it was asked for, on a clock that stands still. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Enforcer, type OrderDesk } from '../../../producer/enforcer.ts';
import { HobblerError } from '../../../shared/errors.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Order } from '../../../shared/order.ts';
import type { OrderRequest } from '../../../shared/redis/issuer.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LEVEL, MIDNIGHT_MS, NOW_MS, verdict } from './support.ts';

const LEASE_MS = 900_000;

class FakeDesk implements OrderDesk {
  readonly asked: (OrderRequest & { wake: boolean })[] = [];
  readonly standing = new Map<string, Order>();
  onHosts = new Map<string, Order[]>();
  trouble: ((request: OrderRequest) => Error | undefined) | undefined;
  clock: FakeClock;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  offer: OrderDesk['offer'] = async (request, wake, mayOvertake) => {
    const trouble = this.trouble?.(request);
    if (trouble) throw trouble;
    const { host, target, action, by, reason, forMs = 0 } = request;
    const name = `${host} ${target}`;
    const nowMs = this.clock.wallMs();
    const standing = this.standing.get(name) ?? null;
    if (!mayOvertake(standing, nowMs)) return { status: 'gave-way', to: standing! };
    const common = { v: 1 as const, host, target, version: (standing?.version ?? 0) + 1, issuedAt: nowMs, reason, by };
    const order: Order =
      action === 'tarpit'
        ? { ...common, action, expiresAt: nowMs + forMs, hobble: { ...LEVEL, ...request.hobble } }
        : { ...common, action };
    this.standing.set(name, order);
    this.asked.push({ ...request, wake });
    return { status: 'given', order, jobs: {} };
  };

  standingOnHosts = async () => this.onHosts;

  take() {
    return this.asked
      .splice(0)
      .map(({ action, host, target, wake }) => `${action}${wake ? '!' : ''} ${host} ${target}`);
  }
}

const settled: string[] = [];
let clock: FakeClock;
let desk: FakeDesk;
let enforcer: Enforcer;
/** What the producer learns of other producers' verdicts before it renews. */
let confirm: (accounts: readonly string[]) => void = () => {};
const open = (dryRun = false) =>
  new Enforcer({
    desk,
    leaseMs: LEASE_MS,
    dryRun,
    clock,
    log: silentLogger(),
    confirm: async (accounts) => confirm(accounts),
    onSettled: async (some) => {
      settled.push(...some.map(({ account }) => account));
    },
  });
const untarpitBy = (by: string, host = '*'): Order => ({
  v: 1,
  action: 'untarpit',
  host,
  target: 'user:alice',
  version: 99,
  issuedAt: clock.wallMs(),
  reason: 'asked for',
  by,
});

beforeEach(() => {
  settled.length = 0;
  clock = new FakeClock(NOW_MS);
  desk = new FakeDesk(clock);
  confirm = () => {};
  enforcer = open();
  enforcer.start();
});
afterEach(() => {
  enforcer.stop();
  expect(clock.pendingTimers).toBe(0);
});

describe('the enforcer', () => {
  it('orders a new verdict at once, with its reason, level and a lease', async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    expect(desk.asked).toEqual([
      {
        action: 'tarpit',
        host: '*',
        target: 'user:alice',
        account: 'alice',
        hobble: LEVEL,
        forMs: LEASE_MS,
        reason: 'cpu 2104 s of 2000 s, until 00:00 UTC',
        by: 'policy',
        wake: true,
      },
    ]);
  });

  it('renews at a third of the lease without waking anybody, and never lets it run out (invariant 2)', async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    desk.take();
    await clock.advance(LEASE_MS / 3 - 1_000);
    expect(desk.take()).toEqual([]);
    await clock.advance(2_000);
    expect(desk.take()).toEqual(['tarpit * user:alice']);
    for (let minute = 0; minute < 60; minute++) {
      await clock.advance(60_000);
      expect(desk.standing.get('* user:alice')).toMatchObject({ action: 'tarpit' });
      const { expiresAt } = desk.standing.get('* user:alice') as Order & { expiresAt: number };
      expect(expiresAt).toBeGreaterThan(clock.wallMs());
    }
  });

  it('gives an order no longer than its window lasts, so that the reset frees the account without a producer', async () => {
    enforcer.claims.impose(verdict({ untilMs: NOW_MS + 30_000 }), true);
    await enforcer.runOnce();
    expect(desk.asked[0]?.forMs).toBe(30_000);
    expect(MIDNIGHT_MS - NOW_MS).toBeGreaterThan(LEASE_MS);
  });

  it('tells hosts at once of another duty cycle, and of an end that is put off', async () => {
    const hobble = { ...LEVEL, stopMs: 400 };
    enforcer.claims.impose(verdict({ untilMs: NOW_MS + 60_000 }), true);
    await enforcer.runOnce();
    enforcer.claims.impose(verdict({ untilMs: NOW_MS + 60_000, hobble }), false);
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice', 'tarpit! * user:alice']);
    // Ten seconds before its end, that is soon enough only by a job; a minute before, the state will do.
    enforcer.claims.impose(verdict({ untilMs: NOW_MS + 90_000, hobble }), false);
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit * user:alice']);
    await clock.advance(80_000);
    enforcer.claims.impose(verdict({ untilMs: NOW_MS + 3_000_000, hobble }), false);
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice']);
    expect(desk.standing.get('* user:alice')).toMatchObject({ expiresAt: clock.wallMs() + LEASE_MS });
  });

  it('renews only what still stands by then: another producer may have let it go', async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    desk.take();
    const asked: string[] = [];
    confirm = (accounts) => {
      asked.push(...accounts);
      enforcer.claims.lift(verdict({ hobble: null, reason: 'below 90 % of the limit' }));
    };
    await clock.advance(LEASE_MS / 3 + 2_000);
    expect(asked).toEqual(['alice']);
    expect(desk.take()).toEqual(['untarpit! * user:alice']);
  });

  it('tries once a second what cannot be renewed, and asks no faster whether it still stands', async () => {
    enforcer.claims.impose(verdict(), false);
    let asked = 0;
    confirm = () => {
      asked++;
    };
    desk.trouble = () => new Error('Command timed out');
    await clock.advance(10_500);
    expect(asked).toBe(10);
  });

  it('untarpits once, and reports the debt as settled', async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    enforcer.claims.lift(verdict({ hobble: null, reason: 'new window' }));
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice', 'untarpit! * user:alice']);
    expect(settled).toEqual(['alice']);
    await clock.advance(2 * LEASE_MS);
    expect(desk.take()).toEqual([]);
  });

  it('with Redis away, tries again until it is given', async () => {
    desk.trouble = () => new Error('Connection is closed.');
    enforcer.claims.impose(verdict(), true);
    await clock.advance(5_000);
    expect(desk.take()).toEqual([]);
    desk.trouble = undefined;
    await clock.advance(1_000);
    expect(desk.take()).toEqual(['tarpit! * user:alice']);
  });

  it('an order that is refused for one place keeps none of the others waiting', async () => {
    desk.trouble = ({ target }) => (target === 'user:bad' ? new HobblerError('bound-exceeded', 'full') : undefined);
    enforcer.claims.impose(verdict({ account: 'bad', places: [{ host: '*', target: 'user:bad' }] }), true);
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice']);
    desk.trouble = undefined;
    await clock.advance(11_000);
    expect(desk.take()).toEqual(['tarpit! * user:bad']);
  });

  it("an operator's release stays until the next verdict, whatever is renewed or reported meanwhile", async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    desk.take();
    await clock.advance(10_000);
    desk.standing.set('* user:alice', untarpitBy('operator:eve'));
    await clock.advance(LEASE_MS);
    enforcer.claims.impose(verdict({ reason: 'cpu 2500 s of 2000 s' }), false);
    await clock.advance(LEASE_MS);
    expect(desk.take()).toEqual([]);
    expect(enforcer.claims.overruledBy('alice\naccount')).toBe('operator:eve');

    enforcer.claims.lift(verdict({ hobble: null }));
    await enforcer.runOnce();
    expect(desk.take()).toEqual([]);
    enforcer.claims.impose(verdict({ sinceMs: clock.wallMs() }), true);
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice']);
  });

  it("an operator's release on one host is not overtaken by the renewal for the fleet", async () => {
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    desk.take();
    await clock.advance(10_000);
    desk.onHosts = new Map([['user:alice', [untarpitBy('operator:eve', 'web-1')]]]);
    await clock.advance(LEASE_MS);
    expect(desk.take()).toEqual([]);
  });

  it("gives way to an operator's own tarpit, and takes over when that has ended", async () => {
    const { action: _, ...common } = untarpitBy('operator:eve');
    const expiresAt = NOW_MS + 1_000_000;
    desk.standing.set('* user:alice', { ...common, action: 'tarpit', hobble: LEVEL, expiresAt });
    enforcer.claims.impose(verdict(), true);
    await clock.advance(900_000);
    expect(desk.take()).toEqual([]);
    await clock.advance(LEASE_MS / 3 + 1_000);
    expect(desk.take()).toEqual(['tarpit * user:alice']);
  });

  it('a verdict that changes while its order is under way is ordered again', async () => {
    const offer = desk.offer;
    let changes = 1;
    desk.offer = async (...args) => {
      const result = await offer(...args);
      if (changes-- > 0) enforcer.claims.lift(verdict({ hobble: null, reason: 'raised' }));
      return result;
    };
    enforcer.claims.impose(verdict(), true);
    await enforcer.runOnce();
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit! * user:alice', 'untarpit! * user:alice']);
    expect(enforcer.claims.size).toBe(0);
  });

  it('released by name and yet held by the fleet: no untarpit, but the fleet order becomes the newer one', async () => {
    const onWeb1 = verdict({ subject: 'web-1 -', places: [{ host: 'web-1', target: 'user:alice' }] });
    enforcer.claims.impose(verdict(), true);
    enforcer.claims.impose(onWeb1, true);
    await enforcer.runOnce();
    desk.take();
    enforcer.claims.lift(onWeb1);
    await enforcer.runOnce();
    await enforcer.runOnce();
    expect(desk.take()).toEqual(['tarpit * user:alice']);
  });

  it('in a dry run gives no order at all', async () => {
    enforcer.stop();
    enforcer = open(true);
    enforcer.start();
    enforcer.claims.impose(verdict(), true);
    await clock.advance(LEASE_MS);
    enforcer.claims.lift(verdict({ hobble: null }));
    await clock.advance(LEASE_MS);
    expect(desk.asked).toEqual([]);
    expect(enforcer.claims.size).toBe(0);
  });
});

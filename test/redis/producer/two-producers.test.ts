/** The ledger and the operators' words under several producers on one Redis: at once, in turn, and after a loss. */
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Ledger } from '../../../producer/ledger.ts';
import { readOperatorWords, releaseBrake } from '../../../producer/operator-words.ts';
import type { ProducerService } from '../../../producer/service.ts';
import { fleetKeys, ledgerKey } from '../../../shared/keys.ts';
import type { Order } from '../../../shared/order.ts';
import { putPin, removePin } from '../../../shared/redis/pins.ts';
import { until } from '../../support/until.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

let fixture: ProducerFixture;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.close());

const untilOrdered = async (action: string, target = 'user:alice') =>
  (await until(
    async () => {
      const order = await fixture.standing('*', target);
      return order?.action === action ? order : undefined;
    },
    { deadlineMs: 5_000, what: `${action} of ${target}` },
  )) as Order;
const page = async (producer: ProducerService, account = 'alice') =>
  (await ask(producer, `/v1/accounts/${account}`)).body;

describe('two producers at once', () => {
  it('that take the same readings agree, and each reading counts once', { timeout: 30_000 }, async () => {
    const [one, two] = [await fixture.start({ leaseMs: 3_000 }), await fixture.start({ leaseMs: 3_000 })];
    const batch = Array.from({ length: 300 }, (_, n) => ({
      account: `user-${n}`,
      used: n % 3 === 0 ? 2104 : 7,
      id: `r-${n}`,
    }));
    const answers = await Promise.all([one, two, one, two].map((producer) => ask(producer, '/v1/readings', batch)));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { accepted: 300 } });
    const entries = await new Ledger(fixture.redis).read(batch.map(({ account }) => account));
    for (const { account, used } of batch) {
      const state = entries.get(account)!.states.get('account')!;
      expect(state.ids).toHaveLength(1);
      expect(state.standing.hobble !== null).toBe(used === 2104);
    }
    await untilOrdered('tarpit', 'user:user-0');
    // What one lets go of, the other does not renew.
    await ask(two, '/v1/readings', { account: 'user-0', used: 3, window: 'next' });
    const { version } = await untilOrdered('untarpit', 'user:user-0');
    const before = (await fixture.standing('*', 'user:user-3'))!.version;
    await until(async () => (await fixture.standing('*', 'user:user-3'))!.version > before + 1_000, {
      deadlineMs: 5_000,
      what: 'renewals',
    });
    expect(await fixture.standing('*', 'user:user-0')).toMatchObject({ action: 'untarpit' });
    expect((await fixture.standing('*', 'user:user-0'))!.version).toBeGreaterThanOrEqual(version);
  });

  it('one that dies leaves its accounts to the other at their next reading', async () => {
    const [one, two] = [await fixture.start({ leaseMs: 3_000 }), await fixture.start({ leaseMs: 3_000 })];
    await ask(one, '/v1/readings', { account: 'alice', used: 2104 });
    const { version } = await untilOrdered('tarpit');
    await one.stop();
    await ask(two, '/v1/readings', { account: 'alice', used: 2105 });
    await until(async () => (await fixture.standing('*', 'user:alice'))!.version > version, {
      deadlineMs: 3_000,
      what: 'a renewal by the other',
    });
  });
});

describe('the ledger', () => {
  it('that was lost is rebuilt from the readings: ids, totals and who is over', async () => {
    const limits = { hour: { used: 600, window: { rolling: '1h' } } };
    const nowMs = Date.now();
    const lines = [3_000, 2_000, 1_000, 10].map((ageS, n) =>
      JSON.stringify({ account: 'alice', total: 5_000 + n * 250, at: nowMs - ageS * 1_000, id: `t-${n}` }),
    );
    const first = await fixture.start({ limits });
    await first.feed(Readable.from([`${lines.join('\n')}\n`]));
    await untilOrdered('tarpit');
    const { limits: before } = (await page(first)).verdicts[0];
    await first.stop();
    await fixture.redis.flushall();
    const second = await fixture.start({ limits });
    // In any order, some of them twice.
    const again = [lines[2], lines[0], lines[3], lines[1], lines[0]];
    expect(await second.feed(Readable.from([`${again.join('\n')}\n`]))).toMatchObject({ accepted: 5, refused: 0 });
    await untilOrdered('tarpit');
    expect((await page(second)).verdicts[0].limits).toEqual(before);
    expect(before).toMatchObject([{ name: 'hour', used: 750 }]);
  });

  it('takes a counter that goes backwards for a reset, and late readings as what they are', async () => {
    const producer = await fixture.start();
    const at = (ageS: number) => Date.now() - ageS * 1_000;
    await ask(producer, '/v1/readings', { account: 'alice', used: 1500, at: at(60) });
    await ask(producer, '/v1/readings', { account: 'alice', used: 9999, at: at(120) });
    expect((await page(producer)).verdicts[0].limits).toMatchObject([{ used: 1500 }]);
    await ask(producer, '/v1/readings', { account: 'alice', used: 10 });
    expect((await page(producer)).verdicts[0]).toMatchObject({ verdict: 'leave', limits: [{ used: 10 }] });
  });
});

describe("an operator's pin", () => {
  const common = { v: 1, setAtMs: 1, by: 'operator:eve', why: 'has paid' } as const;

  it('beats the policy within a second or two, at every producer, until it is taken away', async () => {
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', { account: 'alice', used: 2104 });
    await untilOrdered('tarpit');
    await putPin(fixture.redis, 'alice', { ...common, kind: 'release', untilMs: null });
    expect(await untilOrdered('untarpit')).toMatchObject({ reason: 'released by operator:eve: has paid' });
    expect(await page(producer)).toMatchObject({ isSlowed: false });
    await removePin(fixture.redis, 'alice', 'a mistake', 'operator:eve');
    await untilOrdered('tarpit');
  });

  it('survives the loss of the ledger', async () => {
    await putPin(fixture.redis, 'alice', { ...common, kind: 'release', untilMs: null });
    await fixture.redis.del(ledgerKey('alice'));
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', { account: 'alice', used: 2104 });
    expect(await page(producer)).toMatchObject({ isSlowed: false });
    expect(await fixture.standing('*', 'user:alice')).toBeUndefined();
  });
});

describe('the brake', () => {
  it('holds a crowd at every producer until an operator lets go, and says so in the audit', async () => {
    const section = { brake: { share: 0.2, atLeast: 5 } };
    const [one, two] = [await fixture.start(section), await fixture.start(section)];
    const crowd = (used: number) => Array.from({ length: 20 }, (_, n) => ({ account: `user-${n}`, used }));
    await ask(one, '/v1/readings', crowd(1));
    await ask(one, '/v1/readings', crowd(2104));
    expect(await fixture.redis.hlen(fleetKeys.desired)).toBe(0);
    expect((await readOperatorWords(fixture.redis)).brake.held).toMatchObject({ entering: 20, known: 20 });
    expect(JSON.stringify(await fixture.redis.xrange(fleetKeys.audit, '-', '+'))).toContain('the brake holds');
    await until(async () => /^hobbler_producer_brake_holds 1$/m.test((await ask(two, '/metrics')).body), {
      deadlineMs: 3_000,
      what: 'the other producer holding',
    });
    await ask(two, '/v1/readings', { account: 'user-3', used: 2105 });
    expect(await page(two, 'user-3')).toMatchObject({ isSlowed: false });
    const letInUntilMs = Date.now() + 60_000;
    expect(await releaseBrake(fixture.redis, { by: 'operator:eve', why: 'they are', letInUntilMs })).toBe(true);
    await until(async () => (await fixture.redis.hlen(fleetKeys.desired)) === 20, {
      deadlineMs: 5_000,
      what: 'the crowd being let in',
    });
  });
});

/** The view of the fleet that admin and CLI show: one broken record hides nothing, and a hold counts in doubt. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { type Redis, redisNowMs } from '../../../shared/redis/connection.ts';
import { hold, parseHold, readFleet, unhold } from '../../../shared/redis/fleet.ts';
import { connectTest, EVERY_SERVER, type TestRedis } from '../../support/redis.ts';
import { beat, reportExample, statusExample } from '../../support/reports.ts';

describe.each(EVERY_SERVER)('the fleet on %s', (_, start) => {
  let server: Pick<TestRedis, 'url' | 'stop' | 'flush'>;
  let redis: Redis;
  beforeAll(async () => {
    server = await start();
    redis = connectTest(server);
  });
  afterEach(() => server.flush());
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('is read with every host, its liveness and its reports, in the order of names', async () => {
    const nowMs = await redisNowMs(redis);
    await beat(redis, 'web-2', nowMs);
    await beat(redis, 'web-1', nowMs - 20_000);
    await redis.sadd(fleetKeys.hosts, 'web-3');
    await redis.hset(hostKeys.observed('web-2'), 'uid:1', JSON.stringify(reportExample('uid:1', nowMs)));
    const view = await readFleet(redis);
    expect(view.hosts.map(({ host, liveness }) => [host, liveness])).toEqual([
      ['web-1', 'late'],
      ['web-2', 'alive'],
      ['web-3', 'lost'],
    ]);
    expect(view.hosts[1]).toMatchObject({
      status: statusExample('web-2', nowMs),
      reports: [reportExample('uid:1', nowMs)],
      broken: null,
    });
    expect(view.hosts[2]).toMatchObject({ status: null, broken: null, reports: [] });
  });

  it('shows all the rest when a status or a report is broken, and says which and why', async () => {
    const nowMs = await redisNowMs(redis);
    await beat(redis, 'web-1', nowMs);
    await redis.hset(hostKeys.observed('web-1'), {
      'uid:1': JSON.stringify(reportExample('uid:1', nowMs)),
      'uid:2': '{',
      'uid:3': JSON.stringify({ ...reportExample('uid:3', nowMs), state: 'dancing' }),
    });
    await redis.sadd(fleetKeys.hosts, 'web-2');
    await redis.set(hostKeys.status('web-2'), '{"v":2}');
    const [one, two] = (await readFleet(redis)).hosts;
    expect(one!.reports.map((report) => report.target)).toEqual(['uid:1']);
    expect(one!.brokenReports.map(({ target }) => target).sort()).toEqual(['uid:2', 'uid:3']);
    expect(two).toMatchObject({ liveness: 'lost', status: null, broken: expect.stringContaining('host') });
  });

  it.each([
    ['the fleet', undefined],
    ['a host', 'web-1'],
  ])('can be held and let go again, %s, and the audit tells who and why', async (scope, host) => {
    await beat(redis, 'web-1', await redisNowMs(redis));
    await hold(redis, host, 'deploy', 'operator:ann');
    const view = await readFleet(redis);
    const held = host === undefined ? view.hold : view.hosts[0]!.hold;
    const other = host === undefined ? view.hosts[0]!.hold : view.hold;
    expect(held).toMatchObject({ reason: 'deploy', by: 'operator:ann' });
    expect(Math.abs(held!.sinceMs - view.nowMs)).toBeLessThan(5_000);
    expect(other).toBeNull();
    expect(await unhold(redis, host, 'done', 'operator:ann')).toMatchObject({ wasHeld: true });
    expect(await unhold(redis, host, 'done', 'operator:ann')).toMatchObject({ wasHeld: false });
    expect(scope === 'the fleet' ? (await readFleet(redis)).hold : (await readFleet(redis)).hosts[0]!.hold).toBeNull();
    const entries = await redis.xrange(fleetKeys.audit, '-', '+');
    expect(entries.map(([, fields]) => fields.slice(0, 4))).toEqual([
      ['action', 'hold', 'host', host ?? '*'],
      ['action', 'unhold', 'host', host ?? '*'],
      ['action', 'unhold', 'host', host ?? '*'],
    ]);
  });
});

it.each(['{', 'null', '7', '"x"', '{}', ''])('a hold counts although its record is %j: doubt means release', (text) => {
  expect(parseHold(text)).not.toBeNull();
});

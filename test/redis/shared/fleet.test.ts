/** The view of the fleet that admin and CLI show: one broken record hides nothing, and a hold counts in doubt. */
import { expect, it } from 'vitest';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { redisNowMs } from '../../../shared/redis/connection.ts';
import { hold, parseHold, readFleet, unhold } from '../../../shared/redis/fleet.ts';
import { describeOnEveryServer } from '../../support/every-server.ts';
import { beat, reportExample, statusExample } from '../../support/reports.ts';

describeOnEveryServer('the fleet', (on) => {
  it('is read with every host, its liveness and its reports, in the order of names', async () => {
    const nowMs = await redisNowMs(on.redis);
    await beat(on.redis, 'web-2', nowMs);
    await beat(on.redis, 'web-1', nowMs - 20_000);
    await on.redis.sadd(fleetKeys.hosts, 'web-3');
    await on.redis.hset(hostKeys.observed('web-2'), 'uid:1', JSON.stringify(reportExample('uid:1', nowMs)));
    const view = await readFleet(on.redis);
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
    const nowMs = await redisNowMs(on.redis);
    await beat(on.redis, 'web-1', nowMs);
    await on.redis.hset(hostKeys.observed('web-1'), {
      'uid:1': JSON.stringify(reportExample('uid:1', nowMs)),
      'uid:2': '{',
      'uid:3': JSON.stringify({ ...reportExample('uid:3', nowMs), state: 'dancing' }),
    });
    await on.redis.sadd(fleetKeys.hosts, 'web-2');
    await on.redis.set(hostKeys.status('web-2'), '{"v":2}');
    const [one, two] = (await readFleet(on.redis)).hosts;
    expect(one!.reports.map((report) => report.target)).toEqual(['uid:1']);
    expect(one!.brokenReports.map(({ target }) => target).sort()).toEqual(['uid:2', 'uid:3']);
    expect(two).toMatchObject({ liveness: 'lost', status: null, broken: expect.stringContaining('host') });
  });

  it.each([
    ['the fleet', undefined],
    ['a host', 'web-1'],
  ])('can be held and let go again, %s, and the audit tells who and why', async (scope, host) => {
    await beat(on.redis, 'web-1', await redisNowMs(on.redis));
    await hold(on.redis, host, 'deploy', 'operator:ann');
    const view = await readFleet(on.redis);
    const held = host === undefined ? view.hold : view.hosts[0]!.hold;
    const other = host === undefined ? view.hosts[0]!.hold : view.hold;
    expect(held).toMatchObject({ reason: 'deploy', by: 'operator:ann' });
    expect(Math.abs(held!.sinceMs - view.nowMs)).toBeLessThan(5_000);
    expect(other).toBeNull();
    expect(await unhold(on.redis, host, 'done', 'operator:ann')).toMatchObject({ wasHeld: true });
    expect(await unhold(on.redis, host, 'done', 'operator:ann')).toMatchObject({ wasHeld: false });
    expect(
      scope === 'the fleet' ? (await readFleet(on.redis)).hold : (await readFleet(on.redis)).hosts[0]!.hold,
    ).toBeNull();
    const entries = await on.redis.xrange(fleetKeys.audit, '-', '+');
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

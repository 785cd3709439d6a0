/**
 * A real worker under the Redis user of its host: everything it does works, and Redis's own log of refusals stays
 * empty. Then somebody who has stolen that user: he gets at nothing of other hosts (invariant 7).
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fleetKeys, hostKeys, ledgerKey } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { openQueue } from '../../../shared/queue.ts';
import { connectRedis, type Redis } from '../../../shared/redis/connection.ts';
import { hold, unhold } from '../../../shared/redis/fleet.ts';
import { OrderIssuer, type OrderRequest } from '../../../shared/redis/issuer.ts';
import { LOOKING_TTL_MS, treesSchema } from '../../../shared/trees.ts';
import { expectNothingLeft, readState, spawnSpinner, type TestProcess, until } from '../../support/processes.ts';
import { type RedisWithUsers, startRedisWithUsers } from '../../support/redis-users.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../../support/worker.ts';

const WORKER = { role: 'worker', host: 'web-1' } as const;
/** No user of this machine. */
const UID = 23_461;
const TARGET = `uid:${UID}`;

let redis: RedisWithUsers;
let url: string;
beforeAll(async () => {
  redis = await startRedisWithUsers();
  url = await redis.addUser(WORKER);
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});

const order = (action: 'tarpit' | 'untarpit', host = 'web-1'): OrderRequest => ({
  action,
  host,
  target: TARGET,
  reason: 'test',
  by: 'policy',
  ...(action === 'tarpit' ? { hobble: { every: true }, forMs: 600_000 } : {}),
});

describe('a worker under the user of its host', () => {
  let worker: TestWorker;
  let spinner: TestProcess;
  let issuer: OrderIssuer;

  beforeAll(async () => {
    worker = await startWorker({ redis: { url }, config: { minUid: 1_000 } });
    spinner = await spawnSpinner({ uid: UID, gid: UID });
    issuer = new OrderIssuer(redis.root, undefined, silentLogger());
  });
  afterAll(async () => {
    expect(await worker.stop()).toBe(0);
    await expectNothingLeft();
  });
  afterEach(async () => {
    expect(await redis.refusedTo(WORKER)).toEqual([]);
  });

  const seen = (what: string, condition: () => unknown, deadlineMs = 8_000) => until(condition, { deadlineMs, what });
  const stops = () => seen('a stop', () => readState(spinner.pid) === 'T');
  /** Gives an order, and waits until the worker has done it. */
  const give = async (request: OrderRequest) => {
    const { jobs } = await issuer.issue(request);
    expect(Object.keys(jobs)).toEqual(['web-1']);
    const job = await openQueue('web-1', redis.root).getJob(jobs['web-1']!);
    await seen('its job to be done', async () => (await job!.getState()) === 'completed');
  };
  const letGo = async (host?: string) => {
    await give(order('untarpit', host));
    expect(readState(spinner.pid)).not.toBe('T');
  };
  const reportedState = async () => {
    const text = await redis.root.hget(hostKeys.observed('web-1'), TARGET);
    return text === null ? null : (JSON.parse(text) as { state: string }).state;
  };

  it('takes orders from its queue, reports, keeps its audit, its lease and its beat', async () => {
    await give(order('tarpit'));
    await stops();
    await seen('a report', async () => (await reportedState()) === 'hobbling');
    await seen('an audit', async () => (await redis.root.xlen(hostKeys.audit('web-1'))) === 1);
    expect(await redis.root.pttl(hostKeys.lease('web-1'))).toBeGreaterThan(0);
    expect(await redis.root.pttl(hostKeys.status('web-1'))).toBeGreaterThan(0);
    expect(await redis.root.smembers(fleetKeys.hosts)).toEqual(['web-1']);
    await letGo();
  });

  it("takes the fleet's orders", async () => {
    await give(order('tarpit', '*'));
    await stops();
    await letGo('*');
  });

  it('sees the holds of host and fleet', async () => {
    await give(order('tarpit'));
    await stops();
    for (const host of ['web-1', undefined]) {
      await hold(redis.root, host, 'test', 'operator:test');
      await seen('held', async () => (await reportedState()) === 'held');
      await unhold(redis.root, host, 'test', 'operator:test');
      await stops();
    }
  });

  it('goes on after its connections were cut', async () => {
    expect(Number(await redis.root.call('CLIENT', 'KILL', 'USER', 'hobbler-worker-web-1'))).toBeGreaterThan(1);
    await letGo();
    await give(order('tarpit'));
    await stops();
    await letGo();
  });

  it('fails a poison job, and tries again where Redis failed in the middle', async () => {
    const queue = openQueue('web-1', redis.root);
    const poison = await queue.add('tarpit', { nonsense: true });
    await seen('its failure', async () => (await poison.getState()) === 'failed');

    await redis.root.del(hostKeys.desired('web-1'));
    await redis.root.set(hostKeys.desired('web-1'), 'no hash');
    const nowMs = Number((await redis.root.time())[0]) * 1_000;
    const untarpit = {
      v: 1,
      action: 'untarpit',
      host: 'web-1',
      target: 'uid:1',
      version: nowMs,
      issuedAt: nowMs,
      reason: '',
      by: 'test',
    };
    const unlucky = await queue.add('untarpit', untarpit, { attempts: 3, backoff: { type: 'fixed', delay: 500 } });
    await seen('a second try to come', async () => (await unlucky.getState()) === 'delayed');
    await redis.root.del(hostKeys.desired('web-1'));
    await seen('its success', async () => (await unlucky.getState()) === 'completed');
  });

  it("tells a target's processes to who looks, and to nobody else", async () => {
    await give(order('tarpit'));
    await stops();
    expect(await redis.root.exists(hostKeys.trees('web-1'))).toBe(0);
    await redis.root.set(hostKeys.looking('web-1'), JSON.stringify([TARGET]), 'PX', LOOKING_TTL_MS);
    await seen('its processes', async () => {
      const { trees } = treesSchema.parse(JSON.parse((await redis.root.get(hostKeys.trees('web-1')))!));
      return trees[0]!.processes.some(({ pid, spared }) => pid === spinner.pid && spared === null);
    });
    expect(await redis.root.pttl(hostKeys.trees('web-1'))).toBeGreaterThan(0);
    await letGo();
  });

  it('publishes its meter', async () => {
    await seen('a meter', async () => (await redis.root.hget(hostKeys.meter('web-1'), `uid:${UID}`)) !== null, 20_000);
  });

  it('gives its lease back at its end', async () => {
    expect(await worker.stop()).toBe(0);
    expect(await redis.root.exists(hostKeys.lease('web-1'))).toBe(0);
    worker = await startWorker({ redis: { url }, config: { minUid: 1_000 }, stateDir: worker.stateDir });
  });
});

describe('who has stolen the user of a host', () => {
  let thief: Redis;
  beforeAll(async () => {
    thief = connectRedis({ url, name: 'thief' }, silentLogger());
    await redis.root.hset(hostKeys.desired('web-2'), 'uid:5', 'an order');
    await redis.root.hset(ledgerKey('alice'), 'record:', '{}');
    await redis.root.set(fleetKeys.hold, '{}');
  });
  afterAll(async () => {
    thief.disconnect();
    await redis.root.flushall();
  });

  const other = hostKeys.desired('web-2');
  it.each([
    ["forge another host's beat", 'SET', hostKeys.status('web-2'), '{}'],
    ["hide another host's beat", 'DEL', hostKeys.status('web-2')],
    ["take another host's lease", 'SET', hostKeys.lease('web-2'), '9 thief'],
    ["read another host's orders", 'HGETALL', other],
    ['give another host orders', 'HSET', other, 'uid:6', '{}'],
    ["take another host's orders away", 'HDEL', other, 'uid:5'],
    ["add to another host's queue", 'LPUSH', 'hobbler:{web-2}:orders:wait', '1'],
    ["wipe another host's audit", 'XADD', hostKeys.audit('web-2'), 'MAXLEN', '0', '*', 'a', 'b'],
    ["claim another host's use", 'HSET', hostKeys.meter('web-2'), 'user:bob', '999999'],
    ["wipe the fleet's audit", 'XADD', fleetKeys.audit, 'MAXLEN', '0', '*', 'a', 'b'],
    ['give the fleet orders', 'HSET', fleetKeys.desired, 'user:bob', '{}'],
    ['turn the revision back', 'SET', fleetKeys.revision, '1'],
    ['lift the hold of the fleet', 'DEL', fleetKeys.hold],
    ['lift the hold of his host', 'DEL', hostKeys.hold('web-1')],
    ['hold the fleet', 'SET', fleetKeys.hold, '{}'],
    ['take hosts off the list', 'SREM', fleetKeys.hosts, 'web-2'],
    ['remove the list', 'DEL', fleetKeys.hosts],
    ['read the list', 'SMEMBERS', fleetKeys.hosts],
    ['read a ledger', 'HGETALL', ledgerKey('alice')],
    ['forgive in a ledger', 'DEL', ledgerKey('alice')],
    ['remove an entry of his own audit', 'XDEL', hostKeys.audit('web-1'), '1-1'],
    ['see the names of keys', 'KEYS', '*'],
    ['see the names of keys by SCAN', 'SCAN', '0'],
    ['flush', 'FLUSHALL'],
    ['configure', 'CONFIG', 'SET', 'dir', '/tmp'],
    ['look at the other clients', 'CLIENT', 'LIST'],
    ['watch everything', 'MONITOR'],
    ['make users', 'ACL', 'SETUSER', 'eve', 'on', 'nopass', '~*', '+@all'],
    ['copy', 'COPY', other, hostKeys.desired('web-1')],
    ['load functions', 'FUNCTION', 'LOAD', '#!lua name=x'],
    ['end the server', 'SHUTDOWN', 'NOSAVE'],
    ['read by a script that names the key', 'EVAL', "return redis.call('HGETALL', KEYS[1])", '1', other],
    ['read by a script that does not', 'EVAL', `return redis.call('HGETALL', '${other}')`, '0'],
    ['write by a script', 'EVAL', `return redis.call('SET', '${fleetKeys.hold}', '1')`, '1', hostKeys.desired('web-1')],
    ['flush by a script', 'EVAL', "return redis.call('FLUSHALL')", '1', hostKeys.desired('web-1')],
    ['be somebody else', 'AUTH', 'hobbler-producer', 'guess'],
  ])('cannot %s', async (_what, command, ...args) => {
    await expect(thief.call(command, ...args)).rejects.toThrow(/^(?:NOPERM|WRONGPASS)/);
    expect(await redis.root.hgetall(other)).toEqual({ 'uid:5': 'an order' });
    expect(await redis.root.get(fleetKeys.hold)).toBe('{}');
  });

  it('is told by name what he may not', async () => {
    await expect(thief.hgetall(other)).rejects.toThrow(
      /Redis refuses HGETALL on hobbler:\{web-2\}:desired to this user .* hobbler acl/,
    );
  });
});

/**
 * The admin as a service: opens its one connection to Redis, listens, and ends within a second even when Redis is away.
 * It starts without Redis too: then is when an operator needs a page that says so.
 */
import type { FastifyInstance } from 'fastify';
import { type Clock, within } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { connectRedis, type Redis, type RedisSettings } from '../shared/redis/connection.ts';
import { OrderIssuer } from '../shared/redis/issuer.ts';
import type { Service } from '../shared/service.ts';
import type { Signer } from '../shared/signature.ts';
import { Sessions } from './access/sessions.ts';
import { Actions } from './act/actions.ts';
import { type AdminConfig, requireUsers } from './config.ts';
import { FleetSource } from './fleet/source.ts';
import { LiveHub } from './live/hub.ts';
import { HostQueues } from './queues/host-queues.ts';
import { buildServer } from './server.ts';

export interface AdminOptions {
  config: AdminConfig;
  redis: RedisSettings;
  /** The operator key that signs releases. Workers with keys refuse unsigned orders. */
  signer?: Signer;
  clock: Clock;
  log: Logger;
}

export interface AdminService extends Service {
  /** Where it listens, once started. */
  readonly url: string | null;
}

/** Open connections get this long to end, milliseconds. */
const STOP_LIMIT_MS = 900;

export function createAdminService(options: AdminOptions): AdminService {
  const { config, clock, log } = options;
  let redis: Redis | undefined;
  let queues: HostQueues | undefined;
  let source: FleetSource | undefined;
  let hub: LiveHub | undefined;
  let app: FastifyInstance | undefined;
  let url: string | null = null;

  const start = async () => {
    requireUsers(config);
    redis = connectRedis(options.redis, log);
    queues = new HostQueues(redis, clock, log);
    source = new FleetSource(redis, clock, log);
    hub = new LiveHub(source, clock, log);
    const actions = new Actions(redis, new OrderIssuer(redis, options.signer, log), log);
    const sessions = new Sessions(clock);
    app = await buildServer({ config, sessions, queues, source, hub, actions, redis, clock, log });
    source.start();
    queues.start();
    url = await listen(app, config);
    warnOfOpenDoors(config, log);
    log.info({ url }, 'admin is ready');
    if (config.proxyLogin) log.info({ from: config.proxyLogin.from }, 'who somebody is may be said by a proxy there');
  };

  const stop = async () => {
    url = null;
    queues?.stop();
    hub?.stop();
    source?.stop();
    // First, so that requests that wait for an absent Redis end.
    redis?.disconnect();
    const closing = app;
    app = undefined;
    if (closing) await within(clock, STOP_LIMIT_MS, closing.close()).catch(() => {});
  };

  return {
    name: 'admin',
    start,
    stop,
    get url() {
      return url;
    },
  };
}

async function listen(app: FastifyInstance, { http }: AdminConfig): Promise<string> {
  try {
    return await app.listen({ host: http.host, port: http.port });
  } catch (error) {
    throw new HobblerError('invalid-config', `cannot listen (${messageOf(error)})`, {
      where: `${http.host}:${http.port}`,
      hint: 'set admin.http.host and admin.http.port',
      cause: error,
    });
  }
}

function warnOfOpenDoors({ http }: AdminConfig, log: Logger): void {
  const isLocal = http.host === 'localhost' || http.host === '::1' || http.host.startsWith('127.');
  if (isLocal || http.secureCookie) return;
  log.warn(
    { host: http.host },
    'passwords and sessions cross the network in the clear: put a proxy with TLS in front and set admin.http.secureCookie',
  );
}

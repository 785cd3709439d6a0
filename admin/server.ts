/**
 * Puts the admin's web server together: limits, headers, gate, routes, errors. It only wires; it listens nowhere and
 * opens no connection. Responses carry a CSP under which nothing from other hosts and nothing inline can load, and no
 * response carries a stack.
 */
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { HobblerError } from '../shared/errors.ts';
import { boundConnections, limitRequests, SERVER_LIMITS } from '../shared/http.ts';
import type { Logger } from '../shared/log.ts';
import { hangGate } from './access/gate.ts';
import { ProxyLogin } from './access/proxy-login.ts';
import type { Sessions } from './access/sessions.ts';
import type { AdminConfig } from './config.ts';
import { answerError } from './errors.ts';
import type { LiveHub } from './live/hub.ts';
import { addQueueBoard } from './queues/board.ts';
import type { HostQueues } from './queues/host-queues.ts';
import { addAccountRoutes } from './routes/accounts.ts';
import { addActRoutes } from './routes/act.ts';
import { addAuditRoutes } from './routes/audit.ts';
import { addFleetRoutes } from './routes/fleet.ts';
import { addHostRoutes } from './routes/hosts.ts';
import { eventSender } from './routes/live.ts';
import { addLoginRoutes } from './routes/login.ts';
import { addOpenRoutes } from './routes/open.ts';
import type { Parts } from './routes/parts.ts';
import { addQueueRoutes } from './routes/queues.ts';

export interface ServerOptions extends Omit<Parts, 'sendEvents'> {
  config: AdminConfig;
  sessions: Sessions;
  hub: LiveHub;
  queues: HostQueues;
  log: Logger;
}

/** Forms are small; an order edited in the queue UI is at most 16 KiB. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_REQUEST_MS = 10_000;

export const PAGE_CSP = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': PAGE_CSP,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // Not no-referrer: browsers would then send `Origin: null` with our own forms.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { config, sessions, log } = options;
  const app: FastifyInstance = fastify({
    ...SERVER_LIMITS,
    loggerInstance: log as FastifyBaseLogger,
    // A page that refreshes every two seconds would drown everything else.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: MAX_REQUEST_MS,
    trustProxy: config.http.trustedProxies.length > 0 ? config.http.trustedProxies : false,
    // A browser's open connections must not keep a stopping admin alive.
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 4_096 },
  });
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  app.setErrorHandler<Error>(answerError);
  await app.register(cookie);
  await app.register(formbody);
  boundConnections(app);
  // Not what is open and costs nothing: health, and the files of the login page.
  await limitRequests(app, config.http.requestsPerMinute, (request) => /^\/(?:healthz$|static\/)/.test(request.url));
  const proxyLogin = config.proxyLogin ? new ProxyLogin(config.proxyLogin) : null;
  hangGate(app, { sessions, proxyLogin, metricsToken: config.metricsToken });
  app.setNotFoundHandler((request, reply) =>
    answerError(new HobblerError('not-found', 'there is no such page'), request, reply),
  );
  addOpenRoutes(app);
  addLoginRoutes(app, config, sessions, proxyLogin);
  const parts: Parts = { ...options, sendEvents: eventSender(options.hub, sessions) };
  addFleetRoutes(app, parts);
  addHostRoutes(app, parts);
  addAccountRoutes(app, parts);
  addAuditRoutes(app, parts);
  addActRoutes(app, parts);
  addQueueRoutes(app, parts);
  await addQueueBoard(app, options.queues, options.redis, log);
  return app;
}

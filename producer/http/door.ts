/**
 * The HTTP door: readings in, orders of accounting systems in, and what is known of an account out. Owns the server, who
 * may come in, and the bytes that are in memory at a time; what is behind a path is in the files beside it.
 *
 *   POST /v1/readings      one reading, an array, or application/x-ndjson → 200 all, 207 some, 400 none accepted
 *   POST /v1/orders        tarpit or untarpit → 202 with the order and the jobs that wake hosts
 *   GET  /v1/accounts/:account   why it is slow, and until when; a page for browsers, JSON for the rest
 *   GET  /metrics          for Prometheus; wants a token too
 *   GET  /openapi.json     all of this, for programs; without credential
 *   GET  /healthz          without credential
 */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Clock } from '../../shared/clock.ts';
import { boundConnections, limitRequests, SERVER_LIMITS } from '../../shared/http.ts';
import type { Logger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import type { OrderIssuer } from '../../shared/redis/issuer.ts';
import { BodyBudget } from '../admission/body-budget.ts';
import type { ProducerConfig } from '../config.ts';
import type { Enforcer } from '../enforcer.ts';
import type { Intake } from '../intake.ts';
import type { Judging } from '../judging.ts';
import type { Ledger } from '../ledger.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { addAccounts } from './accounts.ts';
import { bearerGate, type Sender } from './bearer.ts';
import { acceptOnlyJson, MAX_BODY_BYTES } from './bodies.ts';
import { installErrors, refuseFor } from './errors.ts';
import { Idempotency } from './idempotency.ts';
import { openApiText } from './openapi.ts';
import { addOrders } from './orders.ts';
import { addReadings } from './readings.ts';
import type { Scope } from './senders.ts';

/** A request must have come in whole by then. */
const REQUEST_LIMIT_MS = 15_000;
/** Of all bodies that are being read or judged: as much as readings may wait, at 160 bytes each. */
const MAX_BODIES_BYTES = 32 * 1024 * 1024;

export interface HttpDoorOptions {
  config: ProducerConfig;
  redis: Redis;
  issuer: OrderIssuer;
  intake: Intake;
  judging: Judging;
  ledger: Ledger;
  enforcer: Enforcer;
  metrics: ProducerMetrics;
  clock: Clock;
  log: Logger;
}

/** What a route has of the door. */
export interface Behind extends HttpDoorOptions {
  idempotency: Idempotency;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True: no credential is asked for. */
    isPublic?: boolean;
    /** What a token needs; absent: any will do. */
    scope?: Scope;
  }
  interface FastifyRequest {
    /** Set before a body is read. */
    sender: Sender | undefined;
    /** Of the body as it came; set where the request bears an Idempotency-Key. */
    bodyDigest: string | undefined;
  }
}

/** Builds the server; the caller listens and closes. */
export async function openHttpDoor(options: HttpDoorOptions): Promise<FastifyInstance> {
  const { config, clock, log } = options;
  const app = fastify({
    ...SERVER_LIMITS,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_LIMIT_MS,
    forceCloseConnections: true,
    // Longest account name, percent-encoded.
    routerOptions: { maxParamLength: 3_072 },
    frameworkErrors: (error, _request, reply) => {
      refuseFor(error, reply as unknown as FastifyReply, log);
    },
  });
  app.decorateRequest('sender', undefined);
  app.decorateRequest('bodyDigest', undefined);
  installErrors(app, log);
  boundConnections(app);
  // Health is not counted: a check must not be locked out by what it watches.
  await limitRequests(app, config.http.requestsPerMinute, (request) => request.routeOptions.config?.isPublic === true);
  const gate = bearerGate(config.http.tokens, clock);
  const budget = new BodyBudget(MAX_BODIES_BYTES);
  // After the rate limit, which so counts guesses too, and before a byte of the body is read.
  app.addHook('preParsing', async (request, reply) => {
    const { isPublic, scope } = request.routeOptions.config ?? {};
    if (isPublic !== true) request.sender = gate(request, scope);
    if (request.method === 'POST') payForBody(budget, request, reply);
  });
  acceptOnlyJson(app);
  const behind: Behind = { ...options, idempotency: new Idempotency(options.redis) };
  addReadings(app, behind);
  addOrders(app, behind);
  addAccounts(app, behind);
  addWatching(app, behind);
  return app;
}

/** Until it is answered, or the sender is gone. One that does not say how long it is costs as much as it may be. */
function payForBody(budget: BodyBudget, request: FastifyRequest, reply: FastifyReply): void {
  const announced = Number(request.headers['content-length'] ?? MAX_BODY_BYTES);
  const giveBack = budget.take(Math.min(announced, MAX_BODY_BYTES));
  reply.raw.once('close', giveBack);
}

function addWatching(app: FastifyInstance, { redis, metrics }: Behind): void {
  app.get('/healthz', { config: { isPublic: true } }, async (_request, reply) => {
    const isReady = redis.status === 'ready';
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'degraded', redis: redis.status });
  });
  app.get('/metrics', { config: { scope: 'metrics:read' } }, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  const document = openApiText();
  app.get('/openapi.json', { config: { isPublic: true } }, async (_request, reply) =>
    reply.type('application/json').send(document),
  );
}

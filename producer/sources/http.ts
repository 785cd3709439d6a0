/**
 * The HTTP door: readings in, orders of accounting systems in, and what is known of an account out. Owns parsing,
 * credentials, bounds and status codes; judges nothing. An answer of 200 means that it is written down.
 *
 *   POST /v1/readings      one reading, an array, or application/x-ndjson → 200 all, 207 some, 400 none accepted
 *   POST /v1/orders        tarpit or untarpit → 202 with the order and the jobs that wake hosts
 *   GET  /v1/accounts/:account   why it is slow, and until when
 *   GET  /metrics          for Prometheus; wants the token too
 *   GET  /healthz          without credential
 */
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { type Clock, within } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import { boundConnections, limitRequests, SERVER_LIMITS } from '../../shared/http.ts';
import type { Logger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import type { OrderIssuer } from '../../shared/redis/issuer.ts';
import { describeAccount } from '../account-page.ts';
import type { ProducerConfig } from '../config.ts';
import { parseDirectOrder } from '../direct-orders.ts';
import type { Enforcer } from '../enforcer.ts';
import { bearerGate } from '../http/bearer.ts';
import { installErrors, refuseFor } from '../http/errors.ts';
import type { Intake } from '../intake.ts';
import type { Judging } from '../judging.ts';
import type { Ledger } from '../ledger.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { parseReading, parseReadingText, type ReadingInput } from '../reading.ts';
import { needingRedis, unavailable } from '../redis-trouble.ts';

/** A batch of 50,000 readings of 160 bytes. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_BATCH = 50_000;
/** A request must have come in whole by then. */
const REQUEST_LIMIT_MS = 15_000;
/** A sender is not kept waiting for longer; what is written later all the same does no harm, as readings repeat. */
const ANSWER_LIMIT_MS = 10_000;
/** How many refusals an answer spells out. */
const MAX_REFUSALS_SHOWN = 1_000;

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

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True: no credential is asked for. */
    isPublic?: boolean;
  }
}

/** Builds the server; the caller listens and closes. */
export async function openHttpDoor(options: HttpDoorOptions): Promise<FastifyInstance> {
  const { config, log } = options;
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
  installErrors(app, log);
  boundConnections(app);
  // Health is not counted: a check must not be locked out by what it watches.
  await limitRequests(app, config.http.requestsPerMinute, (request) => request.routeOptions.config?.isPublic === true);
  const gate = bearerGate(config.http.tokens);
  // After the rate limit, which so counts guesses too, and before a byte of the body is read.
  app.addHook('preParsing', async (request) => {
    if (request.routeOptions.config?.isPublic !== true) gate(request);
  });
  acceptOnlyJson(app);
  addReadings(app, options);
  addOrders(app, options);
  addAccounts(app, options);
  addWatching(app, options);
  return app;
}

/** Besides JSON and its lines nothing is parsed; text/plain, which any web page may send, least of all. */
function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  const lineTypes = ['application/x-ndjson', 'application/jsonl'];
  app.addContentTypeParser(lineTypes, { parseAs: 'string' }, async (_request: unknown, body: string | Buffer) => {
    // Bounded, so that a body of line breaks is not turned into millions of lines; refused below when that was too many.
    const lines = String(body).split('\n', 2 * MAX_BATCH + 1);
    return lines.filter((line) => line.trim() !== '').map((line) => new JsonLine(line));
  });
}

/** One line that is not parsed yet, so that a bad one is refused alone. */
class JsonLine {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function addReadings(app: FastifyInstance, { redis, intake, clock }: HttpDoorOptions): void {
  app.post('/v1/readings', async (request, reply) => {
    const items: unknown[] = Array.isArray(request.body) ? request.body : [request.body];
    if (items.length === 0) throw new HobblerError('invalid-input', 'no readings', { where: 'body' });
    if (items.length > MAX_BATCH) {
      throw Object.assign(new Error(`expected at most ${MAX_BATCH} readings; got ${items.length}`), {
        statusCode: 413,
      });
    }
    const inputs: ReadingInput[] = items.map((item) =>
      item instanceof JsonLine ? parseReadingText(item.text) : parseReading(item),
    );
    const answer = await within(
      clock,
      ANSWER_LIMIT_MS,
      needingRedis(redis, () => intake.accept(inputs)),
    );
    if (!answer.done) throw unavailable('it takes too long');
    const { accepted, refused } = answer.value;
    const status = refused.length === 0 ? 200 : accepted > 0 ? 207 : 400;
    const shown = refused.slice(0, MAX_REFUSALS_SHOWN);
    const more = refused.length - shown.length;
    return reply.code(status).send({ accepted, refused: shown, ...(more > 0 ? { refusedMore: more } : {}) });
  });
}

function addOrders(app: FastifyInstance, { config, redis, issuer, clock, log }: HttpDoorOptions): void {
  app.post('/v1/orders', { bodyLimit: 64 * 1024 }, async (request, reply) => {
    const order = parseDirectOrder(request.body);
    if (config.dryRun) {
      log.info({ order }, 'dry run: would order');
      return reply.code(200).send({ dryRun: true, order: null, jobs: {} });
    }
    const answer = await within(
      clock,
      ANSWER_LIMIT_MS,
      needingRedis(redis, () => issuer.issue(order)),
    );
    if (!answer.done) throw unavailable('it takes too long');
    return reply.code(202).send(answer.value);
  });
}

function addAccounts(app: FastifyInstance, { redis, ledger, judging, enforcer, clock }: HttpDoorOptions): void {
  app.get<{ Params: { account: string } }>('/v1/accounts/:account', async (request) => {
    const { account } = request.params;
    const entry = (await needingRedis(redis, () => ledger.read([account]))).get(account)!;
    const page = describeAccount(entry, {
      rules: judging.rulesOf(account),
      ...judging.wordsOn(account),
      overruledBy: (key) => enforcer.claims.overruledBy(key),
      nowMs: clock.wallMs(),
    });
    if (!page) throw new HobblerError('not-found', 'nothing is known of this account', { where: account.slice(0, 80) });
    return page;
  });
}

function addWatching(app: FastifyInstance, { redis, metrics }: HttpDoorOptions): void {
  app.get('/healthz', { config: { isPublic: true } }, async (_request, reply) => {
    const isReady = redis.status === 'ready';
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'degraded', redis: redis.status });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}

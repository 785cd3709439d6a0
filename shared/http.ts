/**
 * What both web servers, the producer's door and the admin, hold against those who would wear them out: limits on time,
 * on connections and on requests. Knows no route, no credential and no page.
 */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Options of fastify. A request's own time limit (`requestTimeout`) is each server's, since they take different bodies. */
export const SERVER_LIMITS = {
  /** A connection on which nothing moves for so long is cut: also that of a reader who takes no answer. */
  connectionTimeout: 60_000,
  /** Longer than a page's refresh and a probe's interval, shorter than anybody's patience with a full table. */
  keepAliveTimeout: 10_000,
  http: {
    /** Headers must have come in whole by then. */
    headersTimeout: 5_000,
    /** Node looks every 30 s otherwise, so that a limit of 5 s would be one of 35. */
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16 * 1024,
  },
} as const;

/** Connections at a time. Past it new ones are refused by the kernel's end of the handshake. */
const MAX_CONNECTIONS = 1_000;
/** Headers of one request; browsers send some 20. */
const MAX_HEADERS = 100;

/** Bounds what a server holds open. Call before it listens. */
export function boundConnections(app: FastifyInstance): void {
  app.server.maxConnections = MAX_CONNECTIONS;
  app.server.maxHeadersCount = MAX_HEADERS;
}

/**
 * Counts every request by the address it comes from, unknown paths and guesses at credentials included, and refuses what
 * is too much with 429. Call before the gate's hooks. `isFree` tells requests that are not counted, such as health.
 */
export async function limitRequests(
  app: FastifyInstance,
  perMinute: number,
  isFree: (request: FastifyRequest) => boolean,
): Promise<void> {
  // Routes may set a limit of their own besides (`config.rateLimit`).
  await app.register(rateLimit, { global: false });
  const count = app.createRateLimit({ max: perMinute, timeWindow: 60_000 });
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    if (isFree(request)) return;
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    reply.header('retry-after', counted.ttlInSeconds);
    throw Object.assign(
      new Error(`more than ${perMinute} requests in a minute; come back in ${counted.ttlInSeconds} s`),
      { statusCode: 429 },
    );
  });
}

/**
 * How an HTTP door says no: `{ error: { code, message } }`, never a stack, and never a word of what broke inside. Owns
 * the mapping from errors to status codes; knows nothing of readings or orders.
 */
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { type ErrorCode, HobblerError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { seconds } from '../admission/too-much.ts';
import { InsufficientScope } from './bearer.ts';
import { AtWork } from './idempotency.ts';

const STATUS: Record<ErrorCode, number> = {
  'invalid-input': 400,
  'invalid-config': 500,
  unauthorized: 401,
  'not-found': 404,
  'redis-unavailable': 503,
  'redis-misconfigured': 503,
  'producer-unavailable': 503,
  'host-locked': 409,
  unsupported: 422,
  denied: 403,
  'bound-exceeded': 429,
  internal: 500,
};

/** Codes for what the HTTP layer itself refuses. */
const CODES: Record<number, string> = {
  400: 'invalid-input',
  401: 'unauthorized',
  403: 'denied',
  404: 'not-found',
  405: 'not-allowed',
  408: 'timeout',
  413: 'too-large',
  414: 'too-large',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
  431: 'too-large',
};

/** When to come back, seconds: after Redis's absence, and after too much at once. */
const RETRY_AFTER_S: Record<number, number> = { 429: 1, 503: 5 };

/** The status of a refusal. */
export function statusOf(error: HobblerError): number {
  return error instanceof AtWork ? 409 : STATUS[error.code];
}

/** Sends a refusal. */
export function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  const retryAfterS = RETRY_AFTER_S[status];
  if (retryAfterS !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', retryAfterS);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply
    .code(status)
    .type('application/json')
    .send({ error: { code, message: printable(message) } });
}

/** Sends the refusal that fits what was thrown; what is our fault goes to the log alone. */
export function refuseFor(error: unknown, reply: FastifyReply, log: Logger): FastifyReply {
  if (error instanceof HobblerError) {
    const status = statusOf(error);
    const { retryAfterMs } = error as Partial<AtWork>;
    if (retryAfterMs !== undefined) reply.header('retry-after', seconds(retryAfterMs));
    if (error instanceof InsufficientScope) {
      reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${error.scope}"`);
    }
    if (status < 500 || status === 503)
      return refuse(reply, status, error instanceof AtWork ? 'in-progress' : error.code, error.message);
  }
  const status = (error as Partial<FastifyError>).statusCode;
  if (status !== undefined && status >= 400 && status < 500) {
    return refuse(reply, status, CODES[status] ?? 'invalid-input', messageOf(error));
  }
  log.error({ err: error }, 'a request failed');
  return refuse(reply, 500, 'internal', 'something went wrong here; the log of the service says what');
}

export function installErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error, _request, reply) => refuseFor(error, reply, log));
  app.setNotFoundHandler((request, reply) =>
    refuse(reply, 404, 'not-found', `no ${request.method} ${request.url.slice(0, 100)} here`),
  );
}

/** Messages of JSON parsers repeat what they were given. */
function printable(message: string): string {
  return message.replace(/\p{Cc}/gu, '?').slice(0, 2_000);
}

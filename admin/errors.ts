/**
 * How a refusal or a fault is answered: the status, and words that are safe to show. Never a stack, never a path. Used
 * by our own routes and, because it answers for its routes by itself, by the queue board.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, HobblerError } from '../shared/errors.ts';
import { isForPrograms } from './access/gate.ts';
import { errorPage } from './views/error-page.ts';
import { layout } from './views/layout.ts';

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  'invalid-input': 400,
  unauthorized: 401,
  denied: 403,
  'not-found': 404,
  'bound-exceeded': 429,
  'redis-unavailable': 503,
};

const HEADINGS: Record<number, string> = {
  400: 'That cannot be done as asked',
  401: 'Log in first',
  403: 'Not allowed',
  404: 'Not found',
  429: 'Too many at once',
  503: 'Redis is away',
};

export interface Refusal {
  status: number;
  what: string;
  /** Whether the admin itself is at fault, and the log has more. */
  isFault: boolean;
}

/** Fastify's own refusals (4xx) are written for clients; what other errors say might quote what it must not. */
export function refusalOf(error: Error & { statusCode?: number }): Refusal {
  const status = error instanceof HobblerError ? (STATUS_OF[error.code] ?? 500) : (error.statusCode ?? 500);
  if (status < 500 || error instanceof HobblerError) return { status, what: error.message, isFault: status === 500 };
  return { status, what: 'This is a fault of the admin, not of your request.', isFault: true };
}

/** Logs a fault with its request, and who tried what he may not; other refusals only when someone looks closely. */
export function logRefusal({ status, what, isFault }: Refusal, error: Error, request: FastifyRequest): void {
  const { method } = request;
  const url = request.url.slice(0, 500);
  if (isFault) request.log.error({ err: error, method, url }, 'request failed');
  else if (status === 403) {
    // Somebody tried what he may not: a viewer who acts, or a form that another site sent.
    request.log.warn({ user: request.session?.user ?? null, address: request.ip, method, url }, `refused: ${what}`);
  } else request.log.debug({ status, what, method, url }, 'request refused');
}

/** Answers in the form that the asker reads: a page, or JSON. */
export function answerError(error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error);
  const { status, what, isFault } = refusal;
  logRefusal(refusal, error, request);
  reply.status(status);
  if (isForPrograms(request)) return reply.send({ error: what });
  const heading = HEADINGS[status] ?? (status < 500 ? 'Refused' : 'Something went wrong');
  const body = errorPage({ heading, what, ...(isFault ? { requestId: request.id } : {}) });
  return reply.type('text/html; charset=utf-8').send(layout({ title: heading, body, session: request.session }));
}

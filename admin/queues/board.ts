/**
 * bull-board over all hosts' queues, at /queues, behind the admin's gate. Viewers only read: the server refuses every
 * method but GET before bull-board sees it, and its pages are told that each queue is read-only, so they show no buttons
 * that would fail. What operators change here stands in the audit. It can do no lasting harm to who is slowed: jobs only
 * wake a worker, state decides (invariant 3).
 */
import { createBullBoard } from '@bull-board/api';
import type { HTTPStatus } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HobblerError, messageOf } from '../../shared/errors.ts';
import { fleetKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import { appendAudit } from '../../shared/redis/audit.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { sessionOf } from '../access/gate.ts';
import { byOperator } from '../act/actions.ts';
import { refusalOf } from '../errors.ts';
import { ASSETS } from '../static/assets.ts';
import { html } from '../views/html.ts';
import { navigation } from '../views/layout.ts';
import type { HostQueues } from './host-queues.ts';
import { BOARD_PATH, hostOfQueue } from './names.ts';

/**
 * What bull-board 9.10 was seen to need in Chromium: style attributes and a style element, its own scripts and the worker
 * that highlights stack traces (under script-src too), its own images and calls, and a base element.
 */
export const BOARD_CSP = [
  "default-src 'none'",
  "style-src 'self' 'unsafe-inline'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** How much of a part of the address goes into the audit. */
const MAX_PARAM_CHARS = 500;

export async function addQueueBoard(
  app: FastifyInstance,
  queues: HostQueues,
  redis: Redis,
  log: Logger,
): Promise<void> {
  const adapter = new FastifyAdapter();
  adapter.setBasePath(BOARD_PATH);
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'hobbler queues',
        favIcon: { default: 'static/images/logo.svg', alternative: 'static/favicon-32x32.png' },
        // Its default asks CLIENT LIST for every queue at every poll: seconds for a large fleet.
        showWorkers: false,
        hideDocsLink: true,
        sortQueues: true,
        overview: { groupByDelimiter: true },
        pollingInterval: { showSetting: true },
      },
    },
  });
  // bull-board answers for errors by itself, those of our gate before its routes included.
  adapter.setErrorHandler((error) => {
    const { status, what, isFault } = refusalOf(error);
    if (isFault) log.error({ err: error }, 'the queue board failed');
    return { status: status as HTTPStatus, body: { error: what } };
  });
  queues.onChange((adapters) => board.replaceQueues(adapters));

  await app.register(
    async (scope) => {
      scope.addHook('onRequest', async (request, reply) => {
        reply.header('content-security-policy', BOARD_CSP);
        if (request.method !== 'GET' && request.session?.role !== 'operator') {
          throw new HobblerError('denied', 'viewers can read queues but not change them');
        }
      });
      scope.addHook('onResponse', async (request, reply) => {
        if (request.method !== 'GET' && reply.statusCode < 400) await auditChange(redis, request);
      });
      scope.addHook('preSerialization', async (request, _reply, payload) => asSeenBy(request, payload));
      scope.addHook('onSend', async (request, _reply, payload) =>
        typeof payload === 'string' && payload.startsWith('<!DOCTYPE html>') ? inOurFrame(payload, request) : payload,
      );
      await scope.register(adapter.registerPlugin());
    },
    { prefix: BOARD_PATH },
  );
}

interface QueueListing {
  queues: { readOnlyMode: boolean; allowRetries: boolean; allowCompletedRetries: boolean; jobs?: unknown }[];
}

function asSeenBy(request: FastifyRequest, payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null) return payload;
  if ('job' in payload) hideStack(payload.job);
  if (isQueueListing(payload)) {
    for (const { jobs } of payload.queues) if (Array.isArray(jobs)) for (const job of jobs) hideStack(job);
  }
  if (isQueueListing(payload) && sessionOf(request).role !== 'operator') {
    const readOnly = { readOnlyMode: true, allowRetries: false, allowCompletedRetries: false };
    return { ...payload, queues: payload.queues.map((queue) => ({ ...queue, ...readOnly })) };
  }
  return payload;
}

/** A failed job keeps the stacks of its tries, with paths of its host: the reason is shown, and those to nobody. */
function hideStack(job: unknown): void {
  if (typeof job === 'object' && job !== null && 'stacktrace' in job) job.stacktrace = [];
}

function isQueueListing(payload: object): payload is QueueListing {
  return (
    'queues' in payload && Array.isArray(payload.queues) && payload.queues.every((queue) => 'readOnlyMode' in queue)
  );
}

/**
 * bull-board's page under our bar, so that it is one more page of the admin; without its links to a web font elsewhere,
 * which the CSP blocks anyway and an offline browser would wait for.
 */
function inOurFrame(page: string, request: FastifyRequest): string {
  const bar = html`<div id="hobbler-bar">${navigation(sessionOf(request), 'queues')}</div>`;
  const style = html`<link rel="stylesheet" href="${ASSETS['board.css'].path}">`;
  return page
    .replace(/<link\b[^>]*\bhref="https?:[^>]*>/gi, '')
    .replace('</head>', () => `${style}</head>`)
    .replace(/<body[^>]*>/, (body) => `${body}${bar}`);
}

async function auditChange(redis: Redis, request: FastifyRequest): Promise<void> {
  const { queueName = '', ...rest } = request.params as Record<string, string>;
  const host = queueName === '' ? '*' : hostOfQueue(queueName);
  const change = `${request.method} ${request.routeOptions.url ?? ''}`;
  const by = byOperator(sessionOf(request).user);
  request.log.info({ host, change, by }, 'queue changed by hand');
  const bounded = Object.fromEntries(
    Object.entries(rest).map(([name, text]) => [name, text.slice(0, MAX_PARAM_CHARS)]),
  );
  try {
    await appendAudit(redis, fleetKeys.audit, { action: 'queue', host, reason: change, by, ...bounded });
  } catch (error) {
    request.log.error({ why: messageOf(error), host, change, by }, 'a change of a queue is missing in the audit');
  }
}

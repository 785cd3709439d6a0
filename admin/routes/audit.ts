/** The audit, and what came of one entry of it. Reads only; for viewers too. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { HobblerError } from '../../shared/errors.ts';
import { FLEET } from '../../shared/order.ts';
import { redisNowMs } from '../../shared/redis/connection.ts';
import { sessionOf } from '../access/gate.ts';
import { outcomesOf } from '../act/outcome.ts';
import { type Trace, Traces } from '../act/trace.ts';
import { readAudit, STREAM_ID } from '../audit.ts';
import type { Fleet } from '../fleet/model.ts';
import type { FleetAnswer } from '../fleet/source.ts';
import { auditPage } from '../views/audit-page.ts';
import { type EntryView, entryPage, entryParts, entryTitle } from '../views/entry-page.ts';
import { layout } from '../views/layout.ts';
import { hostOrFleet } from './act-input.ts';
import { parseInput } from './input.ts';
import { EVENTS, liveOf } from './live.ts';
import { type Parts, reachRedis } from './parts.ts';

const HTML = 'text/html; charset=utf-8';
/** A filter may have to read all of a capped stream, milliseconds. */
const SEARCH_LIMIT_MS = 8_000;

const streamId = z.string().regex(STREAM_ID, 'expected the id of an entry');
const filterText = z.string().trim().max(200).default('');
const auditQuery = z.object({
  host: hostOrFleet.default(FLEET),
  before: streamId.optional(),
  action: filterText,
  by: filterText,
  q: filterText,
});

export function addAuditRoutes(app: FastifyInstance, { source, redis, clock, sendEvents }: Parts): void {
  const traces = new Traces(redis);

  /** What came of an entry so far. Throws not-found and redis-unavailable. */
  const trace = async (id: string): Promise<Trace> => {
    const followed = await reachRedis(clock, traces.follow(id, fleetOf(source.now())));
    if (followed !== null) return followed;
    throw new HobblerError('not-found', 'no such entry in the audit', {
      where: id,
      hint: 'the audit keeps about the last 10,000; older ones are gone',
    });
  };

  app.get('/audit', async (request, reply) => {
    const session = sessionOf(request);
    const { host, before, action, by, q } = parseInput(auditQuery, request.query);
    const filter = { action, by, text: q };
    const [page, nowMs, answer] = await reachRedis(
      clock,
      Promise.all([readAudit(redis, host, filter, before), redisNowMs(redis), source.read()]),
      SEARCH_LIMIT_MS,
    );
    const fleet = answer.redis === 'here' ? answer.fleet : null;
    const known = fleet !== null && host === FLEET ? await reachRedis(clock, traces.know(page.entries, fleet)) : null;
    const body = auditPage({
      host,
      hosts: fleet?.hosts.map((row) => row.host) ?? [],
      filter,
      page,
      outcomes: new Map(page.entries.map((entry) => [entry.id, known === null ? [] : outcomesOf(entry, known)])),
      isFirst: before === undefined,
      nowMs,
    });
    return reply.type(HTML).send(layout({ title: 'Audit', body, session, section: 'audit' }));
  });

  app.get('/audit/:id', async (request, reply) => {
    const session = sessionOf(request);
    const { id } = parseInput(z.object({ id: streamId }), request.params);
    const mayAct = session.role === 'operator';
    const view = viewOf(await source.read(), await trace(id), mayAct);
    const live = liveOf(`/events/audit/${id}`, entryParts(view), view.nowMs);
    const title = entryTitle(view.trace.entry);
    return reply.type(HTML).send(layout({ title, body: entryPage(view), session, section: 'audit', live }));
  });

  app.get('/events/audit/:id', EVENTS, async (request, reply) => {
    const mayAct = sessionOf(request).role === 'operator';
    const { id } = parseInput(z.object({ id: streamId }), request.params);
    const key = JSON.stringify(['audit', mayAct, id]);
    return sendEvents(request, reply, {
      key,
      draw: async () => entryParts(viewOf(source.now(), await trace(id), mayAct)),
    });
  });
}

function fleetOf(answer: FleetAnswer): Fleet {
  if (answer.redis === 'away') throw new HobblerError('redis-unavailable', `Redis is away (${answer.why})`);
  return answer.fleet;
}

function viewOf(answer: FleetAnswer, trace: Trace, mayAct: boolean): EntryView {
  return { trace, mayAct, nowMs: fleetOf(answer).nowMs };
}

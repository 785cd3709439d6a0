/** The page of one host, and its events. Reads only, but for the question that asks a worker for a target's processes. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { HobblerError } from '../../shared/errors.ts';
import { sessionOf } from '../access/gate.ts';
import { readNewest } from '../audit.ts';
import { TreeReader } from '../fleet/trees.ts';
import { type HostPageView, hostPage, hostParts } from '../views/host-page.ts';
import { link } from '../views/html.ts';
import { layout } from '../views/layout.ts';
import { target as targetText } from './act-input.ts';
import { pageNumber, parseInput } from './input.ts';
import { EVENTS, liveOf } from './live.ts';
import { type Parts, reachRedis } from './parts.ts';

const ENTRIES_SHOWN = 20;

const hostParams = z.object({ host: z.string().min(1).max(253) });
const hostPageQuery = z.object({
  target: targetText.optional(),
  page: pageNumber,
});

export function addHostRoutes(app: FastifyInstance, { source, redis, clock, sendEvents }: Parts): void {
  const trees = new TreeReader(redis, clock);

  const view = async (host: string, target: string | null, page: number, mayAct: boolean): Promise<HostPageView> => {
    const answer = source.now();
    const isKnown = answer.redis === 'here' && answer.fleet.hosts.some((row) => row.host === host);
    const [entries, look] = isKnown
      ? await reachRedis(
          clock,
          Promise.all([readNewest(redis, host, ENTRIES_SHOWN), target === null ? null : trees.look(host, target)]),
        )
      : [null, null];
    return { answer, host, target, look, entries, page, mayAct };
  };

  app.get('/hosts/:host', async (request, reply) => {
    const session = sessionOf(request);
    const { host } = parseInput(hostParams, request.params);
    const { target = null, page } = parseInput(hostPageQuery, request.query);
    const answer = await source.read();
    const fleet = answer.redis === 'here' ? answer.fleet : answer.last?.fleet;
    if (fleet && !fleet.hosts.some((row) => row.host === host)) {
      throw new HobblerError('not-found', 'no such host', {
        where: host,
        hint: 'hosts appear when their worker starts',
      });
    }
    const shown = await view(host, target, page, session.role === 'operator');
    const query = { target: target ?? undefined, page: page === 1 ? undefined : String(page) };
    const live = liveOf(link(`/events/hosts/${encodeURIComponent(host)}`, query), hostParts(shown), source.nowMs);
    const content = { title: host, body: hostPage(shown), session, section: 'fleet', live } as const;
    return reply.type('text/html; charset=utf-8').send(layout(content));
  });

  app.get('/events/hosts/:host', EVENTS, async (request, reply) => {
    const mayAct = sessionOf(request).role === 'operator';
    const { host } = parseInput(hostParams, request.params);
    const { target = null, page } = parseInput(hostPageQuery, request.query);
    const key = JSON.stringify(['host', mayAct, host, target, page]);
    return sendEvents(request, reply, { key, draw: async () => hostParts(await view(host, target, page, mayAct)) });
  });
}

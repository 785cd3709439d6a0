/** The page of one account, and its events. Reads only. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sessionOf } from '../access/gate.ts';
import { readAccount } from '../fleet/account.ts';
import { type AccountPageView, accountPage, accountParts } from '../views/account-page.ts';
import { layout } from '../views/layout.ts';
import { parseInput } from './input.ts';
import { EVENTS, liveOf } from './live.ts';
import { type Parts, reachRedis } from './parts.ts';

const accountParams = z.object({
  account: z
    .string()
    .min(1)
    .max(256)
    .regex(/^\P{Cc}*$/u, 'expected no control characters'),
});

export function addAccountRoutes(app: FastifyInstance, { source, redis, clock, sendEvents }: Parts): void {
  const view = async (account: string, mayAct: boolean): Promise<AccountPageView> => {
    const answer = source.now();
    const reading = answer.redis === 'here' ? await reachRedis(clock, readAccount(redis, account)) : null;
    return { answer, account, reading, mayAct };
  };

  app.get('/accounts/:account', async (request, reply) => {
    const session = sessionOf(request);
    const { account } = parseInput(accountParams, request.params);
    await source.read();
    const shown = await view(account, session.role === 'operator');
    const live = liveOf(`/events/accounts/${encodeURIComponent(account)}`, accountParts(shown), source.nowMs);
    const content = { title: account, body: accountPage(shown), session, section: 'fleet', live } as const;
    return reply.type('text/html; charset=utf-8').send(layout(content));
  });

  app.get('/events/accounts/:account', EVENTS, async (request, reply) => {
    const mayAct = sessionOf(request).role === 'operator';
    const { account } = parseInput(accountParams, request.params);
    const key = JSON.stringify(['account', mayAct, account]);
    return sendEvents(request, reply, { key, draw: async () => accountParts(await view(account, mayAct)) });
  });
}

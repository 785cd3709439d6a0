/**
 * GET /v1/accounts/:account: why an account is slow, what it used, and when that ends; as JSON, or as a page where that
 * is asked for. Owns which of the two, and its headers; what stands in it comes from account-page.ts.
 */
import type { FastifyInstance } from 'fastify';
import { HobblerError } from '../../shared/errors.ts';
import { describeAccount } from '../account-page.ts';
import { needingRedis } from '../redis-trouble.ts';
import { ACCOUNT_PAGE_CSP, renderAccount } from './account-html.ts';
import type { Behind } from './door.ts';

export function addAccounts(app: FastifyInstance, { redis, ledger, judging, enforcer, clock }: Behind): void {
  const config = { scope: 'accounts:read' } as const;
  app.get<{ Params: { account: string } }>('/v1/accounts/:account', { config }, async (request, reply) => {
    const { account } = request.params;
    const entry = (await needingRedis(redis, () => ledger.read([account]))).get(account)!;
    const rules = judging.rulesOf(account);
    const nowMs = clock.wallMs();
    const page = describeAccount(entry, {
      rules,
      ...judging.wordsOn(account),
      overruledBy: (key) => enforcer.claims.overruledBy(key),
      nowMs,
    });
    if (!page) throw new HobblerError('not-found', 'nothing is known of this account', { where: account.slice(0, 80) });
    // It is about now, and a cache must not show one form to who asked for the other.
    reply.header('cache-control', 'no-store').header('vary', 'Accept');
    if (!prefersHtml(request.headers.accept)) return page;
    reply.header('content-security-policy', ACCOUNT_PAGE_CSP).header('x-content-type-options', 'nosniff');
    return reply.type('text/html; charset=utf-8').send(renderAccount(page, rules.zone, nowMs));
  });
}

/** Whether `Accept` names text/html, and no kind of JSON more gladly. Whatever else it says means JSON. */
export function prefersHtml(accept = ''): boolean {
  let html = 0;
  let jsonQuality = 0;
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (!Number.isFinite(quality)) continue;
    if (type === 'text/html') html = Math.max(html, quality);
    else if (type === 'application/json' || type.endsWith('+json')) jsonQuality = Math.max(jsonQuality, quality);
  }
  return html > 0 && html >= jsonQuality;
}

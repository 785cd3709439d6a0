/**
 * The routes by which an operator acts. Each act has a page that says what will happen and asks why (GET), and the act
 * itself (POST), which answers with a redirect to the fleet page, so that a reload never repeats it.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { HobblerError } from '../../shared/errors.ts';
import { FLEET } from '../../shared/order.ts';
import { sessionOf } from '../access/gate.ts';
import type { Session } from '../access/sessions.ts';
import { releasableOn } from '../act/actions.ts';
import { plural } from '../fleet/attention.ts';
import type { Fleet, HostRow } from '../fleet/model.ts';
import type { FleetSource } from '../fleet/source.ts';
import { holdPage, releaseHostPage, releasePage, unholdPage } from '../views/act-page.ts';
import type { Html } from '../views/html.ts';
import { layout } from '../views/layout.ts';
import { holdForm, holdQuery, hostQuery, parseInput, releaseForm, releaseHostForm, targetQuery } from './input.ts';
import { type Parts, reachRedis } from './parts.ts';

/** Releasing a whole host is many orders. */
const BULK_LIMIT_MS = 30_000;
const OPERATOR = { config: { access: 'operator' } } as const;

export function addActRoutes(app: FastifyInstance, { actions, source, clock }: Parts): void {
  const done = (reply: FastifyReply, session: Session, notice: string) => {
    session.notice = notice;
    source.forget();
    return reply.redirect('/', 303);
  };

  app.get('/release', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host, target } = parseInput(targetQuery, request.query);
    const row = (await fleetNow(source)).targets.find((one) => one.host === host && one.target === target) ?? null;
    return sendPage(reply, session, 'Release', releasePage({ session, host, target, row }));
  });

  app.post('/release', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host, target, reason } = parseInput(releaseForm, request.body);
    const isOfIt = (row: { host: string; target: string }) =>
      row.target === target && (host === FLEET || row.host === host);
    const { account = null } = (await fleetNow(source)).targets.find(isOfIt) ?? {};
    await reachRedis(clock, actions.release(host, target, account, { reason, operator: session.user }));
    return done(
      reply,
      session,
      `Release of ${target} ${where(host)} ordered. It is pending until ${host === FLEET ? 'the hosts say' : 'the host says'} that it is done.`,
    );
  });

  app.get('/release-host', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host } = parseInput(hostQuery, request.query);
    const fleet = await fleetNow(source);
    const body = releaseHostPage(session, knownHost(fleet, host), releasableOn(fleet, host));
    return sendPage(reply, session, 'Release a host', body);
  });

  app.post('/release-host', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host, reason } = parseInput(releaseHostForm, request.body);
    const fleet = await fleetNow(source);
    knownHost(fleet, host);
    const act = { reason, operator: session.user };
    const { released, failed } = await reachRedis(clock, actions.releaseHost(fleet, host, act), BULK_LIMIT_MS);
    const faults =
      failed.length === 0 ? '' : ` Not ordered: ${failed.length}, the first ${failed[0]!.target}: ${failed[0]!.why}`;
    return done(reply, session, `Release of ${released} ${plural(released, 'target')} on ${host} ordered.${faults}`);
  });

  app.get('/hold', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host } = parseInput(holdQuery, request.query);
    return sendPage(reply, session, 'Hold', holdPage(session, host));
  });

  app.post('/hold', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host, reason } = parseInput(holdForm, request.body);
    await reachRedis(clock, actions.hold(host, { reason, operator: session.user }));
    return done(
      reply,
      session,
      `Hold ${where(host)} ordered. Each host shows it as pending until it says that it holds.`,
    );
  });

  app.get('/unhold', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host } = parseInput(holdQuery, request.query);
    return sendPage(reply, session, 'Lift a hold', unholdPage(session, host));
  });

  app.post('/unhold', OPERATOR, async (request, reply) => {
    const session = sessionOf(request);
    const { host, reason } = parseInput(holdForm, request.body);
    const wasHeld = await reachRedis(clock, actions.unhold(host, { reason, operator: session.user }));
    return done(reply, session, wasHeld ? `Hold ${where(host)} lifted.` : `There was no hold ${where(host)}.`);
  });
}

function where(host: string): string {
  return host === FLEET ? 'on every host' : `on ${host}`;
}

/** The fleet to act on. Nobody acts on what was seen before Redis went away. */
async function fleetNow(source: FleetSource): Promise<Fleet> {
  const answer = await source.readAnew();
  if (answer.redis === 'here') return answer.fleet;
  throw new HobblerError('redis-unavailable', `Redis is away (${answer.why})`, {
    hint: 'try again when it is back; on a host, hobbler release-all works without it',
  });
}

function knownHost(fleet: Fleet, host: string): HostRow {
  const row = fleet.hosts.find((one) => one.host === host);
  if (row) return row;
  throw new HobblerError('not-found', 'no such host', { where: host, hint: 'hosts appear when their worker starts' });
}

function sendPage(reply: FastifyReply, session: Session, title: string, body: Html): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(layout({ title, body, session, section: 'fleet' }));
}

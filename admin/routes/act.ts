/**
 * The routes by which an operator acts. Each act has a page that says what will happen and asks why (GET), and the act
 * itself (POST), which answers with a redirect to the page that follows what comes of it, so that a reload repeats
 * nothing. What is carried out is planned anew from what stands then.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { within } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import { FLEET } from '../../shared/order.ts';
import { type Pin, pinStands, readPins } from '../../shared/redis/pins.ts';
import { sessionOf } from '../access/gate.ts';
import type { Begun, Why } from '../act/actions.ts';
import { entryLink } from '../act/links.ts';
import {
  planExempt,
  planExtend,
  planRelease,
  planReleaseFleet,
  planReleaseHost,
  planTarpit,
  rowOf,
  rowsOf,
  standingTarpit,
} from '../act/plan.ts';
import type { Fleet, HostRow } from '../fleet/model.ts';
import type { FleetSource } from '../fleet/source.ts';
import {
  exemptPage,
  holdPage,
  releaseFleetPage,
  releaseHostPage,
  releasePage,
  removeHostPage,
  unexemptPage,
  unholdPage,
} from '../views/act-page.ts';
import type { Html } from '../views/html.ts';
import { layout } from '../views/layout.ts';
import { extendPage, tarpitFormPage, tarpitPage } from '../views/tarpit-page.ts';
import * as forms from './act-input.ts';
import { parseInput } from './input.ts';
import { type Parts, reachRedis } from './parts.ts';

/** A page is not kept waiting for many orders: the next one shows how far they are. */
const SHOWN_WITHIN_MS = 1_500;
const OPERATOR = { config: { access: 'operator' } } as const;

/** Adds the acts; with their pages, all for operators alone. */
export function addActRoutes(app: FastifyInstance, { actions, source, clock, redis }: Parts): void {
  /** A page that asks why. Its fleet is read anew: nobody decides on what was seen before Redis went away. */
  const asks = (path: string, title: string, page: (request: FastifyRequest, fleet: Fleet) => Html | Promise<Html>) =>
    app.get(path, OPERATOR, async (request, reply) => {
      const body = await page(request, await fleetNow(source));
      return sendPage(request, reply, title, body);
    });
  /** An act, and the way to what comes of it. */
  const does = (path: string, act: (body: unknown, operator: string) => Promise<Begun>) =>
    app.post(path, OPERATOR, async (request, reply) => {
      const { entry, given } = await reachRedis(clock, act(request.body, sessionOf(request).user));
      await within(clock, SHOWN_WITHIN_MS, given);
      source.forget();
      return reply.redirect(entryLink(entry), 303);
    });
  const pinOf = async (account: string | null, { nowMs }: Fleet): Promise<Pin | null> => {
    if (account === null) return null;
    const pin = (await reachRedis(clock, readPins(redis))).pins.get(account) ?? null;
    return pin !== null && pinStands(pin, nowMs) ? pin : null;
  };

  asks('/release', 'Release', async (request, fleet) => {
    const { host, target } = parseInput(forms.targetQuery, request.query);
    const [account = null] = planRelease(fleet, host, target).accounts;
    return releasePage({
      session: sessionOf(request),
      host,
      target,
      row: rowOf(fleet, host, target),
      rows: rowsOf(fleet, host, target),
      account,
      pin: await pinOf(account, fleet),
      nowMs: fleet.nowMs,
    });
  });
  does('/release', async (body, operator) => {
    const { host, target, reason, keep } = parseInput(forms.releaseForm, body);
    return actions.carryOut(planRelease(await fleetNow(source), host, target), keep, { reason, operator });
  });

  asks('/release-host', 'Release a host', (request, fleet) => {
    const { host } = parseInput(forms.hostQuery, request.query);
    return releaseHostPage(sessionOf(request), knownHost(fleet, host), planReleaseHost(fleet, host));
  });
  does('/release-host', async (body, operator) => {
    const { host, reason, keep } = parseInput(forms.releaseHostForm, body);
    const fleet = await fleetNow(source);
    knownHost(fleet, host);
    return actions.carryOut(planReleaseHost(fleet, host), keep, { reason, operator });
  });

  asks('/release-fleet', 'Release the fleet', (request, fleet) =>
    releaseFleetPage(sessionOf(request), planReleaseFleet(fleet), fleet.hosts.length),
  );
  does('/release-fleet', async (body, operator) => {
    const { reason, keep } = parseInput(forms.releaseFleetForm, body);
    return actions.carryOut(planReleaseFleet(await fleetNow(source)), keep, { reason, operator });
  });

  asks('/exempt', 'Keep out', async (request, fleet) => {
    const { account } = parseInput(forms.accountQuery, request.query);
    const plan = planExempt(fleet, account);
    const pin = await pinOf(account, fleet);
    return exemptPage({ session: sessionOf(request), account, plan, pin, nowMs: fleet.nowMs });
  });
  does('/exempt', async (body, operator) => {
    const { account, reason, keep } = parseInput(forms.exemptForm, body);
    if (keep === null) throw new HobblerError('invalid-input', 'for how long?', { where: 'request.keep' });
    return actions.carryOut(planExempt(await fleetNow(source), account), keep, { reason, operator });
  });

  asks('/unexempt', 'Leave to the policy', async (request, fleet) => {
    const { account } = parseInput(forms.accountQuery, request.query);
    return unexemptPage(sessionOf(request), account, await pinOf(account, fleet), fleet.nowMs);
  });
  does('/unexempt', (body, operator) => {
    const { account, reason } = parseInput(forms.reasonForm.account, body);
    return actions.unexempt(account, { reason, operator });
  });

  asks('/tarpit', 'Tarpit by hand', async (request, fleet) => {
    const hosts = fleet.hosts.map(({ host }) => host);
    if (!isSecondStep(request)) return tarpitFormPage({ ...parseInput(forms.tarpitQuery, request.query), hosts });
    const wish = parseInput(forms.tarpitWish, request.query);
    const account = planTarpit(fleet, wish).orders[0]!.account;
    return tarpitPage({
      session: sessionOf(request),
      wish,
      account,
      rows: rowsOf(fleet, wish.host, wish.target),
      hosts: hostsFor(fleet, wish.host),
      pin: await pinOf(account, fleet),
      nowMs: fleet.nowMs,
    });
  });
  does('/tarpit', async (body, operator) => {
    const { reason, ...wish } = parseInput(forms.tarpitForm, body);
    return actions.carryOut(planTarpit(await fleetNow(source), wish), null, { reason, operator });
  });

  asks('/extend', 'Extend', (request, fleet) => {
    const { host, target } = parseInput(forms.targetQuery, request.query);
    return extendPage({ session: sessionOf(request), standing: mustStand(fleet, host, target), nowMs: fleet.nowMs });
  });
  does('/extend', async (body, operator) => {
    const { host, target, for: forMs, reason } = parseInput(forms.extendForm, body);
    const fleet = await fleetNow(source);
    return actions.carryOut(planExtend(fleet, mustStand(fleet, host, target), forMs), null, { reason, operator });
  });

  asks('/hold', 'Hold', (request, fleet) => {
    const { host } = parseInput(forms.holdQuery, request.query);
    return holdPage(sessionOf(request), host, hostsFor(fleet, host));
  });
  asks('/unhold', 'Lift a hold', (request, fleet) => {
    const { host } = parseInput(forms.holdQuery, request.query);
    return unholdPage(sessionOf(request), host, hostsFor(fleet, host));
  });
  const holds = (path: string, act: (host: string, why: Why) => Promise<Begun>) =>
    does(path, (body, operator) => {
      const { host, reason } = parseInput(forms.holdForm, body);
      return act(host, { reason, operator });
    });
  holds('/hold', (host, why) => actions.hold(host, why));
  holds('/unhold', (host, why) => actions.unhold(host, why));

  asks('/remove-host', 'Remove a host', (request, fleet) => {
    const { host } = parseInput(forms.hostQuery, request.query);
    return removeHostPage(sessionOf(request), knownHost(fleet, host), fleet.nowMs);
  });
  does('/remove-host', (body, operator) => {
    const { host, reason } = parseInput(forms.reasonForm.host, body);
    return actions.removeHost(host, { reason, operator });
  });
}

/** The form for a tarpit leads to itself, with `step=look`, once it is filled in. */
function isSecondStep({ query }: FastifyRequest): boolean {
  return (query as { step?: unknown }).step === 'look';
}

/** The fleet to act on. Nobody acts on what was seen before Redis went away. */
async function fleetNow(source: FleetSource): Promise<Fleet> {
  const answer = await source.readAnew();
  if (answer.redis === 'here') return answer.fleet;
  throw new HobblerError('redis-unavailable', `Redis is away (${answer.why})`, {
    hint: 'try again when it is back; on a host, hobbler release-all works without it',
  });
}

function hostsFor(fleet: Fleet, host: string): HostRow[] {
  return host === FLEET ? fleet.hosts : fleet.hosts.filter((row) => row.host === host);
}

function knownHost(fleet: Fleet, host: string): HostRow {
  const row = fleet.hosts.find((one) => one.host === host);
  if (row) return row;
  throw new HobblerError('not-found', 'no such host', { where: host, hint: 'hosts appear when their worker starts' });
}

function mustStand(fleet: Fleet, host: string, target: string) {
  const standing = standingTarpit(fleet, host, target);
  if (standing !== null) return standing;
  throw new HobblerError('not-found', 'no tarpit stands there that could be extended', {
    where: `${target} on ${host}`,
    hint: 'it has ended or was released; tarpit it anew',
  });
}

function sendPage(request: FastifyRequest, reply: FastifyReply, title: string, body: Html): FastifyReply {
  const session = sessionOf(request);
  return reply.type('text/html; charset=utf-8').send(layout({ title, body, session, section: 'fleet' }));
}

/**
 * How a route gives an open page its stream of events. A stream passes the gate like a page, counts as no sign of a
 * person, and ends with its session.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SESSION_COOKIE, sessionOf } from '../access/gate.ts';
import type { Sessions } from '../access/sessions.ts';
import type { LiveHub, View } from '../live/hub.ts';
import { draw } from '../live/patch.ts';
import type { Live } from '../views/layout.ts';
import type { Part } from '../views/part.ts';
import { eventsQuery, parseInput } from './input.ts';

/** Of a route that answers with a stream. No HEAD: it would open one that nobody reads. */
export const EVENTS = { config: { isPassive: true }, exposeHeadRoute: false } as const;

/** Answers with a stream of what changes in a view. Throws bound-exceeded when too many are open. */
export type SendEvents = (request: FastifyRequest, reply: FastifyReply, view: View) => FastifyReply;

export function eventSender(hub: LiveHub, sessions: Sessions): SendEvents {
  return (request, reply, view) => {
    const session = sessionOf(request);
    const token = request.cookies[SESSION_COOKIE];
    // A proxy's word is for one request; then it is asked anew when the stream ends of age.
    const isByCookie = sessions.find(token, false) === session;
    const seen = request.headers['last-event-id'] ?? parseInput(eventsQuery, request.query).have;
    const body = hub.open(view, {
      name: session.user,
      isWelcome: () => !isByCookie || sessions.find(token, false) === session,
      shownDigest: typeof seen === 'string' ? seen : null,
    });
    // A proxy that gathers answers would hold the events back.
    return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(body);
  };
}

/** What a page says of its stream. */
export function liveOf(href: string, parts: readonly Part[], nowMs: number): Live {
  return { href, digest: draw(parts).digest, nowMs };
}

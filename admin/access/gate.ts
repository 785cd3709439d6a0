/**
 * The gate before every route: who may pass. A route says what it needs in its config (`access`); one that says nothing
 * needs a login, so a forgotten line closes a door rather than opens it. Forms must come from our own pages: same
 * origin, and with the session's CSRF token.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HobblerError } from '../../shared/errors.ts';
import type { ProxyLogin } from './proxy-login.ts';
import { type Session, type Sessions, secretsMatch } from './sessions.ts';

/** `open`: anyone. `viewer`: logged in. `operator`: may act. `scraper`: logged in, or with the metrics token. */
export type Access = 'open' | 'viewer' | 'operator' | 'scraper';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Asked by an open page by itself: no sign of a person. */
    isPassive?: boolean;
  }
  interface FastifyRequest {
    session: Session | null;
  }
}

export const SESSION_COOKIE = 'hobbler_session';
/** A page that refreshes itself says so with this header; that is no sign of a person. */
export const REFRESH_HEADER = 'x-hobbler-refresh';

export interface GateOptions {
  sessions: Sessions;
  /** Null: nobody's word but a password counts. */
  proxyLogin: ProxyLogin | null;
  metricsToken: string | null;
}

/** Hangs the gate before all routes of `app`, those of plugins registered later and unknown paths included. */
export function hangGate(app: FastifyInstance, { sessions, proxyLogin, metricsToken }: GateOptions): void {
  app.decorateRequest('session', null);

  app.addHook('onRequest', async (request, reply) => {
    const vouched = proxyLogin?.vouch(request.raw.socket.remoteAddress, request.headers) ?? { is: 'absent' };
    const token = request.cookies[SESSION_COOKIE];
    const { access = 'viewer', isPassive = false } = request.routeOptions.config;
    // Whom the proxy names is who it is, whatever cookie he brings.
    if (vouched.is === 'known') request.session = vouched.session;
    else if (vouched.is === 'absent')
      request.session = sessions.find(token, !isPassive && request.headers[REFRESH_HEADER] === undefined);
    if (isUnsafe(request)) refuseOtherOrigins(request);
    if (access === 'open') return;
    if (access === 'scraper' && metricsToken !== null && hasBearer(request, metricsToken)) return;
    if (vouched.is === 'refused') {
      throw new HobblerError('denied', vouched.why, {
        hint: 'admin.proxyLogin in the config file says who has which role',
      });
    }
    if (request.session === null) return askForLogin(request, reply);
    if (access === 'operator' && request.session.role !== 'operator') {
      throw new HobblerError('denied', `${request.session.user} is a viewer and cannot act`, {
        hint: 'ask an operator, or give this user the role operator in the config file',
      });
    }
  });

  // The body is parsed only after onRequest, so the token in it is checked here.
  app.addHook('preHandler', async (request) => {
    const isOpen = request.routeOptions.config.access === 'open';
    if (isOpen || !isUnsafe(request) || request.session === null || !isForm(request)) return;
    if (!secretsMatch((request.body as Record<string, unknown> | undefined)?.csrf, request.session.csrf)) {
      throw new HobblerError('denied', 'this form is not of your session', {
        hint: 'go back, reload the page and send it again',
      });
    }
  });
}

/** The session that the gate let through. */
export function sessionOf(request: FastifyRequest): Session {
  if (request.session === null) throw new HobblerError('unauthorized', 'log in first');
  return request.session;
}

/** True for addresses whose readers are programs: they get statuses and JSON, not pages. */
export function isForPrograms(request: FastifyRequest): boolean {
  return /^\/(?:api|events|metrics|queues\/api)(?:[/?]|$)/.test(request.url);
}

function isUnsafe(request: FastifyRequest): boolean {
  return request.method !== 'GET' && request.method !== 'HEAD';
}

/** bull-board's own calls are JSON, which no foreign page can send without a preflight; ours are forms. */
function isForm(request: FastifyRequest): boolean {
  return !isForPrograms(request);
}

/**
 * Browsers send Origin with every POST. A program that sends none (curl) has no session cookie to abuse, except on
 * bull-board's calls, which carry no token and therefore must name their origin.
 */
function refuseOtherOrigins(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (origin === undefined && !isForPrograms(request)) return;
  if (origin !== undefined && originHost(origin) === request.host.toLowerCase()) return;
  throw new HobblerError('denied', 'this request comes from another site', {
    expected: `Origin ${request.protocol}://${request.host}`,
    got: origin ?? 'none',
    hint: 'behind a proxy, let it pass the Host header on or list it in admin.http.trustedProxies',
  });
}

/** Only the host is compared: a proxy may speak TLS to the browser and plain HTTP to us. */
function originHost(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}

function hasBearer(request: FastifyRequest, token: string): boolean {
  const match = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '');
  return match !== null && secretsMatch(match[1], token);
}

function askForLogin(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (isForPrograms(request)) throw new HobblerError('unauthorized', 'log in first');
  const next = request.method === 'GET' && request.url !== '/' ? `?next=${encodeURIComponent(request.url)}` : '';
  return reply.redirect(`/login${next}`, 303);
}

/** Where to go after a login: a path on this site, or the fleet page. */
export function localPath(next: unknown): string {
  return typeof next === 'string' && next.length <= 2048 && /^\/(?![/\\])[^\p{Cc}\\]*$/u.test(next) ? next : '/';
}

/**
 * Logging in and out. Bounds guessing by address and per minute, and the number of passwords hashed at a time, since
 * each costs 32 MiB; a wrong name takes as long as a wrong password. Logs who failed, never with what.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { HobblerError, quote } from '../../shared/errors.ts';
import { localPath, SESSION_COOKIE, sessionOf } from '../access/gate.ts';
import type { ProxyLogin } from '../access/proxy-login.ts';
import { ABSOLUTE_LIMIT_MS, type Sessions } from '../access/sessions.ts';
import type { AdminConfig } from '../config.ts';
import { MAX_PASSWORD_CHARS, verifyPassword } from '../password.ts';
import { layout } from '../views/layout.ts';
import { loginPage } from '../views/login-page.ts';

/** Passwords checked at a time; more wait outside. */
const MAX_CHECKS = 4;

const credentials = z.object({
  name: z.string().max(64),
  password: z.string().max(MAX_PASSWORD_CHARS),
  next: z.string().max(2048).optional(),
});

export function addLoginRoutes(
  app: FastifyInstance,
  config: AdminConfig,
  sessions: Sessions,
  proxyLogin: ProxyLogin | null,
): void {
  const { secureCookie, loginsPerMinute } = config.http;
  const users = new Map(config.users.map((user) => [user.name, user]));
  let checks = 0;

  app.get<{ Querystring: { next?: unknown } }>('/login', { config: { access: 'open' } }, async (request, reply) => {
    const next = localPath(request.query.next);
    if (request.session) return reply.redirect(next, 303);
    return sendPage(reply, loginPage({ next }));
  });

  const limited = { access: 'open', rateLimit: { max: loginsPerMinute, timeWindow: 60_000 } } as const;
  app.post('/login', { config: limited }, async (request, reply) => {
    const parsed = credentials.safeParse(request.body);
    if (!parsed.success) {
      return sendPage(reply.status(400), loginPage({ next: '/', fault: 'Give a name and a password.' }));
    }
    const { name, password } = parsed.data;
    const next = localPath(parsed.data.next);
    if (checks >= MAX_CHECKS) {
      throw new HobblerError('bound-exceeded', 'too many people log in at this moment', {
        hint: 'try again in a second',
      });
    }
    const user = users.get(name);
    checks++;
    const isRight = await verifyPassword(password, user?.password).finally(() => checks--);
    if (!user || !isRight) {
      request.log.warn({ user: quote(name), address: request.ip }, 'login refused');
      return sendPage(reply.status(401), loginPage({ next, name, fault: 'Wrong name or password.' }));
    }
    sessions.close(request.cookies[SESSION_COOKIE]);
    const { token } = sessions.open(user.name, user.role);
    request.log.info({ user: user.name, role: user.role, address: request.ip }, 'logged in');
    return reply
      .setCookie(SESSION_COOKIE, token, {
        path: '/',
        httpOnly: true,
        sameSite: 'strict',
        secure: secureCookie,
        maxAge: ABSOLUTE_LIMIT_MS / 1000,
      })
      .redirect(next, 303);
  });

  app.post('/logout', async (request, reply) => {
    if (sessionOf(request).via === 'proxy') {
      const { logoutPath } = proxyLogin!;
      if (logoutPath !== undefined) return reply.redirect(logoutPath, 303);
      throw new HobblerError('invalid-input', 'the proxy in front has logged you in', { hint: 'log out there' });
    }
    sessions.close(request.cookies[SESSION_COOKIE]);
    return reply.clearCookie(SESSION_COOKIE, { path: '/' }).redirect('/login', 303);
  });
}

function sendPage(reply: FastifyReply, body: ReturnType<typeof loginPage>): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(layout({ title: 'Log in', body, session: null }));
}

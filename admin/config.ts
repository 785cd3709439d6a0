/**
 * The `admin` section of hobbler.yaml, and the operator that the environment may name. Owns who may log in; refuses an
 * admin without any user, because no door but health may be open without a credential. Its messages never repeat a
 * password, a hash or a token: those are checked on the object around them, whose value messages do not quote.
 */
import { z } from 'zod';
import { loadSection } from '../shared/config.ts';
import type { Environment } from '../shared/environment.ts';
import { HobblerError } from '../shared/errors.ts';
import { proxyLoginSchema } from './access/proxy-login.ts';
import { userName, userRoles } from './access/users.ts';
import { hashPasswordSync, isPasswordHash, PASSWORD_FORM } from './password.ts';

const user = z
  .strictObject({ name: userName, role: z.enum(userRoles), password: z.unknown() })
  .transform(({ password, ...rest }, context) => {
    if (typeof password === 'string' && isPasswordHash(password)) return { ...rest, password };
    context.addIssue({ code: 'custom', message: `password: expected ${PASSWORD_FORM}; make one with: hobbler passwd` });
    return z.NEVER;
  });
export type User = z.output<typeof user>;

/** A bearer token shorter than this can be guessed. */
const MIN_TOKEN_CHARS = 16;

export const adminSchema = z
  .strictObject({
    http: z
      .strictObject({
        host: z.string().min(1).default('127.0.0.1'),
        port: z.int().min(0).max(65_535).default(8080),
        /** Send the session cookie over HTTPS only. Set it when a proxy with TLS stands in front. */
        secureCookie: z.boolean().default(false),
        /** Addresses or CIDRs of proxies whose X-Forwarded-* headers are believed. */
        trustedProxies: z.array(z.string().min(1)).max(32).default([]),
        /** Tries to log in that one address has per minute. */
        loginsPerMinute: z.int().min(1).max(10_000).default(10),
        /** Requests that one address has per minute: a page that refreshes itself makes 30, so behind a proxy mind trustedProxies. */
        requestsPerMinute: z.int().min(1).max(1_000_000).default(3_000),
      })
      .prefault({}),
    users: z.array(user).max(1_000).default([]),
    /** A single sign-on in front: whose word on who somebody is counts. */
    proxyLogin: proxyLoginSchema.optional(),
    /** Bearer token with which a scraper may read /metrics without a login. */
    metricsToken: z.unknown().optional(),
  })
  .transform(({ metricsToken, ...rest }, context) => {
    const names = rest.users.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) context.addIssue({ code: 'custom', message: `users: ${twice} stands there twice` });
    if (metricsToken === undefined) return { ...rest, metricsToken: null };
    if (typeof metricsToken === 'string' && metricsToken.length >= MIN_TOKEN_CHARS) return { ...rest, metricsToken };
    context.addIssue({
      code: 'custom',
      message: `metricsToken: expected text of at least ${MIN_TOKEN_CHARS} characters`,
    });
    return z.NEVER;
  });
export type AdminConfig = z.output<typeof adminSchema>;

/** The config file's section with the environment's operator added. Throws invalid-config. */
export function loadAdminConfig(path: string | undefined, environment: Environment): AdminConfig {
  const config = withEnvironmentUser(loadSection(path, 'admin', adminSchema), environment);
  requireUsers(config);
  return config;
}

/** HOBBLER_ADMIN_USER and HOBBLER_ADMIN_PASSWORD make one operator, who takes the place of a user of that name. */
export function withEnvironmentUser(config: AdminConfig, environment: Environment): AdminConfig {
  const { adminUser, adminPassword } = environment;
  if (adminUser === undefined && adminPassword === undefined) return config;
  const name = userName.safeParse(adminUser ?? '');
  if (!name.success || adminPassword === undefined) {
    throw new HobblerError('invalid-config', 'the first operator is incomplete', {
      where: 'HOBBLER_ADMIN_USER, HOBBLER_ADMIN_PASSWORD',
      expected: 'both, the name being 1 to 64 of A-Z a-z 0-9 _ . @ -',
    });
  }
  const operator: User = { name: name.data, role: 'operator', password: hashPasswordSync(adminPassword) };
  return { ...config, users: [...config.users.filter((one) => one.name !== operator.name), operator] };
}

/** Throws invalid-config when nobody could come in. */
export function requireUsers(config: AdminConfig): void {
  if (config.users.length > 0 || config.proxyLogin !== undefined) return;
  throw new HobblerError('invalid-config', 'nobody could log in', {
    where: 'admin.users',
    expected: 'at least one user, or admin.proxyLogin',
    hint: 'set HOBBLER_ADMIN_USER and HOBBLER_ADMIN_PASSWORD, or put a user with the hash that `hobbler passwd` makes into the config file',
  });
}

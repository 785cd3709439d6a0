/**
 * Who a proxy says that somebody is, for a single sign-on in front of the admin. Owns whose word counts: only what comes
 * over a connection from a configured address, never what a forwarded header claims of an address. There is no cookie:
 * each request says anew who it is, so who is logged out there is logged out here. What a proxy says that cannot be is
 * refused, never taken for nobody.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { quote } from '../../shared/errors.ts';
import type { Session } from './sessions.ts';
import { type UserRole, userName } from './users.ts';

const address = z
  .string()
  .refine(isAddress, 'expected an address or a network such as 10.0.0.0/8; one that is everybody is refused');
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header')
  .transform((name) => name.toLowerCase());
const names = z.array(z.string().min(1).max(256)).max(1_000).default([]);
const people = z.strictObject({ users: names, groups: names });

export const proxyLoginSchema = z.strictObject({
  /** Addresses or CIDRs from which the proxy connects. It must set both headers itself, and drop what clients send. */
  from: z.array(address).min(1, 'expected at least one address').max(32),
  userHeader: headerName.prefault('X-Forwarded-User'),
  /** Names of groups, separated by commas, semicolons or bars. */
  groupsHeader: headerName.prefault('X-Forwarded-Groups'),
  operators: people.prefault({}),
  viewers: z.union([z.literal('everyone'), people], 'expected everyone, or { users, groups }').prefault({}),
  /** A path on this site where the proxy logs people out, such as /oauth2/sign_out. */
  logoutPath: z
    .string()
    .regex(/^\/(?![/\\])[\w./?=&%-]{0,200}$/, 'expected a path such as /oauth2/sign_out')
    .optional(),
});
export type ProxyLoginSettings = z.output<typeof proxyLoginSchema>;

/** `absent`: the request is not vouched for. `refused`: it is, for nobody who may come in. */
export type Vouched = { is: 'absent' } | { is: 'known'; session: Session } | { is: 'refused'; why: string };

/** People whose form tokens are remembered; past it the one who came first gets a new one. */
const MAX_PEOPLE = 1_000;
const TOKEN_BYTES = 32;

export class ProxyLogin {
  readonly #settings: ProxyLoginSettings;
  readonly #from = new BlockList();
  readonly #sessions = new Map<string, Session>();

  constructor(settings: ProxyLoginSettings) {
    this.#settings = settings;
    for (const text of settings.from) {
      const [base, bits] = text.split('/') as [string, string | undefined];
      const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#from.addAddress(base, family);
      else this.#from.addSubnet(base, Number(bits), family);
    }
  }

  get logoutPath(): string | undefined {
    return this.#settings.logoutPath;
  }

  /** `peer`: the address at the other end of the connection. */
  vouch(peer: string | undefined, headers: IncomingHttpHeaders): Vouched {
    const { userHeader, groupsHeader } = this.#settings;
    const name = headers[userHeader];
    if (name === undefined || peer === undefined || !this.#isTrusted(peer)) return { is: 'absent' };
    const parsed = userName.safeParse(name);
    if (!parsed.success) return { is: 'refused', why: `the proxy names a user that cannot be: ${quote(name)}` };
    const groups = String(headers[groupsHeader] ?? '')
      .split(/[,;|]/)
      .map((group) => group.trim());
    const role = this.#roleOf(parsed.data, groups);
    if (role === null) return { is: 'refused', why: `${parsed.data} has no role here` };
    return { is: 'known', session: this.#sessionOf(parsed.data, role) };
  }

  #isTrusted(peer: string): boolean {
    // A socket that takes both families says 4 as 6.
    const plain = peer.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
    const family = isIP(plain);
    return family !== 0 && this.#from.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  }

  #roleOf(user: string, groups: readonly string[]): UserRole | null {
    const { operators, viewers } = this.#settings;
    const isOne = (of: { users: string[]; groups: string[] }) =>
      of.users.includes(user) || groups.some((group) => of.groups.includes(group));
    if (isOne(operators)) return 'operator';
    return viewers === 'everyone' || isOne(viewers) ? 'viewer' : null;
  }

  /** The same for everything that somebody does in one role, so that a form of his is his. */
  #sessionOf(user: string, role: UserRole): Session {
    const key = `${role} ${user}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_PEOPLE) this.#sessions.delete(oldest!);
    const csrf = randomBytes(TOKEN_BYTES).toString('base64url');
    const session: Session = { user, role, csrf, via: 'proxy' };
    this.#sessions.set(key, session);
    return session;
  }
}

function isAddress(text: string): boolean {
  const [base = '', bits, ...rest] = text.split('/');
  const family = isIP(base);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  // Whoever can connect could then name himself.
  return /^\d{1,3}$/.test(bits) && Number(bits) > 0 && Number(bits) <= (family === 6 ? 128 : 32);
}

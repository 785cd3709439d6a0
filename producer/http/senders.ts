/**
 * Who may use the HTTP door, as the config lists them: a name, a bearer token, what it may do, and how much. Owns the
 * written form and its checks; no message ever repeats a token.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { HobblerError, messageOf } from '../../shared/errors.ts';

/** What a token may do. */
export const SCOPES = {
  'readings:write': 'hand in readings',
  'orders:write': 'give orders directly',
  'accounts:read': 'ask why an account is slow',
  'metrics:read': "read the producer's own figures",
} as const;
export type Scope = keyof typeof SCOPES;
export const ALL_SCOPES: readonly Scope[] = Object.keys(SCOPES) as Scope[];

/** One sender. */
export interface SenderConfig {
  /** For logs, limits and messages. */
  name: string;
  /** Undefined until `readTokenFiles` has read it. */
  token?: string | undefined;
  tokenFile?: string | undefined;
  scopes: readonly Scope[];
  /** Absent: no limit beside the general ones. */
  readingsPerMinute?: number | undefined;
}

/** A bearer token shorter than this can be guessed. */
const MIN_TOKEN_CHARS = 16;
export const TOKEN_FORM = `expected text of ${MIN_TOKEN_CHARS} to 512 printable characters without spaces`;

export function isGoodToken(token: unknown): token is string {
  return (
    typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) && token.length >= MIN_TOKEN_CHARS && token.length <= 512
  );
}

const entrySchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'expected a name of [a-z0-9._-], at most 64 characters'),
  // Checked by hand, since a message of zod may repeat what it was given.
  token: z.unknown().optional(),
  tokenFile: z.string().startsWith('/', 'expected an absolute path').optional(),
  scopes: z.array(z.enum(ALL_SCOPES)).min(1),
  readingsPerMinute: z.int().min(1).max(1_000_000_000).optional(),
});

/** The list as it stands in the config: plain texts are tokens that may do everything. Says what is wrong with the first bad one. */
export function parseSenders(entries: readonly unknown[]): { senders: SenderConfig[] } | { fault: string } {
  const senders: SenderConfig[] = [];
  for (const [index, entry] of entries.entries()) {
    if (typeof entry === 'string') {
      if (!isGoodToken(entry)) return { fault: TOKEN_FORM };
      senders.push({ name: `token-${index + 1}`, token: entry, scopes: ALL_SCOPES });
      continue;
    }
    const parsed = entrySchema.safeParse(entry);
    const where = `[${index}]`;
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      return { fault: `${where}${issue!.path.map((part) => `.${String(part)}`).join('')}: ${issue!.message}` };
    }
    const { token, ...rest } = parsed.data;
    if ((token === undefined) === (rest.tokenFile === undefined))
      return { fault: `${where}: expected token or tokenFile` };
    if (token !== undefined && !isGoodToken(token)) return { fault: `${where}.token: ${TOKEN_FORM}` };
    senders.push(token === undefined ? rest : { ...rest, token });
  }
  const twice = senders.find(({ name }, index) => senders.findIndex((other) => other.name === name) < index);
  return twice ? { fault: `two are named ${twice.name}` } : { senders };
}

/** Reads the tokens that stand in files, and checks that no two are the same. Throws invalid-config. */
export function readTokenFiles(senders: readonly SenderConfig[]): void {
  for (const sender of senders) {
    if (sender.tokenFile === undefined) continue;
    const where = `producer.http.tokens (${sender.tokenFile})`;
    try {
      sender.token = readFileSync(sender.tokenFile, 'utf8').trim();
    } catch (error) {
      throw new HobblerError('invalid-config', `cannot be read (${messageOf(error)})`, { where });
    }
    if (!isGoodToken(sender.token))
      throw new HobblerError('invalid-config', 'not fit as a token', { where, hint: TOKEN_FORM });
  }
  // With two, it would be by chance what the token may do.
  const [twice] = senders.filter(({ token }, index) => senders.findIndex((other) => other.token === token) < index);
  if (twice) {
    throw new HobblerError('invalid-config', 'two have the same token', {
      where: 'producer.http.tokens',
      got: [senders.find(({ token }) => token === twice.token)!.name, twice.name],
    });
  }
}

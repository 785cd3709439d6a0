/**
 * What Redis, TLS and the network say when a connection does not come about or a command is refused, in words that say
 * what to do. Owns the texts alone; whether to wait or to give up is decided by who asked.
 */
import { HobblerError } from '../errors.ts';

/** The reply of a server that refused a command, as ioredis makes it. */
interface ReplyError extends Error {
  command?: { name: string; args: unknown[] };
}

/** How much of a key a message shows. */
const MAX_KEY_CHARS = 120;
const MAX_KEYS = 4;

/**
 * Called with every error that Redis answers, before anybody sees it. Rewords a refusal by the ACL so that it names
 * command and keys, wherever it comes to light; and takes credentials out of the error, which a log may show whole.
 */
export function rewordReply(error: Error): void {
  const reply = error as ReplyError;
  const { command } = reply;
  if (!command) return;
  if (/^(?:auth|hello)$/i.test(command.name)) command.args = ['***'];
  if (isNotPermitted(error)) error.message = describeNotPermitted(error.message, command.name, command.args);
}

/** The name of the command that an error of Redis answers. */
export function commandOf(error: Error): string {
  return (error as ReplyError).command?.name ?? 'unknown';
}

/** Refusals by the ACL: of a command itself, and of one inside a script (which Redis 7.0 reports as ERR). */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && /^NOPERM\b|^ERR The user executing the script can't\b/.test(error.message);
}

/** Credentials that are wrong, or missing. */
export function isUnauthenticated(error: unknown): boolean {
  const message = typeof error === 'string' ? error : error instanceof Error ? error.message : '';
  return /\b(?:WRONGPASS|NOAUTH)\b|without any password configured/.test(message);
}

/**
 * Whether waiting may help: Redis is away, full, loading, or a replica for now. It does not where Redis refuses us, where
 * the configuration is at fault, or where we are.
 */
export function mayPass(error: unknown): boolean {
  if (error instanceof HobblerError) return error.code === 'redis-unavailable';
  if (isNotPermitted(error) || isUnauthenticated(error)) return false;
  const isOurs = [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
  return error instanceof Error && !isOurs;
}

function describeNotPermitted(message: string, name: string, args: readonly unknown[]): string {
  // Reworded already: a reply that is passed on to a second reader.
  if (message.includes('hobbler acl')) return message;
  const keys = args.map(String).filter((arg) => /^\{?hobbler[:}]/.test(arg));
  const shown = keys
    .slice(0, MAX_KEYS)
    .map((key) => (key.length > MAX_KEY_CHARS ? `${key.slice(0, MAX_KEY_CHARS)}…` : key));
  const where = shown.length === 0 ? '' : ` on ${shown.join(', ')}${keys.length > MAX_KEYS ? ', …' : ''}`;
  const what = message.replace(/^(?:NOPERM|ERR)\s+/, '').replace(/ script: [0-9a-f]{40}.*$/s, '');
  return `NOPERM Redis refuses ${name.toUpperCase()}${where} to this user (${what}); what its ACL must allow is printed by: hobbler acl`;
}

const FOREIGN = 'is signed by an authority that is not in redis.tls.ca';
const NO_TLS = 'the server does not speak TLS on that port; use its tls-port, or redis://';

/** What is said of errors of TLS, by Node's code. */
const TLS_TROUBLE: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted('is signed by itself'),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted(FOREIGN),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted(FOREIGN),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted(FOREIGN),
  UNABLE_TO_GET_ISSUER_CERT: untrusted(FOREIGN),
  CERT_SIGNATURE_FAILURE: untrusted('is not signed by the authority in redis.tls.ca'),
  CERT_HAS_EXPIRED: "TLS: the server's certificate, or its authority's, has expired; renew it on the server",
  CERT_NOT_YET_VALID: "TLS: the server's certificate is not valid yet; look at this machine's clock",
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
};

/** Alerts that the server sends about our side, by OpenSSL's words: the codes changed their names between versions. */
const TLS_ALERTS: [RegExp, string][] = [
  [
    /alert certificate required|alert handshake failure/,
    'TLS: the server asks for a certificate of ours; set redis.tls.cert and redis.tls.key',
  ],
  [/alert certificate expired/, 'TLS: our certificate (redis.tls.cert) has expired'],
  [/alert unknown ca/, 'TLS: the server does not know who signed our certificate (redis.tls.cert)'],
  [
    /alert (?:bad|unsupported|revoked|unknown) certificate|alert certificate (?:revoked|unknown)/,
    'TLS: the server does not take our certificate (redis.tls.cert)',
  ],
];

function untrusted(why: string): string {
  return `TLS: the server's certificate ${why}; set redis.tls.ca to the file of the authority that signed it`;
}

/** An error of a connection, in words that say what to do; its own message where nothing better is known. */
export function describeTrouble(error: Error, isTls: boolean): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = (error as { cert?: { subjectaltname?: string } }).cert?.subjectaltname ?? 'none is given';
    return `TLS: the server's certificate is for another name (${names}); correct the URL, or set redis.tls.serverName`;
  }
  const known = TLS_TROUBLE[code ?? ''] ?? TLS_ALERTS.find(([pattern]) => pattern.test(message))?.[1];
  if (known !== undefined) return known;
  // A Redis that is spoken to in the wrong way waits for the end of a line, or ends the connection: nothing tells why.
  if (isTls && code === 'ETIMEDOUT') return `${message}; where it does not speak TLS on that port, use redis://`;
  if (!isTls && code === 'ECONNRESET') return `${message}; where it speaks TLS on that port, use rediss://`;
  return message;
}

/** The error for a Redis whose answer will not change by waiting: credentials, or the ACL. Undefined for other trouble. */
export function refusedByRedis(error: unknown, why: string, where: string): HobblerError | undefined {
  if (isUnauthenticated(why) || isUnauthenticated(error)) {
    return new HobblerError('redis-misconfigured', `does not take these credentials (${why})`, {
      where,
      hint: 'set user and password in the URL, rediss://USER:PASSWORD@HOST; what the user needs is printed by: hobbler acl',
    });
  }
  if (isNotPermitted(error)) return new HobblerError('redis-misconfigured', (error as Error).message, { where });
  return undefined;
}

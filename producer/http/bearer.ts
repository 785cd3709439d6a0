/**
 * Bearer tokens: who may use the door, and for what. Owns the comparison, which takes the same time for every token and
 * every guess. With no token at all the door is open, and then only to who addresses this machine by a loopback name: a
 * web page that had its own name point here (DNS rebinding) is refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import { Allowance } from '../admission/allowance.ts';
import { isLoopbackName } from '../config.ts';
import { ALL_SCOPES, type Scope, type SenderConfig } from './senders.ts';

/** Who has sent a request. */
export interface Sender {
  name: string;
  scopes: readonly Scope[];
  /** Undefined: he may send as much as there is room for. */
  allowance: Allowance | undefined;
}

/** Returns who it is. Throws unauthorized for a stranger, denied for who may not do that. */
export type Gate = (request: FastifyRequest, scope: Scope | undefined) => Sender;

const ANYBODY: Sender = { name: 'anybody', scopes: ALL_SCOPES, allowance: undefined };

/** The gate for these senders. */
export function bearerGate(senders: readonly SenderConfig[], clock: Clock): Gate {
  const known = senders.flatMap(({ name, token, scopes, readingsPerMinute }) => {
    const allowance = readingsPerMinute === undefined ? undefined : new Allowance(readingsPerMinute, clock);
    return token === undefined ? [] : { digest: digest(token), sender: { name, scopes, allowance } };
  });
  return (request, scope) => {
    const sender = known.length === 0 ? anybodyHere(request) : senderOf(request, known);
    if (scope === undefined || sender.scopes.includes(scope)) return sender;
    throw new InsufficientScope(sender.name, scope);
  };
}

/** A token that is known, and does not go so far. */
export class InsufficientScope extends HobblerError {
  readonly scope: Scope;

  constructor(sender: string, scope: Scope) {
    super('denied', `the token of ${sender} may not do that`, {
      hint: `it needs the scope ${scope} in producer.http.tokens`,
    });
    this.scope = scope;
  }
}

function anybodyHere(request: FastifyRequest): Sender {
  if (isLoopbackName(request.hostname.replace(/^\[|\]$/g, ''))) return ANYBODY;
  throw new HobblerError('denied', 'without a token, only requests to localhost are taken', {
    where: 'Host',
    got: request.hostname,
  });
}

function senderOf(request: FastifyRequest, known: readonly { digest: Buffer; sender: Sender }[]): Sender {
  const [, given] = /^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '') ?? [];
  if (given === undefined) {
    throw new HobblerError('unauthorized', 'no token', { expected: 'Authorization: Bearer TOKEN' });
  }
  const asked = digest(given);
  let found: Sender | undefined;
  // All of them, so that it takes as long for every one.
  for (const { digest: own, sender } of known) if (timingSafeEqual(own, asked)) found = sender;
  if (!found) throw new HobblerError('unauthorized', 'that token is not known here');
  return found;
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/**
 * Bearer tokens: who may use the door. Owns the comparison, which takes the same time for every token and every guess.
 * With no token at all the door is open, and then only to who addresses this machine by a loopback name: a web page
 * that had its own name point here (DNS rebinding) is refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { HobblerError } from '../../shared/errors.ts';
import { isLoopbackName } from '../config.ts';

export type Gate = (request: FastifyRequest) => void;

/** A check that throws unauthorized or denied for who may not come in. */
export function bearerGate(tokens: readonly string[]): Gate {
  const digests = tokens.map(digest);
  return (request) => {
    if (digests.length === 0) {
      if (isLoopbackName(request.hostname.replace(/^\[|\]$/g, ''))) return;
      throw new HobblerError('denied', 'without a token, only requests to localhost are taken', {
        where: 'Host',
        got: request.hostname,
      });
    }
    const [, given] = /^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (given === undefined) {
      throw new HobblerError('unauthorized', 'no token', { expected: 'Authorization: Bearer TOKEN' });
    }
    const asked = digest(given);
    let isKnown = false;
    for (const known of digests) isKnown = timingSafeEqual(known, asked) || isKnown;
    if (!isKnown) throw new HobblerError('unauthorized', 'that token is not known here');
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

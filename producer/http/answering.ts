/**
 * How a route that changes something answers: once for each Idempotency-Key, within a bound, and for a sender who still
 * listens. Owns those three; what is done is the route's.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { within } from '../../shared/clock.ts';
import { needingRedis, unavailable } from '../redis-trouble.ts';
import type { Behind } from './door.ts';
import type { HttpAnswer } from './idempotency.ts';

/** A sender is not kept waiting for longer; what is written later all the same does no harm, as readings repeat. */
const ANSWER_LIMIT_MS = 10_000;

/** Sends what `work` comes to. `work` is given a signal that is aborted when nobody waits for its answer any more. */
export async function answerOnce(
  { redis, idempotency, clock }: Pick<Behind, 'redis' | 'idempotency' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (signal: AbortSignal) => Promise<HttpAnswer>,
): Promise<FastifyReply> {
  const waiting = new AbortController();
  reply.raw.once('close', () => waiting.abort());
  const key = request.headers['idempotency-key'];
  const carryOut = async () => {
    if (key === undefined) return { ...(await work(waiting.signal)), isRepeated: false };
    const { sender, bodyDigest = '' } = request;
    const keyed = { sender: sender?.name ?? '', path: request.routeOptions.url ?? '', key: String(key), bodyDigest };
    return idempotency.once(keyed, () => work(waiting.signal));
  };
  const answer = await within(clock, ANSWER_LIMIT_MS, needingRedis(redis, carryOut));
  if (!answer.done) {
    waiting.abort();
    throw unavailable('it takes too long');
  }
  const { status, body, isRepeated } = answer.value;
  if (isRepeated) reply.header('idempotency-replayed', 'true');
  return reply.code(status).send(body);
}

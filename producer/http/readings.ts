/** POST /v1/readings. Owns what a batch is and what is answered; an answer of 200 means that it is written down. */
import type { FastifyInstance } from 'fastify';
import { HobblerError } from '../../shared/errors.ts';
import { parseReading, parseReadingText, type ReadingInput } from '../reading.ts';
import { answerOnce } from './answering.ts';
import { JsonLine, MAX_BATCH } from './bodies.ts';
import type { Behind } from './door.ts';

/** How many refusals an answer spells out. */
const MAX_REFUSALS_SHOWN = 1_000;

export function addReadings(app: FastifyInstance, behind: Behind): void {
  const { intake } = behind;
  app.post('/v1/readings', { config: { scope: 'readings:write' } }, async (request, reply) => {
    const inputs = inputsOf(request.body);
    const { name, allowance } = request.sender!;
    return answerOnce(behind, request, reply, async (signal) => {
      allowance?.take(inputs.length);
      const { accepted, refused } = await intake.accept(inputs, { sender: `http ${name}`, signal });
      const shown = refused.slice(0, MAX_REFUSALS_SHOWN);
      const more = refused.length - shown.length;
      return {
        status: refused.length === 0 ? 200 : accepted > 0 ? 207 : 400,
        body: { accepted, refused: shown, ...(more > 0 ? { refusedMore: more } : {}) },
      };
    });
  });
}

function inputsOf(body: unknown): ReadingInput[] {
  const items: unknown[] = Array.isArray(body) ? body : [body];
  if (items.length === 0) throw new HobblerError('invalid-input', 'no readings', { where: 'body' });
  if (items.length > MAX_BATCH) {
    throw Object.assign(new Error(`expected at most ${MAX_BATCH} readings; got ${items.length}`), { statusCode: 413 });
  }
  return items.map((item) => (item instanceof JsonLine ? parseReadingText(item.text) : parseReading(item)));
}

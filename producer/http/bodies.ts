/**
 * Bodies of requests: JSON and its lines, bounded, and nothing else. Owns how bytes become values before a route looks
 * at them; a line is left as text, so that a bad one is refused alone.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { digestOf } from './idempotency.ts';

/** A batch of 50,000 readings of 160 bytes. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
export const MAX_BATCH = 50_000;
export const LINE_TYPES = ['application/x-ndjson', 'application/jsonl'];

/** One line that is not parsed yet. */
export class JsonLine {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Nothing else is parsed; text/plain, which any web page may send, least of all. */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    remember(request, String(body));
    parseJson(request, String(body), done);
  });
  app.addContentTypeParser(
    LINE_TYPES,
    { parseAs: 'string' },
    async (request: FastifyRequest, body: string | Buffer) => {
      remember(request, String(body));
      // Bounded, so that a body of line breaks is not turned into millions of lines; refused later when that was too many.
      const lines = String(body).split('\n', 2 * MAX_BATCH + 1);
      return lines.filter((line) => line.trim() !== '').map((line) => new JsonLine(line));
    },
  );
}

function remember(request: FastifyRequest, body: string): void {
  if (request.headers['idempotency-key'] !== undefined) request.bodyDigest = digestOf(body);
}

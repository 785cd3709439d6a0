/**
 * The client of a producer, for accounting systems in Node: what a program gets that imports this package. It sends
 * readings in batches, waits as long as it is told to, repeats what may be repeated, and says which reading was refused
 * and why. Uses HTTP alone: it knows no Redis and no queue, and imports nothing of what runs a producer.
 */
import { systemClock } from '../shared/clock.ts';
import { type BatchAnswer, sendInBatches } from './batches.ts';
import type { AccountAnswer, DirectOrder, OrderAnswer, Reading, Refusal, SendResult } from './messages.ts';
import { type Answer, ask, type Connection, errorOf, ProducerError, type Question } from './request.ts';

export type * from './messages.ts';
export { ProducerError };

export interface ProducerOptions {
  /** Where the producer listens, such as `http://127.0.0.1:8081`. */
  url: string | URL;
  /** Its bearer token; absent where it is open. */
  token?: string | undefined;
  /** How long one request may take, milliseconds; 30,000 by default. */
  timeoutMs?: number | undefined;
  /** How long a request is tried again while the producer is full or away, milliseconds; 60,000 by default, 0: never. */
  retryForMs?: number | undefined;
  /** Readings in one request, 1 to 1,000, which is the default. */
  batchReadings?: number | undefined;
  /** Told before each wait: why, and for how many milliseconds. */
  onWaiting?: ((why: string, pauseMs: number) => void) | undefined;
}

export interface SendOptions {
  /** Ends the sending; the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told of each reading that was refused. */
  onRefused?: ((refusal: Refusal) => void) | undefined;
}

export interface Producer {
  /**
   * Sends readings in order and resolves when all are judged and written down, those excepted that were refused. Takes
   * an array or a stream of any length. Rejects with ProducerError when the producer takes none of a batch for a reason
   * that is not in the readings: a wrong token, or away for longer than `retryForMs`. Batches before it are taken then.
   */
  sendReadings(readings: Iterable<Reading> | AsyncIterable<Reading>, options?: SendOptions): Promise<SendResult>;
  /** The same with lines of JSON as they are, one reading each; blank lines are passed over but count for positions. */
  sendLines(lines: Iterable<string> | AsyncIterable<string>, options?: SendOptions): Promise<SendResult>;
  /** Gives an order. A repetition after a broken connection does not give it twice. Rejects with ProducerError. */
  order(order: DirectOrder, options?: Pick<SendOptions, 'signal'>): Promise<OrderAnswer>;
  /** Why an account is slow, and until when; null when nothing is known of it. Rejects with ProducerError. */
  account(name: string, options?: Pick<SendOptions, 'signal'>): Promise<AccountAnswer | null>;
}

const TIMEOUT_MS = 30_000;
const RETRY_FOR_MS = 60_000;
/** As many refusals as an answer spells out, so that each is told. */
const MAX_BATCH_READINGS = 1_000;

/** A client. Opens no connection until it is asked. Throws TypeError for what is no http or https URL, or no batch. */
export function createProducer(options: ProducerOptions): Producer {
  const { batchReadings = MAX_BATCH_READINGS } = options;
  if (!Number.isInteger(batchReadings) || batchReadings < 1 || batchReadings > MAX_BATCH_READINGS) {
    throw new TypeError(`batchReadings: expected 1 to ${MAX_BATCH_READINGS}; got ${batchReadings}`);
  }
  return new HttpProducer(
    {
      url: baseOf(options.url),
      token: options.token,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      retryForMs: options.retryForMs ?? RETRY_FOR_MS,
      clock: systemClock,
      onWaiting: options.onWaiting,
    },
    batchReadings,
  );
}

class HttpProducer implements Producer {
  readonly #connection: Connection;
  readonly #batchReadings: number;

  constructor(connection: Connection, batchReadings: number) {
    this.#connection = connection;
    this.#batchReadings = batchReadings;
  }

  sendReadings(readings: Iterable<Reading> | AsyncIterable<Reading>, options: SendOptions = {}): Promise<SendResult> {
    return this.sendLines(linesOf(readings), options);
  }

  sendLines(
    lines: Iterable<string> | AsyncIterable<string>,
    { signal, onRefused }: SendOptions = {},
  ): Promise<SendResult> {
    const send = async (text: string) => {
      const body = { type: 'application/x-ndjson', text };
      return batchAnswerOf(await this.#ask({ method: 'POST', path: 'v1/readings', body, signal }));
    };
    return sendInBatches(lines, { maxLines: this.#batchReadings, send, onRefused });
  }

  async order(order: DirectOrder, { signal }: Pick<SendOptions, 'signal'> = {}): Promise<OrderAnswer> {
    const body = { type: 'application/json', text: JSON.stringify(order) };
    return bodyOf(await this.#ask({ method: 'POST', path: 'v1/orders', body, signal })) as OrderAnswer;
  }

  async account(name: string, { signal }: Pick<SendOptions, 'signal'> = {}): Promise<AccountAnswer | null> {
    const answer = await this.#ask({ method: 'GET', path: `v1/accounts/${encodeURIComponent(name)}`, signal });
    if (answer.status === 404 && errorOf(answer).code === 'not-found') return null;
    return bodyOf(answer) as AccountAnswer;
  }

  #ask(question: Question): Promise<Answer> {
    return ask(this.#connection, question);
  }
}

async function* linesOf(readings: Iterable<Reading> | AsyncIterable<Reading>): AsyncGenerator<string> {
  // A value that JSON cannot show, such as undefined, is a reading that the producer refuses, in its place.
  for await (const reading of readings) yield JSON.stringify(reading) ?? 'null';
}

function baseOf(given: string | URL): URL {
  const url = URL.parse(String(given));
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`not the URL of a producer; expected http://HOST:PORT or https://…; got ${given}`);
  }
  // Below a path, where a proxy puts it there.
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Readings that are refused, even all of a batch, are no error: the answer says which. */
function batchAnswerOf(answer: Answer): BatchAnswer {
  const { accepted, refused, refusedMore = 0 } = (answer.body ?? {}) as Partial<BatchAnswer>;
  if (typeof accepted !== 'number' || !Array.isArray(refused)) throw errorOf(answer);
  return { accepted, refused, refusedMore };
}

function bodyOf(answer: Answer): unknown {
  if (answer.status >= 300 || typeof answer.body !== 'object') throw errorOf(answer);
  return answer.body;
}

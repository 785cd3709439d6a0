/**
 * One request to a producer, repeated until it is answered or the time is over. Owns what may be repeated (429, 5xx,
 * a broken connection), how long is waited in between (Retry-After, else longer each time) and the key by which the
 * producer knows the repetition. Knows nothing of readings.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '../shared/clock.ts';

/** A request that the producer refused, or that never reached it. */
export class ProducerError extends Error {
  /** Of HTTP; null: no answer came. */
  readonly status: number | null;
  /** The producer's own word for it, such as `invalid-input`; `unreachable` when no answer came. */
  readonly code: string;

  constructor(message: string, status: number | null, code: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ProducerError';
    this.status = status;
    this.code = code;
  }
}

export interface Connection {
  /** Ends with a slash. */
  url: URL;
  token: string | undefined;
  /** How long one try may take, milliseconds. */
  timeoutMs: number;
  /** How long tries go on, milliseconds. */
  retryForMs: number;
  clock: Clock;
  /** Told once for each time of waiting. */
  onWaiting: ((why: string, pauseMs: number) => void) | undefined;
}

export interface Question {
  method: 'GET' | 'POST';
  /** Without a leading slash. */
  path: string;
  body?: { type: string; text: string };
  signal?: AbortSignal | undefined;
}

export interface Answer {
  status: number;
  body: unknown;
}

type Try = { answer: Answer } | { failed: ProducerError; retryAfterMs: number | null };

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 15_000;
/** Too much at once, an upstream in between that is away, and a producer without its Redis. 409: the first try is still under way. */
const PASSING = new Set([408, 409, 425, 429, 502, 503, 504]);
/** Of an answer that is no JSON, as proxies give it, so much is repeated in the message. */
const MAX_QUOTED_CHARS = 200;

/**
 * Asks until there is an answer that will not change by waiting, and returns it whatever its status. Rejects with
 * ProducerError when that takes longer than `retryForMs`, and with the signal's reason when that is aborted.
 */
export async function ask(connection: Connection, question: Question): Promise<Answer> {
  const { clock, retryForMs, onWaiting } = connection;
  const startedAtMs = clock.monotonicMs();
  const idempotencyKey = randomUUID();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    question.signal?.throwIfAborted();
    const tried = await tryOnce(connection, question, idempotencyKey);
    if ('answer' in tried) return tried.answer;
    question.signal?.throwIfAborted();
    const leftMs = startedAtMs + retryForMs - clock.monotonicMs();
    const waitMs = tried.retryAfterMs ?? pauseMs;
    if (waitMs > leftMs) throw tried.failed;
    onWaiting?.(tried.failed.message, waitMs);
    await pause(clock, waitMs, question.signal);
  }
}

async function tryOnce(
  { url, token, timeoutMs }: Connection,
  { method, path, body, signal }: Question,
  idempotencyKey: string,
): Promise<Try> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(new URL(path, url), {
      method,
      // A token is not carried to wherever an answer points to.
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': body.type, 'idempotency-key': idempotencyKey }),
      },
      ...(body === undefined ? {} : { body: body.text }),
    });
    const answer = { status: response.status, body: parse(await response.text()) };
    if (!PASSING.has(response.status)) return { answer };
    return { failed: errorOf(answer), retryAfterMs: retryAfterMs(response.headers.get('retry-after')) };
  } catch (error) {
    const why = limit.aborted ? `no answer within ${timeoutMs / 1_000} s` : reasonOf(error);
    return { failed: new ProducerError(`${url.origin}: ${why}`, null, 'unreachable', error), retryAfterMs: null };
  }
}

/** The error that an answer stands for. */
export function errorOf({ status, body }: Answer): ProducerError {
  const { error } = (typeof body === 'object' && body !== null ? body : {}) as { error?: unknown };
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  if (typeof code === 'string' && typeof message === 'string') return new ProducerError(message, status, code);
  const text = (typeof body === 'string' ? body : (JSON.stringify(body) ?? '')).slice(0, MAX_QUOTED_CHARS);
  return new ProducerError(`answered ${status}, not as a producer does: ${text}`, status, 'not-a-producer');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whole seconds, as the producer gives them; a date, which proxies may give, is not worth a clock. */
function retryAfterMs(header: string | null): number | null {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : null;
}

/** fetch says "fetch failed", and why in its cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  const inner = cause as (Error & { code?: string }) | undefined;
  return inner?.message || inner?.code || message || String(error);
}

async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return sleep(clock, ms);
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const end = () => over.resolve();
  const timer = clock.after(ms, end);
  signal.addEventListener('abort', end, { once: true });
  await over.promise;
  timer.cancel();
  signal.removeEventListener('abort', end);
}

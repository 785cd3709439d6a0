/**
 * One Prometheus server as a source of readings. Owns when it is asked, by how many queries at a time, and for how long
 * each may take; a server is a source of its own, so a slow or dead one delays nobody else, and a slow query delays no
 * other query past its own place. What an answer means stands in answer.ts. An answer that cannot be had is asked for
 * again at the next turn: figures are cumulative, so nothing is lost by that.
 */
import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../../../shared/clock.ts';
import { HobblerError, messageOf } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { Limiter } from '../../admission/limiter.ts';
import type { IntakeResult } from '../../intake.ts';
import type { ReadingInput } from '../../reading.ts';
import { type Answer, parseAnswer } from './answer.ts';
import { type PrometheusConfig, type PrometheusQuery, textsOf } from './config.ts';

export interface PrometheusOptions {
  server: PrometheusConfig;
  accept: (inputs: readonly ReadingInput[]) => Promise<IntakeResult>;
  clock: Clock;
  log: Logger;
  onQuery: (outcome: 'answered' | 'failed') => void;
}

/** An answer is refused past it: some 200,000 series. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Readings that go to the intake at a time, so that other sources come in between. */
const BATCH = 5_000;
/** Refusals that are spelt out, and how long a line about an answer may be. */
const MAX_TOLD = 3;
const MAX_TROUBLE_CHARS = 1_000;

/** One query as it is asked, with what it was last in trouble for. */
interface Asked {
  query: PrometheusQuery;
  text: string;
  lastTrouble: string;
  isUnderWay: boolean;
}

export class PrometheusSource {
  readonly #options: PrometheusOptions;
  readonly #limiter: Limiter;
  readonly #asked: Asked[];
  readonly #stopping = new AbortController();
  #timers: Timer[] = [];

  constructor(options: PrometheusOptions) {
    this.#options = options;
    const { queries, concurrency, timeout } = options.server;
    this.#asked = queries.flatMap((query) =>
      textsOf(query).map((text) => ({ query, text, lastTrouble: '', isUnderWay: false })),
    );
    this.#limiter = new Limiter({
      concurrency,
      timeoutMs: timeout,
      // Each query waits for itself alone before it is asked again.
      maxWaiting: this.#asked.length,
      what: `queries to ${options.server.url}`,
    });
  }

  /** Asks everything at once, and each query again when so much time has passed since its last answer. */
  start(): void {
    const { clock, server } = this.#options;
    for (const asked of this.#asked) {
      void this.#ask(asked);
      this.#timers.push(clock.every(server.every, () => this.#ask(asked)));
    }
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#stopping.abort();
  }

  /** Asks everything once. Never rejects. */
  async runOnce(): Promise<void> {
    await Promise.all(this.#asked.map((asked) => this.#ask(asked)));
  }

  /** Never beside itself: the first answer may take longer than the time until the second query. */
  async #ask(asked: Asked): Promise<void> {
    if (asked.isUnderWay) return;
    asked.isUnderWay = true;
    await this.#askAndFeed(asked);
    asked.isUnderWay = false;
  }

  /** Never rejects. */
  async #askAndFeed(asked: Asked): Promise<void> {
    const { server, onQuery } = this.#options;
    const { signal } = this.#stopping;
    let answer: Answer;
    try {
      const body = await this.#limiter.run((own) => this.#fetch(asked.text, own), { signal });
      answer = parseAnswer(body, asked.query);
    } catch (error) {
      if (signal.aborted) return;
      onQuery('failed');
      const isLate = error instanceof Error && error.name === 'TimeoutError';
      this.#tell(asked, `no answer: ${isLate ? `none within ${server.timeout} ms` : messageOf(rootOf(error))}`);
      return;
    }
    onQuery('answered');
    try {
      const troubles = [...(await this.#feed(answer.readings)), ...answer.warnings.map((text) => `it warns: ${text}`)];
      this.#tell(asked, troubles.join('; ').slice(0, MAX_TROUBLE_CHARS));
    } catch (error) {
      if (!signal.aborted) this.#tell(asked, `its answer was not taken: ${messageOf(error)}`);
    }
  }

  /** Returns what was refused, in words. */
  async #feed(readings: readonly ReadingInput[]): Promise<string[]> {
    let refusals = 0;
    const told: string[] = [];
    for (let start = 0; start < readings.length && !this.#stopping.signal.aborted; start += BATCH) {
      const { refused } = await this.#options.accept(readings.slice(start, start + BATCH));
      refusals += refused.length;
      told.push(...refused.slice(0, MAX_TOLD - told.length).map(({ why }) => why));
    }
    return refusals === 0 ? [] : [`${refusals} of ${readings.length} series were refused, such as ${told.join(', ')}`];
  }

  async #fetch(query: string, signal: AbortSignal | undefined): Promise<unknown> {
    const { url, tokenFile, timeout } = this.#options.server;
    const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query, timeout: `${timeout}ms` }),
      headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      // To elsewhere, the token would go along.
      redirect: 'error',
      ...(signal ? { signal } : {}),
    });
    const text = await bounded(response);
    try {
      // A refused query is told in the same form, with a status of 4xx or 5xx.
      return JSON.parse(text);
    } catch {
      throw new HobblerError('invalid-input', 'not JSON', { got: `${response.status} ${text.slice(0, 80)}` });
    }
  }

  /** Once for each time that it changes. */
  #tell(asked: Asked, trouble: string): void {
    if (trouble === asked.lastTrouble) return;
    asked.lastTrouble = trouble;
    const about = { server: this.#options.server.url, query: asked.text };
    if (trouble === '') this.#options.log.info(about, 'all is well again');
    else this.#options.log.warn(about, trouble);
  }
}

async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).byteLength;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new HobblerError('bound-exceeded', 'the answer is too large', {
        expected: `at most ${MAX_ANSWER_BYTES} bytes`,
        hint: 'ask in parts',
      });
    }
    text += decoder.decode(chunk as Uint8Array, { stream: true });
  }
  return text + decoder.decode();
}

/** fetch says `fetch failed` of everything, and why only underneath. */
function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? rootOf(error.cause) : error;
}

/**
 * A small HTTP server that speaks Prometheus's HTTP API as far as hobbler uses it: POST /api/v1/query with a form, and
 * answers in the form of https://prometheus.io/docs/prometheus/latest/querying/api/. Owns nothing of PromQL: a test says
 * what each query gives, after how long. Counts how many queries it had at a time.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a query gives: by labels, seconds since 1970 and a value as text. */
export type Series = [metric: Record<string, string>, atSeconds: number, value: string];

export interface Given {
  series?: Series[];
  /** In place of a good answer. */
  error?: { status: number; errorType: string; error: string };
  /** In place of either: sent as it is. */
  raw?: string;
  warnings?: string[];
  delayMs?: number;
  /** Never answered. */
  isSilent?: boolean;
}

export class TestPrometheus {
  readonly #server: Server;
  readonly #give: (query: string) => Given;
  /** Every query that came, with its credential. */
  readonly asked: { query: string; authorization: string | undefined }[] = [];
  url = '';
  /** Queries that are not answered yet, and the most that there were. */
  now = 0;
  mostAtATime = 0;

  static async start(give: (query: string) => Given): Promise<TestPrometheus> {
    const server = new TestPrometheus(give);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    server.url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}`;
    return server;
  }

  private constructor(give: (query: string) => Given) {
    this.#give = give;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method !== 'POST' || request.url !== '/api/v1/query') {
      response.writeHead(404).end('404 page not found');
      return;
    }
    const query = new URLSearchParams(body).get('query') ?? '';
    this.asked.push({ query, authorization: request.headers.authorization });
    this.now++;
    this.mostAtATime = Math.max(this.mostAtATime, this.now);
    response.once('close', () => this.now--);
    const { series = [], error, raw, warnings, delayMs = 0, isSilent } = this.#give(query);
    if (isSilent) return;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (raw !== undefined) {
      response.writeHead(200).end(raw);
      return;
    }
    const good = {
      status: 'success',
      ...(warnings ? { warnings } : {}),
      data: {
        resultType: 'vector',
        result: series.map(([metric, atSeconds, value]) => ({ metric, value: [atSeconds, value] })),
      },
    };
    const answer = error ? { status: 'error', errorType: error.errorType, error: error.error } : good;
    response.writeHead(error?.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
}

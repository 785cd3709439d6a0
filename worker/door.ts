/**
 * The worker's HTTP door, off unless the config opens it: /metrics for Prometheus and /healthz for probes. It shows, and
 * takes nothing: no route changes anything, no body is read. Node's own server, since a web framework would cost every
 * host 15 MB for two pages.
 *
 * A port above 1023 can be taken by any user of the host, one in the tarpit too. So a port that is not free keeps no
 * worker from starting: it says so, and tries again.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { WorkerConfig } from './config.ts';
import { type Asked, WorkerMetrics } from './metrics.ts';

type DoorConfig = NonNullable<WorkerConfig['http']>;

const RETRY_MS = 30_000;
const MAX_CONNECTIONS = 32;
const REQUEST_LIMIT_MS = 5_000;
const MAX_HEADER_BYTES = 8 * 1024;

/** The door with the metrics behind it. It listens, or has said why it does not yet. */
export async function openDoor(config: DoorConfig, asked: Asked, log: Logger): Promise<Door> {
  const door = new Door(config, new WorkerMetrics(asked), asked.clock, log);
  await door.open();
  return door;
}

export class Door {
  readonly metrics: WorkerMetrics;
  readonly #config: DoorConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #server: Server;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(config: DoorConfig, metrics: WorkerMetrics, clock: Clock, log: Logger) {
    this.#config = config;
    this.metrics = metrics;
    this.#clock = clock;
    this.#log = log;
    this.#server = createServer(
      { requestTimeout: REQUEST_LIMIT_MS, headersTimeout: REQUEST_LIMIT_MS, maxHeaderSize: MAX_HEADER_BYTES },
      (request, response) => {
        this.#answer(request, response).catch((error: unknown) => {
          log.error({ err: error }, 'the HTTP door failed');
          if (!response.headersSent) response.writeHead(500);
          response.end();
        });
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.unref();
  }

  /** Resolves when it listens, or when it has said why it does not yet. */
  async open(): Promise<void> {
    if (this.#isClosed) return;
    const { host, port: asked } = this.#config;
    const log = this.#log;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject).listen(asked, host, () => {
          this.#server.off('error', reject).on('error', (error) => log.warn(`the HTTP door: ${messageOf(error)}`));
          resolve();
        });
      });
      const { address, port } = this.#server.address() as { address: string; port: number };
      log.info({ address, port }, 'metrics at /metrics');
    } catch (error) {
      this.#server.removeAllListeners('error');
      log.error(`no metrics: cannot listen on ${host}:${asked} (${messageOf(error)}); trying again`);
      this.#retry = this.#clock.after(RETRY_MS, () => void this.open());
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { registry } = this.metrics;
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'GET and HEAD alone');
    if (!this.#isForUs(request)) return refuse(response, 403, 'sent to another name');
    if (path === '/healthz') {
      const { isWell, ...rest } = this.metrics.health();
      return send(
        response,
        isWell ? 200 : 503,
        'application/json',
        JSON.stringify({ status: isWell ? 'ok' : 'unwell', ...rest }),
      );
    }
    if (!this.#isTrusted(request)) {
      response.setHeader('www-authenticate', 'Bearer');
      return refuse(response, 401, 'a bearer token of worker.http.tokens, please');
    }
    if (path !== '/metrics') return refuse(response, 404, 'there are /metrics and /healthz');
    send(response, 200, registry.contentType, await registry.metrics());
  }

  /** Without a token a browser on this machine must not be led here by a name that others made (DNS rebinding). */
  #isForUs({ headers }: IncomingMessage): boolean {
    if (this.#config.tokens.length > 0) return true;
    const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return name === 'localhost' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
  }

  #isTrusted({ headers }: IncomingMessage): boolean {
    const { tokens, open } = this.#config;
    if (tokens.length === 0) return open;
    const [, given] = /^Bearer (\S+)$/i.exec(headers.authorization ?? '') ?? [];
    // All of them, and by their digests: the time it takes says nothing about which, or how much of it, was right.
    return given !== undefined && tokens.filter((token) => timingSafeEqual(digest(token), digest(given))).length > 0;
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refuse(response: ServerResponse, status: number, why: string): void {
  send(response, status, 'application/json', JSON.stringify({ error: why }));
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

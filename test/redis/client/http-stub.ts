/**
 * A server on loopback that answers as a test says, for what no real producer can be brought to do at will: to be full
 * for exactly one request, to break a connection, to answer what is no answer. Remembers what it was asked.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

/** What it does with one request. */
export type Reply = { status: number; headers?: Record<string, string>; body?: unknown } | 'break' | 'silence';

export class HttpStub {
  readonly asked: Asked[] = [];
  readonly url: string;
  readonly #server: Server;

  /** `replies` one after the other, the last one for ever. */
  static async open(...replies: [Reply, ...Reply[]]): Promise<HttpStub> {
    const asked: Asked[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const reply = replies[Math.min(asked.length, replies.length - 1)]!;
        asked.push({
          method: request.method!,
          path: request.url!,
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        });
        if (reply === 'silence') return;
        if (reply === 'break') {
          request.socket.destroy();
          return;
        }
        const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
        response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers }).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new HttpStub(server, asked);
  }

  private constructor(server: Server, asked: Asked[]) {
    this.#server = server;
    this.asked = asked;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

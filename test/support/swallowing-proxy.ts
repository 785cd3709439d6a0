/**
 * A network between a test and its Redis that can swallow: connections that stand stay open and carry nothing in either
 * direction, while new ones work. That is what a firewall that forgets, or a host that vanishes, looks like from outside.
 * It can lead to another Redis from one moment on, as an address does after a failover.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

export interface SwallowingProxy {
  /** Redis through it. */
  url: string;
  /** Connections opened so far. */
  readonly opened: number;
  /** From here on nothing gets through on the connections that stand. */
  swallow(): void;
  /** Cuts all connections; new ones go to this Redis. */
  switchTo(url: string): void;
  stop(): Promise<void>;
}

/** `url`: of a Redis on a unix socket or a TCP port of this machine. */
export async function startSwallowingProxy(url: string): Promise<SwallowingProxy> {
  let far = addressOf(url);
  const pairs = new Set<[Socket, Socket]>();
  let opened = 0;
  const server: Server = createServer((near) => {
    opened++;
    const other = createConnection(far);
    const pair: [Socket, Socket] = [near, other];
    pairs.add(pair);
    near.pipe(other);
    other.pipe(near);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      other.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
  });
  const cut = () => {
    for (const [near, other] of pairs) {
      near.destroy();
      other.destroy();
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${(server.address() as { port: number }).port}`,
    get opened() {
      return opened;
    },
    swallow: () => {
      for (const [near, other] of pairs) {
        near.unpipe(other);
        other.unpipe(near);
        near.pause();
        other.pause();
      }
    },
    switchTo: (other) => {
      far = addressOf(other);
      cut();
    },
    stop: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function addressOf(url: string): { path: string } | { host: string; port: number } {
  const { protocol, pathname, hostname, port } = new URL(url);
  return protocol === 'unix:' ? { path: decodeURIComponent(pathname) } : { host: hostname, port: Number(port) };
}

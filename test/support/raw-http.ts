/** HTTP as no decent client speaks it: bytes on a socket, slowly if need be. Says what came back and when it was over. */
import { connect } from 'node:net';

export interface RawAnswer {
  text: string;
  /** From the connection to its end, milliseconds; null: still open at the limit. */
  closedAfterMs: number | null;
}

export interface RawOptions {
  /** After `text`: one byte of this at each interval, until the server ends it. */
  drip?: string;
  dripEveryMs?: number;
  limitMs?: number;
}

/** Sends `text` as it stands to the server at `url` and waits until it closes the connection, or for `limitMs`. */
export function sendRaw(url: string, text: string, { drip = '', dripEveryMs = 300, limitMs = 5_000 }: RawOptions = {}) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const from = performance.now();
  const chunks: Buffer[] = [];
  return new Promise<RawAnswer>((resolve) => {
    let next = 0;
    const dripping = setInterval(() => {
      if (drip !== '') socket.write(drip[next++ % drip.length]!);
    }, dripEveryMs);
    const end = (closedAfterMs: number | null) => {
      clearInterval(dripping);
      clearTimeout(limit);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), closedAfterMs });
    };
    const limit = setTimeout(() => end(null), limitMs);
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    socket.once('close', () => end(performance.now() - from));
    socket.write(text);
  });
}

/** What a stack trace or a path of this installation looks like in an answer. */
export const STACK = /\bat .{0,200}\D:\d+:\d+|node_modules|\.(?:ts|js):\d+|file:\/\//;

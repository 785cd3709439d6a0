/** The address of a server as an option gives it. */
import { HobblerError } from '../shared/errors.ts';

/** HOST:PORT, with brackets around an IPv6 address. Throws invalid-input. */
export function parseListen(text: string): { host: string; port: number } {
  const [, bracketed, bare, portText] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? bare;
  const port = Number(portText);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new HobblerError('invalid-input', 'not an address to listen on', {
    where: '--listen',
    expected: 'HOST:PORT such as 127.0.0.1:8080',
    got: text,
  });
}

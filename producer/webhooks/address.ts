/**
 * To which addresses a webhook may go. A URL of the config is an operator's word; what its name resolves to is not, and
 * may change from one lookup to the next. So the very address that is connected to is looked at: a name that is brought
 * to point inside (DNS rebinding) reaches no metadata service, no database and no admin page of this machine.
 */
import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { HobblerError } from '../../shared/errors.ts';

/** Never, whatever the config says: nothing that takes webhooks lives there, and cloud metadata does (169.254.169.254). */
const NEVER = listOf([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3], // multicast, reserved, broadcast
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  ['64:ff9b::', 96], // NAT64 and 6to4 carry an IPv4 address that would go unseen
  ['64:ff9b:1::', 48],
  ['2002::', 16],
]);
/** Only where the endpoint says allowPrivate. */
const PRIVATE = listOf([
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['::1', 128],
  ['fc00::', 7],
  ['fec0::', 10],
]);

function listOf(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of ranges) list.addSubnet(net, prefix, isIP(net) === 6 ? 'ipv6' : 'ipv4');
  return list;
}

/** Whether a webhook may be sent to this IP address. An IPv4 address in IPv6's clothes is judged as what it is. */
export function mayReach(address: string, allowPrivate: boolean): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return isIP(address) !== 0 && !NEVER.check(address, family) && (allowPrivate || !PRIVATE.check(address, family));
}

/** Refuses a URL whose host is an address that may not be reached; names are looked at when they are resolved. Throws denied. */
export function requireReachable({ hostname }: URL, allowPrivate: boolean): void {
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && !mayReach(address, allowPrivate)) throw refusal(hostname, address);
}

/** A lookup for node:http that gives only addresses that may be reached, and fails when there is none. */
export function guardedLookup(allowPrivate: boolean, lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0);
      const allowed = found.filter(({ address }) => mayReach(address, allowPrivate));
      const [first] = allowed;
      if (!first) return callback(refusal(hostname, found[0]?.address), '', 0);
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(hostname: string, address: string | undefined): HobblerError {
  return new HobblerError('denied', 'a webhook may not go to that address', {
    where: hostname,
    got: address,
    hint: 'for a receiver in a private network, say allowPrivate',
  });
}

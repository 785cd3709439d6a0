/**
 * The process at the other end of a connection of ours, where it is on this host and in our network namespace: by what
 * the kernel says of sockets, never by a name. A TCP connection is found by both its ends; a unix socket by who listens
 * at its path and belongs to the file's owner, since a path alone can be had by others too (another mount namespace).
 *
 * Only processes of uids from `minUid` on are looked for: those below are exempt already, and nearly every Redis is one
 * of them. Looks at processes in slices, between the ticks.
 */

import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { Proc } from './proc.ts';

export interface End {
  address: string;
  port: number;
}

/** A connection, as seen from our side. */
export type Connection = { path: string } | { near: End; far: End };

export interface ProcessIdentity {
  pid: number;
  startTicks: number;
}

/** Processes looked at between two turns of the event loop: 20 µs each, and some more for one that is meant. */
const SLICE = 50;
/** /proc/net/unix: __SO_ACCEPTCON, a socket that listens. */
const LISTENS = 0x10000;

/** Who is at the other end; undefined where that is elsewhere, or somebody who is exempt anyway. */
export async function findPeer(
  proc: Proc,
  connection: Connection,
  minUid: number,
): Promise<ProcessIdentity | undefined> {
  const sockets = 'path' in connection ? listenersAt(proc, connection.path) : farSockets(proc, connection);
  const wanted = new Set([...sockets].filter(([, uid]) => uid >= minUid).map(([inode]) => `socket:[${inode}]`));
  if (wanted.size === 0) return undefined;
  const uids = new Set(sockets.values());
  let looked = 0;
  for (const pid of proc.listPids()) {
    if (++looked % SLICE === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    const before = proc.identify(pid);
    const owner = proc.readStatus(pid);
    if (!before || !owner || !(uids.has(owner.effectiveUid) || uids.has(owner.realUid))) continue;
    if (!holds(`${proc.root}/${pid}/fd`, wanted)) continue;
    // Still that very process, or its descriptors were another's.
    if (proc.identify(pid)?.startTicks === before.startTicks) return before;
  }
  return undefined;
}

function holds(directory: string, wanted: ReadonlySet<string>): boolean {
  try {
    return readdirSync(directory).some((name) => {
      try {
        return wanted.has(readlinkSync(`${directory}/${name}`));
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // gone, or hidden from us
  }
}

/** Inode → uid of the sockets that listen at a path, of the file's owner alone. */
function listenersAt(proc: Proc, path: string): Map<string, number> {
  const found = new Map<string, number>();
  const owner = statSync(path, { throwIfNoEntry: false })?.uid;
  if (owner === undefined) return found;
  for (const line of readNet(proc, 'unix')) {
    // Num: RefCount Protocol Flags Type St Inode Path
    const parts = /^\S+ \S+ \S+ ([0-9A-F]+) \S+ \S+ +(\d+) (.*)$/.exec(line);
    if (parts && (Number.parseInt(parts[1]!, 16) & LISTENS) !== 0 && parts[3] === Buffer.from(path).toString('latin1'))
      found.set(parts[2]!, owner);
  }
  return found;
}

/** Inode → uid of the socket at the far end of a TCP connection within this host. */
function farSockets(proc: Proc, { near, far }: { near: End; far: End }): Map<string, number> {
  const found = new Map<string, number>();
  // The kernel takes the address that is asked for as the source, too, when it is one of its own.
  if (plainAddress(near.address) !== plainAddress(far.address)) return found;
  for (const line of [...readNet(proc, 'tcp'), ...readNet(proc, 'tcp6')]) {
    const [, local, remote, , , , , uid, , inode] = line.trim().split(/ +/);
    if (local === undefined || remote === undefined || inode === undefined) continue;
    if (isEnd(local, far) && isEnd(remote, near)) found.set(inode, Number(uid));
  }
  return found;
}

function readNet(proc: Proc, name: string): string[] {
  try {
    return readFileSync(`${proc.root}/self/net/${name}`, 'latin1').split('\n').slice(1);
  } catch {
    return []; // no IPv6 here
  }
}

function isEnd(text: string, { address, port }: End): boolean {
  const [hex, portHex] = text.split(':');
  return Number.parseInt(portHex ?? '', 16) === port && addressOf(hex ?? '') === plainAddress(address);
}

/** An address of /proc/net/tcp or tcp6, in words of four bytes of the machine's order, as it is written elsewhere. */
export function addressOf(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse());
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  );
  return plainAddress(groups.join(':'));
}

/** One form for each address; IPv4 within IPv6 is IPv4. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const bare = address.split('%')[0]!;
  if (!isIPv6(bare)) return address;
  const plain = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const four = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(plain);
  if (!four) return plain;
  const [high, low] = [Number.parseInt(four[1]!, 16), Number.parseInt(four[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

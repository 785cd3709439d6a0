/** The far end of a connection, in /proc as the kernel writes it: each address is told from every other. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, findPeer, plainAddress } from '../../../worker/process/peer.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

it.each([
  ['0100007F', '127.0.0.1'],
  ['0A01A8C0', '192.168.1.10'],
  ['00000000000000000000000001000000', '::1'],
  ['0000000000000000FFFF00000100007F', '127.0.0.1'],
  ['B80D0120000000000000000001000000', '2001:db8::1'],
])('%s is %s', (hex, address) => expect(addressOf(hex)).toBe(address));

it.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['2001:0DB8:0::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['no:address', 'no:address'],
])('%s is written %s', (address, plain) => expect(plainAddress(address)).toBe(plain));

describe('of a machine', () => {
  let kernel: FakeKernel;
  let dir: string;
  beforeEach(() => {
    kernel = new FakeKernel();
    dir = mkdtempSync(join(tmpdir(), 'hobbler-peer-'));
    mkdirSync(join(kernel.root, 'self', 'net'), { recursive: true });
    for (const [pid, uid, inode] of [
      [50, 1_050, 77],
      [60, 1_060, 88],
      [70, 999, 99],
    ] as const) {
      kernel.add({ pid, uid, comm: 'redis-server' });
      mkdirSync(join(kernel.root, String(pid), 'fd'));
      symlinkSync(`socket:[${inode}]`, join(kernel.root, String(pid), 'fd', '6'));
    }
  });
  afterEach(() => {
    kernel.end();
    rmSync(dir, { recursive: true });
  });

  const net = (name: string, lines: string[]) =>
    writeFileSync(join(kernel.root, 'self', 'net', name), ['  sl ...', ...lines, ''].join('\n'));
  const row = (local: string, remote: string, uid: number, inode: number) =>
    `   1: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 1 0 20 4 30 10 -1`;
  const LOOPBACK = { near: { address: '127.0.0.1', port: 0xaa00 }, far: { address: '127.0.0.1', port: 0x18eb } };

  it('is who holds the other end, by both addresses and ports', async () => {
    net('tcp', [
      row('0100007F:AA00', '0100007F:18EB', 0, 5), // our own end
      row('0100007F:18EB', '0100007F:AA01', 1_060, 88), // somebody else's connection
      row('0100007F:18EB', '0100007F:AA00', 1_050, 77),
      row('0200007F:18EB', '0100007F:AA00', 1_060, 88),
    ]);
    expect(await findPeer(kernel.proc, LOOPBACK, 1_000)).toMatchObject({ pid: 50 });
  });

  it('is found behind an IPv6 socket that takes IPv4, too', async () => {
    net('tcp6', [row('0000000000000000FFFF00000100007F:18EB', '0000000000000000FFFF00000100007F:AA00', 1_050, 77)]);
    expect(await findPeer(kernel.proc, LOOPBACK, 1_000)).toMatchObject({ pid: 50 });
  });

  it('is nobody where Redis is elsewhere, or runs under a uid that is exempt anyway', async () => {
    net('tcp', [row('0100007F:18EB', '0100007F:AA00', 999, 99)]);
    expect(await findPeer(kernel.proc, LOOPBACK, 1_000)).toBeUndefined();
    expect(
      await findPeer(kernel.proc, { ...LOOPBACK, far: { address: '192.0.2.1', port: 0x18eb } }, 1_000),
    ).toBeUndefined();
  });

  it('of a unix socket is its listener of the same owner, and not who has the same path elsewhere', async () => {
    const path = join(dir, 'redis.sock');
    writeFileSync(path, '');
    const line = (inode: number, flags = '00010000') =>
      `0000000000000000: 00000002 00000000 ${flags} 0001 01    ${inode} ${path}`;
    net('unix', [line(88), line(77, '00000000'), line(99)]);
    // The file is root's here; a listener of another uid has its path from another mount namespace.
    expect(await findPeer(kernel.proc, { path }, 0)).toBeUndefined();
    kernel.change(50, { uid: 0, euid: 0 });
    net('unix', [line(77)]);
    expect(await findPeer(kernel.proc, { path }, 0)).toMatchObject({ pid: 50 });
    expect(await findPeer(kernel.proc, { path }, 1_000)).toBeUndefined();
  });

  it('is nobody where nothing can be read', async () => {
    expect(await findPeer(kernel.proc, LOOPBACK, 0)).toBeUndefined();
    expect(await findPeer(kernel.proc, { path: join(dir, 'none') }, 0)).toBeUndefined();
  });
});

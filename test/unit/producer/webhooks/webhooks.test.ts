/** Webhooks without a network: what they say, how they are signed, where they may go, and how secrets come in. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, describe, expect, test } from 'vitest';
import { guardedLookup, mayReach, requireReachable } from '../../../../producer/webhooks/address.ts';
import { readEndpoints, webhooksSchema } from '../../../../producer/webhooks/config.ts';
import { bodyOf, type News, signatureHeaders } from '../../../../producer/webhooks/message.ts';

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef');
const whsec = (secret: Buffer) => `whsec_${secret.toString('base64')}`;
const news: News = {
  event: 'entered',
  account: 'alice',
  subject: 'account',
  reason: 'cpu 2104 s of 2000 s today',
  level: { runMs: 10, stopMs: 200, mechanism: 'auto' },
  untilMs: 1_764_028_800_000,
  atMs: 1_764_000_000_000,
};

describe('a message', () => {
  test('says who, what, why, how slow and until when', () => {
    expect(JSON.parse(bodyOf(news))).toEqual({
      v: 1,
      type: 'account.entered',
      timestamp: '2025-11-24T16:00:00.000Z',
      data: {
        account: 'alice',
        subject: 'account',
        reason: news.reason,
        level: news.level,
        until: '2025-11-25T00:00:00.000Z',
      },
    });
    expect(JSON.parse(bodyOf({ ...news, event: 'brake', account: null, untilMs: null }))).toMatchObject({
      type: 'brake.held',
      data: { account: null, until: null },
    });
  });

  test('is signed as the library of Standard Webhooks checks it, by the old secret and by the new', () => {
    const body = bodyOf(news);
    const next = Buffer.from('fedcba9876543210fedcba9876543210');
    const headers = signatureHeaders('msg_1', body, [SECRET, next], Date.now());
    const verify = (changed: string, from = headers, secret = SECRET) =>
      new Webhook(whsec(secret)).verify(changed, from);
    for (const secret of [SECRET, next]) expect(() => verify(body, headers, secret)).not.toThrow();
    expect(() => verify(body.replace('alice', 'malice'))).toThrow();
    expect(() => verify(body, { ...headers, 'webhook-id': 'msg_2' })).toThrow();
    expect(() => verify(body, signatureHeaders('msg_1', body, [SECRET], Date.now() - 3_600_000))).toThrow();
    expect(() => verify(body, headers, Buffer.alloc(32))).toThrow();
  });
});

describe('an address', () => {
  test.each([
    ['93.184.216.34', true, true],
    ['2606:2800:220:1:248:1893:25c8:1946', true, true],
    // Of this machine and of private networks: only where it is said.
    ['127.0.0.1', false, true],
    ['10.1.2.3', false, true],
    ['172.31.255.255', false, true],
    ['192.168.0.1', false, true],
    ['100.64.0.1', false, true],
    ['::1', false, true],
    ['fd00::1', false, true],
    ['::ffff:10.1.2.3', false, true],
    // Never: metadata, everybody, nobody, and what hides an IPv4 address.
    ['169.254.169.254', false, false],
    ['::ffff:169.254.169.254', false, false],
    ['::ffff:a9fe:a9fe', false, false],
    ['fe80::1', false, false],
    ['0.0.0.0', false, false],
    ['::', false, false],
    ['224.0.0.1', false, false],
    ['255.255.255.255', false, false],
    ['64:ff9b::a9fe:a9fe', false, false],
    ['2002:a9fe:a9fe::1', false, false],
    ['localhost', false, false],
  ])('%s: %s in general, %s with allowPrivate', (address, inGeneral, withPrivate) => {
    expect(mayReach(address, false)).toBe(inGeneral);
    expect(mayReach(address, true)).toBe(withPrivate);
  });

  test.each([
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
  ])('written into a URL, %s is refused', (url) =>
    expect(() => requireReachable(new URL(url), false)).toThrow('may not go to that address'),
  );

  test('that a name leads to is looked at when it is connected to', async () => {
    const resolve = (found: string[], all: boolean) =>
      new Promise((done) => {
        const addresses = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const system = ((_name: string, _options: object, callback: (...args: unknown[]) => void) =>
          callback(null, addresses)) as never;
        guardedLookup(false, system)('receiver.example', { all }, (error, address, family) =>
          done(error ? error.message : [address, family]),
        );
      });
    expect(await resolve(['93.184.216.34'], false)).toEqual(['93.184.216.34', 4]);
    const one = [{ address: '93.184.216.34', family: 4 }];
    expect(await resolve(['10.0.0.1', '93.184.216.34'], true)).toEqual([one, undefined]);
    expect(await resolve(['169.254.169.254', '::1'], true)).toContain('receiver.example: a webhook may not go');
    expect(await resolve([], false)).toContain('may not go');
  });
});

describe('the config', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hobbler-webhooks-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const parse = (...endpoints: object[]) => webhooksSchema.parse({ endpoints });
  const endpoint = { name: 'ops', url: 'https://receiver.example/hook' };

  test('takes secrets from a file, a line each, or from the environment', () => {
    const secretFile = join(directory, 'secret');
    const other = Buffer.alloc(24, 7);
    writeFileSync(secretFile, `${whsec(SECRET)}\n${other.toString('base64')}\n\n`);
    expect(readEndpoints(parse({ ...endpoint, secretFile }), { webhookSecret: undefined })).toMatchObject([
      { name: 'ops', secrets: [SECRET, other], events: ['entered', 'climbed', 'eased', 'left', 'brake'] },
    ]);
    const byEnvironment = readEndpoints(parse(endpoint), { webhookSecret: whsec(SECRET) });
    expect(byEnvironment[0]!.secrets).toEqual([SECRET]);
  });

  test.each([
    ['none', undefined, 'no secret to sign with'],
    ['a short one', 'whsec_aHVudGVyMg==', 'not a secret'],
    ['no base64', 'hunter2 hunter2 hunter2 hunter2 hunter2', 'not a secret'],
  ])('refuses a secret that is %s, and never repeats it', (_title, webhookSecret, why) => {
    const read = () => readEndpoints(parse(endpoint), { webhookSecret });
    expect(read).toThrow(why);
    expect(read).not.toThrow(/hunter2|aHVudGVyMg/);
  });

  test('refuses a secret file that is not there, or empty, with its path', () => {
    const empty = join(directory, 'empty');
    writeFileSync(empty, '\n');
    for (const secretFile of [empty, '/nonexistent/secret']) {
      const read = () => readEndpoints(parse({ ...endpoint, secretFile }), { webhookSecret: whsec(SECRET) });
      expect(read).toThrow(secretFile);
    }
  });

  test.each([
    ['without TLS', { url: 'http://receiver.example/' }, 'expected https'],
    ['with a password in its URL', { url: 'https://me:secret@receiver.example/' }, 'no user or password'],
    ['of another kind', { url: 'file:///etc/passwd' }, 'http or https'],
    ['for events that are none', { events: ['everything'] }, 'events'],
    ['with a secret in the config itself', { secret: 'x' }, 'secret'],
  ])('refuses an endpoint %s', (_title, parts, why) => {
    expect(() => parse({ ...endpoint, ...parts })).toThrow(why);
  });

  test('refuses two endpoints of one name; takes http inside a private network', () => {
    expect(() => parse(endpoint, endpoint)).toThrow('a name of its own');
    expect(() => parse({ ...endpoint, url: 'http://10.0.0.1/', allowPrivate: true })).not.toThrow();
  });
});

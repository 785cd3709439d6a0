/** The parsers of producer, admin and command line: readings, orders by HTTP, forms, the ledger, addresses. */
import { strict as assert } from 'node:assert';
import { localPath } from '../../../admin/access/gate.ts';
import { isPasswordHash } from '../../../admin/password.ts';
import { holdForm, parseInput, releaseForm } from '../../../admin/routes/input.ts';
import { parseListen } from '../../../cli/listen.ts';
import { parseDirectOrder } from '../../../producer/direct-orders.ts';
import { parseReading, parseReadingText, type ReadingInput } from '../../../producer/reading.ts';
import { parseRecord } from '../../../producer/record.ts';
import { parseHostMeter } from '../../../producer/sources/meter-arithmetic.ts';
import { escapeGlob } from '../../../shared/redis/acl.ts';
import { hideSecrets, isLoopback } from '../../../shared/redis/connection.ts';
import { formatTarget, parseTarget } from '../../../shared/target.ts';
import { type FuzzedParser, fromJson, hasControls, taken, texts } from './parser.ts';

function checkReading(input: ReadingInput): void {
  if ('refused' in input) assert.ok(input.refused.length <= 2_000 && !hasControls(input.refused));
  else assert.ok(Number.isFinite(input.reading.used) && !hasControls(input.reading.account));
}

const RECORD = {
  v: 1,
  account: 'alice',
  subject: 'account',
  verdict: 'tarpit',
  level: { runMs: 10, stopMs: 200, mechanism: 'auto' },
  reason: 'r',
  sinceMs: 1,
  used: 3,
  limit: 2,
  unit: 's',
  resource: 'cpu',
  window: 'w',
  resetsAtMs: 9,
  readAtMs: 1,
  receivedAtMs: 1,
  places: [{ host: '*', target: 'user:alice' }],
};
const READINGS = [
  { account: 'alice', used: 2104, limit: 2000, unit: 's', window: '2025-11-24', host: 'web-1', target: 'uid:1001' },
  { id: 'r-1', account: 'acme', used: 1.5, resource: 'cpu', at: 1_764_000_000_000 },
];
const DIRECT = {
  action: 'tarpit',
  host: '*',
  target: 'user:alice',
  account: 'alice',
  hobble: { runMs: 10 },
  for: '15m',
  reason: 'over',
  by: 'billing',
};

function checkDirect(value: unknown): void {
  const request = taken(() => parseDirectOrder(value));
  if (!request) return;
  assert.ok(!/^\s*(?:policy\s*$|operator\s*:)/i.test(request.by));
  assert.equal(formatTarget(parseTarget(request.target)), request.target);
  if (request.action === 'tarpit') assert.ok(request.forMs! >= 1_000 && request.forMs! <= 86_400_000);
}

export const SERVICE_PARSERS: readonly FuzzedParser[] = [
  {
    name: 'reading',
    weight: 6,
    examples: texts(...READINGS, '{"account":"alice","used":2104}'),
    check: (bytes) => checkReading(parseReadingText(bytes.toString())),
    checkValue: (value) => checkReading(parseReading(value)),
  },
  {
    name: 'order by HTTP',
    weight: 4,
    examples: texts(DIRECT, { ...DIRECT, action: 'untarpit', hobble: undefined, for: undefined }),
    check: (bytes) => {
      const json = fromJson(bytes);
      if (json) checkDirect(json.value);
    },
    checkValue: checkDirect,
  },
  {
    name: 'record of the ledger',
    weight: 4,
    examples: texts(RECORD, { ...RECORD, verdict: 'leave', level: null }),
    check: (bytes) => {
      const record = parseRecord(bytes.toString(), 'alice', 'account');
      if ('unreadable' in record) return;
      assert.ok(record.account === 'alice' && record.subject === 'account' && Number.isFinite(record.used));
    },
  },
  {
    name: 'meter of a host',
    weight: 4,
    examples: texts('boot/1|1764000000000|user:alice|12.50', 'boot/1|1764000000000|uid:1001|0.00', 'b|1|__proto__|1'),
    check: (bytes) => {
      const [boot = '', at = '', field = '', seconds = ''] = bytes.toString().split('|');
      const meter = parseHostMeter(
        'web-1',
        JSON.parse(JSON.stringify({ boot, at, [field]: seconds })) as Record<string, string>,
      );
      for (const value of meter?.secondsByTarget.values() ?? []) assert.ok(Number.isFinite(value) && value >= 0);
    },
  },
  {
    name: 'form of the admin',
    weight: 4,
    examples: texts(
      'host=web-1&target=user%3Aalice&reason=he+asked',
      'host=*&target=pid%3A1%402&reason=x',
      'host=web-1&reason=%C3%BC',
    ),
    check: (bytes) => {
      const fields = Object.fromEntries(new URLSearchParams(bytes.toString()));
      for (const form of [releaseForm, holdForm]) {
        const input = taken(() => parseInput<typeof form>(form, fields));
        if (input) assert.ok(input.reason.length > 0 && !hasControls(input.reason));
      }
    },
  },
  {
    name: 'where a login leads',
    weight: 4,
    examples: texts('/', '/audit?host=web-1', '//evil.example', '/\\evil.example', '/a%0d%0aX: y'),
    check: (bytes) => {
      const path = localPath(bytes.toString());
      assert.equal(new URL(path, 'http://admin.example').host, 'admin.example');
      assert.ok(!hasControls(path));
    },
  },
  {
    name: 'hash of a password',
    weight: 3,
    examples: texts(`scrypt$32768$8$1$${'A'.repeat(22)}$${'B'.repeat(43)}`),
    check: (bytes) => assert.equal(typeof isPasswordHash(bytes.toString()), 'boolean'),
  },
  {
    name: 'address to listen on',
    weight: 3,
    examples: texts('127.0.0.1:8080', '[::1]:8080', 'localhost:0'),
    check: (bytes) => {
      const address = taken(() => parseListen(bytes.toString()));
      if (address) assert.ok(address.host.length > 0 && address.port >= 0 && address.port <= 65_535);
    },
  },
  {
    name: 'URL of Redis',
    weight: 3,
    examples: texts(
      'redis://127.0.0.1:6379/3',
      'rediss://user:SECRET@redis.example:6380',
      'unix:///run/redis.sock',
      'redis://[::1]:6379',
    ),
    check: (bytes) => {
      const text = bytes.toString();
      taken(() => isLoopback(text));
      // The password of a URL that holds one must not be shown, however broken the rest is.
      const secret = /^redis(?:s)?:\/\/[^:@/]*:(SECRET)@/s.exec(text);
      if (!secret) return;
      const hidden = hideSecrets(text);
      assert.ok(!hidden.slice(0, hidden.lastIndexOf('@')).includes('SECRET'));
    },
  },
  {
    name: 'name in a Redis pattern',
    weight: 2,
    examples: texts('web-1', 'a*b?c[d-e]^\\'),
    check: (bytes) => {
      const escaped = escapeGlob(bytes.toString());
      assert.equal(escaped.replace(/\\(.)/gs, '$1'), bytes.toString());
      assert.ok(!/(?<!\\)(?:\\\\)*[*?[]/.test(escaped));
    },
  },
];

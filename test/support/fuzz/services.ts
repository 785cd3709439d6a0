/** The parsers of producer, admin and command line: readings, orders by HTTP, forms, the ledger, addresses. */
import { strict as assert } from 'node:assert';
import { localPath } from '../../../admin/access/gate.ts';
import { isPasswordHash } from '../../../admin/password.ts';
import { exemptForm, extendForm, holdForm, releaseForm, tarpitForm } from '../../../admin/routes/act-input.ts';
import { parseInput } from '../../../admin/routes/input.ts';
import { parseListen } from '../../../cli/listen.ts';
import { parseDirectOrder } from '../../../producer/direct-orders.ts';
import { parseEntry } from '../../../producer/ledger.ts';
import { MAX_IDS, parseState } from '../../../producer/policy/state.ts';
import { parseReading, parseReadingText, type ReadingInput } from '../../../producer/reading.ts';
import { parseHostMeter } from '../../../producer/sources/meter-arithmetic.ts';
import { escapeGlob } from '../../../shared/redis/acl.ts';
import { hideSecrets, isLoopback } from '../../../shared/redis/connection.ts';
import { formatTarget, parseTarget } from '../../../shared/target.ts';
import { type FuzzedParser, fromJson, hasControls, taken, texts } from './parser.ts';

function checkReading(input: ReadingInput): void {
  if ('refused' in input) assert.ok(input.refused.length <= 2_000 && !hasControls(input.refused));
  else assert.ok(Number.isFinite(input.reading.used) && !hasControls(input.reading.account));
}

/** As it stands in the ledger, of an account that is in for the second time. */
const STATE = {
  v: 2,
  account: 'alice',
  subject: 'account',
  standing: {
    hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' },
    limit: 'cpu',
    level: 2,
    isPinned: false,
    sinceMs: 1_764_000_000_000,
  },
  limits: {
    cpu: {
      figure: {
        used: 2104,
        limit: null,
        unit: 's',
        resource: 'cpu',
        window: '2025-11-24',
        resetsAtMs: 1_764_032_400_000,
        isRolling: false,
        readAtMs: 1_764_000_000_000,
        heardAtMs: 1_764_000_000_100,
      },
      penalty: {
        level: 2,
        sinceMs: 1_764_000_000_000,
        endsAtMs: null,
        used: 2104,
        limit: 2000,
        window: null,
        resetsAtMs: null,
      },
      endedAtMs: [1_763_990_000_000],
      released: { atMs: 1_763_990_000_000, why: 'below', used: 1500, limit: 2000, window: null, resetsAtMs: null },
    },
  },
  totals: { 'cpu s': { samples: [[1_764_000_000_000, 5, 0]], heardAtMs: 1_764_000_000_000, lastReset: null } },
  ids: ['q1w2e3'],
};
const PLACES = [{ host: '*', target: 'user:alice' }];
const ENTRY = {
  revision: '7',
  'state:account': JSON.stringify(STATE),
  'places:account': JSON.stringify(PLACES),
  'owed:web-1': JSON.stringify({ sinceMs: 3, places: PLACES }),
  'record:web-2': JSON.stringify({ v: 1, places: PLACES }),
  meter: JSON.stringify({
    v: 2,
    totalSeconds: 5.5,
    atMs: 9,
    counters: { 'web-1 user:alice': { boot: 'b', seconds: 5.5, atMs: 9 } },
  }),
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
    name: 'state in the ledger',
    weight: 4,
    examples: texts(STATE, { ...STATE, standing: { ...STATE.standing, hobble: null }, limits: {} }),
    check: (bytes) => {
      const state = parseState(bytes.toString(), 'alice', 'account');
      if ('unreadable' in state) return;
      assert.ok(state.account === 'alice' && state.subject === 'account' && state.ids.length <= MAX_IDS);
      for (const { figure } of Object.values(state.limits)) assert.ok(figure === null || Number.isFinite(figure.used));
    },
  },
  {
    name: 'hash of the ledger',
    weight: 3,
    examples: texts(ENTRY),
    check: (bytes) => {
      const fields = (fromJson(bytes)?.value ?? null) as Record<string, unknown> | null;
      if (fields === null || typeof fields !== 'object') return;
      const hash = Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, String(value)]));
      const { revision, owed, unreadable } = parseEntry('alice', hash);
      assert.ok(Number.isSafeInteger(revision) && revision >= 0);
      for (const { places } of owed.values()) assert.ok(places.length <= 128);
      for (const why of unreadable.values()) assert.ok(why.length <= 300);
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
      'account=alice&keep=24h&reason=because',
      'host=web-1&target=uid:1001&for=1h30m&reason=because',
      'host=web-1&target=uid:1001&level=own&runMs=10&stopMs=200&mechanism=freezer&for=45m&account=&reason=because',
    ),
    check: (bytes) => {
      const fields = Object.fromEntries(new URLSearchParams(bytes.toString()));
      for (const form of [releaseForm, holdForm, exemptForm, extendForm, tarpitForm]) {
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

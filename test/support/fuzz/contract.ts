/** The parsers of the contract: orders, signatures, targets, durations, and what hosts report. */
import { strict as assert } from 'node:assert';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { parseDurationMs } from '../../../shared/duration.ts';
import { quote } from '../../../shared/errors.ts';
import {
  hostName,
  MAX_ORDER_BYTES,
  type Order,
  parseOrder,
  parseOrderText,
  recordEndsAtMs,
} from '../../../shared/order.ts';
import { parseHold } from '../../../shared/redis/fleet.ts';
import { reportSchema, statusSchema } from '../../../shared/report.ts';
import { canonical, signOrder, Verifier } from '../../../shared/signature.ts';
import { formatTarget, MAX_TARGET_CHARS, parseTarget } from '../../../shared/target.ts';
import { reportExample, statusExample } from '../../unit/admin/examples.ts';
import { tarpitExample, untarpitExample } from '../orders.ts';
import { type FuzzedParser, fromJson, hasControls, taken, texts } from './parser.ts';

function checkOrder(order: Order): void {
  assert.ok(order.host === '*' || hostName.safeParse(order.host).success);
  assert.equal(formatTarget(parseTarget(order.target)), order.target);
  assert.ok(Number.isSafeInteger(order.version) && order.version > 0);
  assert.ok(!hasControls(order.reason) && !hasControls(order.by) && !hasControls(order.account ?? ''));
  assert.ok(Number.isFinite(recordEndsAtMs(order)));
  if (order.action === 'tarpit') {
    assert.ok(order.expiresAt > order.issuedAt);
    assert.ok(order.hobble.runMs >= 1 && order.hobble.stopMs >= 1 && order.hobble.stopMs <= 10_000);
  }
  // What was taken is taken again, unless the defaults that were filled in make it too large.
  const again = JSON.stringify(order);
  if (Buffer.byteLength(again) <= MAX_ORDER_BYTES) assert.equal(JSON.stringify(parseOrderText(again)), again);
}

/** Always the same key, so that an input is made again from its seed: PKCS#8's head for Ed25519, and 32 bytes. */
const privateKey = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${'07'.repeat(32)}`, 'hex'),
  format: 'der',
  type: 'pkcs8',
});
const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
const signer = { keyId: 'producer-1', privateKey };
const verifier = new Verifier([{ id: 'producer-1', role: 'producer', publicKey }]);
const signedOrders = [
  tarpitExample(),
  untarpitExample(),
  tarpitExample({ account: undefined, reason: 'ü "q" \\' }),
].map((order) => signOrder(JSON.parse(JSON.stringify(order)) as Order, signer));
const signedTexts = new Set(signedOrders.map((order) => canonical(order)));

export const CONTRACT_PARSERS: readonly FuzzedParser[] = [
  {
    name: 'order',
    weight: 8,
    examples: texts(tarpitExample(), untarpitExample(), ...signedOrders, {
      ...tarpitExample(),
      later: { field: [1, { a: 2 }] },
    }),
    check: (bytes) => {
      const order = taken(() => parseOrderText(bytes.toString()));
      if (order) checkOrder(order);
    },
    checkValue: (value) => {
      const order = taken(() => parseOrder(value));
      if (order) checkOrder(order);
    },
  },
  {
    name: 'signature',
    weight: 2,
    examples: texts(...signedOrders),
    check: (bytes) => {
      const raw = fromJson(bytes)?.value as Record<string, unknown> | undefined;
      if (!raw || !taken(() => parseOrder(raw))) return;
      const { trusted } = verifier.verify(raw);
      // Whatever was done to it: what is trusted says, word for word, what was signed.
      if (trusted) assert.ok(signedTexts.has(canonical(raw)), `forged: ${quote(raw)}`);
    },
  },
  {
    name: 'target',
    weight: 12,
    examples: texts(
      'user:alice',
      'user:DOM\\al-i.ce$',
      'uid:1001',
      'pid:4242@8812345',
      'cgroup:/user.slice/user-1001.slice',
    ),
    check: (bytes) => {
      const text = bytes.toString();
      const target = taken(() => parseTarget(text));
      if (!target) return;
      assert.equal(formatTarget(target), text);
      assert.ok(text.length <= MAX_TARGET_CHARS && !hasControls(text));
      if (target.kind === 'cgroup') assert.ok(!`${target.path}/`.includes('/../') && !target.path.includes('//'));
    },
  },
  {
    name: 'duration',
    weight: 8,
    examples: texts('90s', '30m', '1h30m', '250ms', '1d'),
    check: (bytes) => {
      const ms = taken(() => parseDurationMs(bytes.toString()));
      if (ms !== undefined) assert.ok(Number.isSafeInteger(ms) && ms >= 0);
    },
  },
  {
    name: 'report and status of a worker',
    weight: 4,
    examples: texts(reportExample(), statusExample()),
    check: (bytes) => {
      const json = fromJson(bytes);
      if (!json) return;
      reportSchema.safeParse(json.value);
      statusSchema.safeParse(json.value);
    },
    checkValue: (value) => {
      reportSchema.safeParse(value);
      statusSchema.safeParse(value);
    },
  },
  {
    name: 'hold',
    weight: 4,
    examples: texts({ reason: 'maintenance', by: 'operator:ann', sinceMs: 1 }, 'by hand'),
    check: (bytes) => {
      // Whatever stands there holds: doubt means release (invariant 1).
      const hold = parseHold(bytes.toString());
      assert.ok(hold !== null && typeof hold.reason === 'string' && typeof hold.by === 'string');
      assert.equal(typeof hold.sinceMs, 'number');
    },
  },
];

/**
 * docs/contract.md is true: its tables match the schema and the keys, its test vector is what the code makes, and its
 * examples run as they stand there, against a real Redis and the producer's own parsers.
 */
import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readingSchema } from '../../../producer/reading.ts';
import {
  explainedKey,
  fleetKeys,
  historyKey,
  hostKeys,
  idempotencyKey,
  ledgerKey,
  ledgerKeys,
  WEBHOOKS_PREFIX,
  webhookKeys,
} from '../../../shared/keys.ts';
import {
  hobbleSchema,
  type Order,
  type OrderStatus,
  parseOrder,
  tarpitOrder,
  untarpitOrder,
} from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import { canonical, signOrder, Verifier } from '../../../shared/signature.ts';
import { connectTest, startRedis } from '../../support/redis.ts';
import { ROOT } from '../../support/sources.ts';
import { TOKEN as PRODUCER_TOKEN, ProducerFixture } from '../producer/producer-fixture.ts';

const run = promisify(execFile);
const text = readFileSync(join(ROOT, 'docs/contract.md'), 'utf8');

/** The fenced blocks of a language, in order. */
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]!);
/** The first cells of the table under a heading, without their back quotes. */
const firstCells = (heading: string) => {
  const table = /^(?:\|.*\|\n)+/m.exec(text.slice(text.indexOf(`\n${heading}\n`)))![0];
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1]!.trim().replaceAll('`', ''));
};

describe('the tables', () => {
  it('list every field of an order, and no other', () => {
    const hobble = Object.keys(hobbleSchema.shape).map((field) => `hobble.${field}`);
    const fields = new Set([...Object.keys(tarpitOrder.shape), ...Object.keys(untarpitOrder.shape), ...hobble]);
    expect(firstCells('## The order').sort()).toEqual([...fields].sort());
  });

  it('list every field of a reading, and no other', () => {
    const fields = firstCells('### Readings').flatMap((cell) => cell.split(', '));
    expect(fields.sort()).toEqual(Object.keys(readingSchema.shape).sort());
  });

  it('list every key, and no other', () => {
    const ours = [
      ...Object.values(hostKeys).map((key) => key('HOST')),
      ...Object.values(fleetKeys),
      ledgerKey('ACCOUNT'),
      historyKey('ACCOUNT'),
      explainedKey('ACCOUNT'),
      idempotencyKey('DIGEST'),
      ...Object.values(ledgerKeys),
      'hobbler:{HOST}:orders:…',
      `${WEBHOOKS_PREFIX}:deliveries:…`,
      ...Object.values(webhookKeys).map((key) => key('ENDPOINT', 'ABOUT')),
    ];
    expect(firstCells('## Keys in Redis').sort()).toEqual(ours.sort());
  });

  it('list every result', () => {
    const statuses: Record<OrderStatus, true> = {
      applied: true,
      stale: true,
      expired: true,
      gone: true,
      denied: true,
      refused: true,
      unsupported: true,
      invalid: true,
    };
    expect(firstCells('### Results').sort()).toEqual(Object.keys(statuses).sort());
  });
});

describe('the test vector', () => {
  const [vector] = blocks('text');
  const value = (name: string) => new RegExp(`^${name}.*? {2,}(\\S.*)$`, 'm').exec(vector!)![1]!;
  const privateKey = createPrivateKey({
    key: Buffer.from(value('private key'), 'base64'),
    format: 'der',
    type: 'pkcs8',
  });
  const order = JSON.parse(value('canonical form')) as Order;

  it('is what the code makes of it', () => {
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
    expect(publicKey).toBe(value('public key'));
    expect(canonical(order)).toBe(value('canonical form'));
    const signed = signOrder(parseOrder(order), { keyId: order.keyId!, privateKey });
    expect(signed.signature).toBe(value('signature'));
    const verifier = new Verifier([{ id: order.keyId!, role: 'producer', publicKey: value('public key') }]);
    expect(verifier.verify({ ...order, signature: value('signature') })).toEqual({ trusted: true });
  });

  it('has the canonical form that the Python example makes', async () => {
    const definition = blocks('python').find((block) => block.includes('def canonical'))!;
    const signed = { signature: value('signature'), ...Object.fromEntries(Object.entries(order).reverse()) };
    const program = `${definition}\nimport sys\nsys.stdout.buffer.write(canonical(json.loads(sys.argv[1])))`;
    const { stdout } = await run('python3', ['-c', program, JSON.stringify(signed)]);
    expect(stdout).toBe(value('canonical form'));
  });
});

describe('the examples', () => {
  let fixture: ProducerFixture;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    fixture = await ProducerFixture.open();
  });
  afterAll(() => fixture.close());
  beforeEach(async () => {
    const { url } = await fixture.start();
    env = { ...process.env, PRODUCER: url!, HOBBLER_PRODUCER_TOKEN: PRODUCER_TOKEN };
  });
  afterEach(() => fixture.clear());

  /** What stands in Redis once a reading over the limit and an order by hand have come in. */
  const expectBothTaken = async (action: Order['action']) => {
    expect(await fixture.standing('*', 'user:alice')).toMatchObject({ action: 'tarpit', by: 'policy' });
    expect(await fixture.standing('web-1', 'user:alice')).toMatchObject({ action, by: 'billing' });
  };

  it('in curl are taken by a real producer', async () => {
    const scripts = blocks('sh');
    expect(scripts).toHaveLength(2);
    for (const script of scripts) await run('sh', ['-euc', script], { env });
    await expectBothTaken('tarpit');
  });

  it('in Python’s standard library are taken by a real producer', async () => {
    const program = blocks('python').find((block) => block.includes('urllib'))!;
    await run('python3', ['-I', '-c', program], { env });
    await expectBothTaken('untarpit');
  });

  it('in TypeScript add a sound order to the host’s queue, with nothing of ours imported', async () => {
    const [program] = blocks('ts');
    expect([...program!.matchAll(/from '([^']+)'/g)].map((match) => match[1])).toEqual(['bullmq']);
    const server = await startRedis();
    const redis = connectTest(server);
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-contract-'));
    try {
      symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
      writeFileSync(join(dir, 'example.mts'), program!);
      // ioredis takes a socket's bare path where it takes a URL
      await run(process.execPath, [join(dir, 'example.mts')], {
        env: { ...process.env, REDIS_URL: server.url.replace('unix://', '') },
      });
      const [job] = await openQueue('web-1', redis).getJobs(['waiting']);
      expect(job!.name).toBe('tarpit');
      const order = parseOrder(job!.data);
      expect(order).toMatchObject({ action: 'tarpit', host: 'web-1', target: 'user:alice', by: 'billing' });
      expect(Math.abs(order.version - Date.now())).toBeLessThan(10_000);
    } finally {
      rmSync(dir, { recursive: true });
      redis.disconnect();
      await server.stop();
    }
  });
});

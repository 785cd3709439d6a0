/**
 * Webhooks end to end: a producer, a real Redis, and receivers on loopback that check what they get as a receiver would.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Endpoint, EVENTS, webhooksSchema } from '../../../producer/webhooks/config.ts';
import { WEBHOOKS_PREFIX } from '../../../shared/keys.ts';
import { HttpStub, type Reply } from '../client/http-stub.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef');
const run = promisify(execFile);
const taken: Reply = { status: 204 };

let fixture: ProducerFixture;
const stubs: HttpStub[] = [];
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(async () => {
  await fixture.clear();
  for (const stub of stubs.splice(0)) await stub.close();
});
afterAll(() => fixture.close());

async function receiver(...replies: [Reply, ...Reply[]]): Promise<HttpStub> {
  const stub = await HttpStub.open(...replies);
  stubs.push(stub);
  return stub;
}
const endpointOf = ({ url }: HttpStub, parts: Partial<Endpoint> = {}): Endpoint => ({
  name: 'ops',
  url,
  events: [...EVENTS],
  allowPrivate: true,
  secrets: [SECRET],
  ...parts,
});
/** What a receiver has got, each proved by its signature. */
const received = (stub: HttpStub) =>
  stub.asked.map(({ body, headers }) => {
    const message = new Webhook(`whsec_${SECRET.toString('base64')}`).verify(body, headers as Record<string, string>);
    return { id: headers['webhook-id'], ...(message as { type: string; data: Record<string, unknown> }) };
  });
const soon = { timeout: 20_000 };
const section = { dwell: '0s', webhooks: { perAccount: '1s' } };

async function use(producer: { url: string | null }, account: string, used: number, window = 'today') {
  expect(await ask(producer, '/v1/readings', { account, used, window })).toMatchObject({ status: 200 });
}

describe('people are told', () => {
  it('when an account enters, and when it leaves, signed, with the reason', async () => {
    const stub = await receiver(taken);
    const producer = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => received(stub), soon).toHaveLength(1);
    await use(producer, 'alice', 3, 'tomorrow');
    await expect.poll(() => received(stub), soon).toHaveLength(2);
    const [entered, left] = received(stub);
    expect(entered).toMatchObject({
      type: 'account.entered',
      data: { account: 'alice', subject: 'account', reason: expect.stringContaining('2104'), level: { runMs: 10 } },
    });
    expect(left).toMatchObject({ type: 'account.left', data: { account: 'alice', level: null, until: null } });
    expect(left!.id).not.toBe(entered!.id);
    await expect.poll(() => fixture.redis.keys(`${WEBHOOKS_PREFIX}:news:*`), soon).toEqual([]);
  });

  it('when the brake holds, and then of nobody who was kept out', async () => {
    const stub = await receiver(taken);
    const brake = { share: 0.2, atLeast: 2, within: '10m' };
    const producer = await fixture.start({ ...section, brake }, undefined, [endpointOf(stub)]);
    const crowd = Array.from({ length: 10 }, (_, n) => ({ account: `user-${n}`, used: 9_999 }));
    await ask(producer, '/v1/readings', crowd);
    await expect.poll(() => received(stub), soon).toMatchObject([{ type: 'brake.held', data: { account: null } }]);
  });

  it('only of what they asked for, each in his own right', async () => {
    const [one, other] = [await receiver(taken), await receiver(taken)];
    const producer = await fixture.start(section, undefined, [
      endpointOf(one, { events: ['left'] }),
      endpointOf(other, { name: 'billing' }),
    ]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => received(other), soon).toHaveLength(1);
    await use(producer, 'alice', 3, 'tomorrow');
    await expect.poll(() => received(one), soon).toMatchObject([{ type: 'account.left' }]);
  });

  it('not in a dry run, in which nobody is slowed', async () => {
    const stub = await receiver(taken);
    const producer = await fixture.start({ ...section, dryRun: true }, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    expect(await fixture.redis.keys(`${WEBHOOKS_PREFIX}:*`)).toEqual([]);
    expect(stub.asked).toEqual([]);
  });
});

describe('of one account', () => {
  it('there is one message in the set time, of two producers too; at its end the latest is told, once', async () => {
    const stub = await receiver(taken);
    const slow = { ...section, webhooks: { perAccount: '4s' } };
    const producers = [
      await fixture.start(slow, undefined, [endpointOf(stub)]),
      await fixture.start(slow, undefined, [endpointOf(stub)]),
    ];
    for (let n = 0; n < 5; n++) {
      await use(producers[n % 2]!, 'alice', 2_104, `window ${n}`);
      await use(producers[n % 2]!, 'alice', 3, `window ${n} over`);
    }
    await use(producers[0]!, 'bob', 2_500);
    const of = (account: string) => received(stub).filter(({ data }) => data.account === account);
    await expect.poll(() => of('bob'), soon).toMatchObject([{ type: 'account.entered' }]);
    expect(of('alice').length).toBeLessThanOrEqual(1);
    await expect.poll(() => of('alice').at(-1), soon).toMatchObject({ type: 'account.left' });
    await expect.poll(() => fixture.redis.keys(`${WEBHOOKS_PREFIX}:news:*`), soon).toEqual([]);
    expect(of('alice').length).toBeLessThanOrEqual(2);
  });
});

describe('a receiver that', () => {
  it('fails at first gets the same message again, under the same id', async () => {
    const stub = await receiver({ status: 500 }, taken);
    const producer = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => received(stub), soon).toHaveLength(2);
    const [first, second] = received(stub);
    expect(second).toEqual(first);
    expect((await ask(producer, '/metrics')).body).toMatch(/webhooks_total\{endpoint="ops",outcome="failed"\} 1/);
  });

  it('was away while a producer ended is told by the next one', async () => {
    const stub = await receiver('break', taken);
    const first = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(first, 'alice', 2_104);
    await expect.poll(() => stub.asked.length, soon).toBe(1);
    await first.stop();
    await fixture.start(section, undefined, [endpointOf(stub)]);
    await expect.poll(() => received(stub), soon).toMatchObject([{}, { type: 'account.entered' }]);
  });

  it('redirects is not followed, to wherever that leads', async () => {
    const elsewhere = await receiver(taken);
    const stub = await receiver({ status: 307, headers: { location: elsewhere.url } }, taken);
    const producer = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => stub.asked.length, soon).toBe(2);
    expect(elsewhere.asked).toEqual([]);
  });

  it('is inside, and not meant to be, gets nothing', async () => {
    const stub = await receiver(taken);
    const producer = await fixture.start(section, undefined, [endpointOf(stub, { allowPrivate: false })]);
    await use(producer, 'alice', 2_104);
    await expect
      .poll(async () => (await ask(producer, '/metrics')).body, soon)
      .toMatch(/webhooks_total\{endpoint="ops",outcome="failed"\} 1/);
    expect(stub.asked).toEqual([]);
  });

  it('never answers keeps neither readings nor the end of the producer waiting', async () => {
    const stub = await receiver('silence');
    const producer = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => stub.asked.length, soon).toBe(1);
    await use(producer, 'bob', 2_500);
    await producer.stop();
  });
});

describe('docs/webhooks.md', () => {
  const page = readFileSync(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8');
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)![1]!;

  it('shows a config that is one', () => {
    const { endpoints } = webhooksSchema.parse(parse(block('yaml')).producer.webhooks);
    expect(endpoints.map(({ name }) => name)).toEqual(['billing', 'pager']);
    for (const event of EVENTS) expect(page).toContain(`| \`${event}\` |`);
  });

  it('shows how Python tells what is genuine', async () => {
    const stub = await receiver(taken);
    const producer = await fixture.start(section, undefined, [endpointOf(stub)]);
    await use(producer, 'alice', 2_104);
    await expect.poll(() => stub.asked.length, soon).toBe(1);
    const [{ headers, body }] = stub.asked as [(typeof stub.asked)[number]];
    const program = `${block('python')}
import json, sys
headers, body, secret = json.loads(sys.argv[1])
print(is_genuine(headers, body.encode(), secret), is_genuine(headers, b"x" + body.encode(), secret))`;
    const given = JSON.stringify([headers, body, `whsec_${SECRET.toString('base64')}`]);
    const { stdout } = await run('python3', ['-I', '-c', program, given]);
    expect(stdout).toBe('True False\n');
  });
});

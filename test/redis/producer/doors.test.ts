/** Hostile and clumsy input to every door of the producer: each gets a clear refusal, and the service goes on. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProducerService, type ProducerService } from '../../../producer/service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { ask, ProducerFixture, TOKEN } from './producer-fixture.ts';

let fixture: ProducerFixture;
let producer: ProducerService;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
  producer = await fixture.start();
});
afterAll(async () => {
  await fixture.clear();
  await fixture.close();
});

const order = { action: 'tarpit', host: '*', target: 'user:alice', reason: 'r', by: 'billing' };

describe('without the token', () => {
  it.each([
    ['none', null],
    ['a wrong one', 'correct-horse-battery-stapler'],
    ['a part of it', TOKEN.slice(0, -1)],
    ['an empty one', ''],
  ])('%s: nothing but health is answered', async (_title, token) => {
    const doors: [string, unknown?][] = [
      ['/v1/readings', {}],
      ['/v1/orders', order],
      ['/v1/accounts/alice'],
      ['/metrics'],
      ['/nothing'],
    ];
    for (const [path, body] of doors) {
      const answer = await ask(producer, path, body, { token });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(await ask(producer, '/healthz', undefined, { token })).toMatchObject({
      status: 200,
      body: { status: 'ok' },
    });
  });

  it('the body is not even read', async () => {
    const huge = 'x'.repeat(9 * 1024 * 1024);
    const refusal = ask(producer, '/v1/readings', huge, { token: null }).then(
      ({ status }) => status,
      // The door may close while we are still sending.
      () => 401,
    );
    expect(await refusal).toBe(401);
  });
});

describe('readings that are none', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  it.each([
    ['no JSON', '{"account":', 400],
    ['nothing', '', 400],
    ['a text', '"alice"', 400],
    ['null', 'null', 400],
    ['an empty array', '[]', 400],
    ['an array of nothing useful', '[1,null,"x",[],{}]', 400],
    ['a nest without end', deep, 400],
    ['a nest in an account', `{"account":${deep},"used":1}`, 400],
    ['a prototype', '{"__proto__":{"account":"alice"},"used":1}', 400],
    ['a constructor', '{"constructor":{"prototype":{"x":1}},"used":1}', 400],
    ['control characters', JSON.stringify({ account: 'al\u001b[2Jice\n', used: 1 }), 400],
    ['a figure beyond all', '{"account":"alice","used":1e999}', 400],
    ['far too much', `"${'x'.repeat(9 * 1024 * 1024)}"`, 413],
    ['far too many', JSON.stringify(Array(50_001).fill(1)), 413],
  ])('%s', async (_title, body, status) => {
    const answer = await ask(producer, '/v1/readings', body);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).not.toMatch(/at .*\.(?:ts|js):\d+/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not come back
    expect(JSON.stringify(answer.body)).not.toMatch(/[\u0000-\u001f\u007f]/);
  });

  it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded'])(
    'of type %s are not taken, as any web page may send them',
    async (type) => {
      expect(await ask(producer, '/v1/readings', '{"account":"a","used":1}', { type })).toMatchObject({ status: 415 });
    },
  );

  it('lines without end, and more lines than may be', async () => {
    const type = 'application/x-ndjson';
    expect(await ask(producer, '/v1/readings', '\n'.repeat(1_000_000), { type })).toMatchObject({ status: 400 });
    expect(await ask(producer, '/v1/readings', '1\n'.repeat(60_000), { type })).toMatchObject({ status: 413 });
    expect(await ask(producer, '/v1/readings', 'x'.repeat(1_000_000), { type })).toMatchObject({
      status: 400,
      body: { accepted: 0, refused: [{ index: 0, why: expect.stringContaining('at most 16384 characters') }] },
    });
  });

  it('leave nothing behind', async () => {
    expect(await fixture.redis.keys('*')).toEqual([]);
  });
});

describe('orders that are none', () => {
  it.each([
    ['in the name of the policy', { by: 'policy' }, 400],
    ['in the name of an operator', { by: 'operator:eve' }, 400],
    ['signed by themselves', { keyId: 'k', signature: 's' }, 400],
    ['of pid 1 on every host', { target: 'pid:1@1' }, 400],
    ['of a cgroup that climbs', { target: 'cgroup:/a/../..' }, 400],
    ['with a line break in the reason', { reason: 'a\nb' }, 400],
    ['for a year', { for: '365d' }, 400],
    ['with a stop phase of an hour', { hobble: { stopMs: 3_600_000 } }, 400],
    ['too long to be one', { reason: 'x'.repeat(70_000) }, 413],
  ])('%s', async (_title, parts, status) => {
    const answer = await ask(producer, '/v1/orders', { ...order, ...parts });
    expect(answer).toMatchObject({
      status,
      body: { error: { code: expect.any(String), message: expect.any(String) } },
    });
    expect(await fixture.redis.keys('*')).toEqual([]);
  });
});

describe('accounts', () => {
  it.each([
    ['an unknown one', '/v1/accounts/nobody', 404],
    ['one that climbs', '/v1/accounts/..%2f..%2fetc', 404],
    ['one that is far too long', `/v1/accounts/${'a'.repeat(5_000)}`, 414],
    ['another path', '/v1/nothing', 404],
  ])('%s is not there', async (_title, path, status) => {
    expect(await ask(producer, path)).toMatchObject({ status, body: { error: { code: expect.any(String) } } });
  });

  it('a path that cannot be decoded', async () => {
    expect(await ask(producer, '/v1/accounts/%zz')).toMatchObject({ status: 400, body: { error: {} } });
  });
});

describe('the door itself', () => {
  it('ends a request that is no HTTP, and goes on', async () => {
    const { hostname, port } = new URL(producer.url ?? '');
    const socket = connect(Number(port), hostname);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('\u0000\u0001 nonsense\r\n\r\n');
    await closed;
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 400/);
    expect((await ask(producer, '/healthz')).status).toBe(200);
  });

  it('counts what it took and refused', async () => {
    const { body } = await ask(producer, '/metrics');
    expect(body).toMatch(/hobbler_producer_readings_total\{result="refused"\} \d+/);
    expect(body).toMatch(/hobbler_producer_redis_ready 1/);
  });

  it('says "later" to who asks too often, health excepted', async () => {
    const slow = await fixture.start({ http: { requestsPerMinute: 2 } });
    for (let n = 0; n < 2; n++) expect((await ask(slow, '/v1/readings', { account: 'a', used: 1 })).status).toBe(200);
    const answer = await ask(slow, '/v1/readings', { account: 'a', used: 1 });
    expect(answer).toMatchObject({ status: 429, body: { error: { code: 'too-many-requests' } } });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask(slow, '/healthz')).status).toBe(200);
  });

  it('when open, takes no request that was sent to another name (DNS rebinding)', async () => {
    const open = await fixture.start({ http: { open: true, tokens: [] } });
    expect((await ask(open, '/metrics', undefined, { token: null })).status).toBe(200);
    const { port } = new URL(open.url ?? '');
    const socket = connect(Number(port), '127.0.0.1');
    const answer = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
    socket.write('GET /metrics HTTP/1.1\r\nHost: evil.example:8081\r\nConnection: close\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 403/);
    socket.destroy();
  });

  it('is not opened without a token', () => {
    const config = fixture.config({ http: { tokens: [] } });
    const redis = { url: fixture.server.url, name: 'test' };
    const build = () => createProducerService({ config, redis, clock: systemClock, log: silentLogger() });
    expect(build).toThrow('no token');
  });
});

it('an account is a page for a browser, under the same credential, and nothing in it is loaded from anywhere', async () => {
  await ask(producer, '/v1/readings', { account: 'alice', used: 2_104 });
  const browse = (headers: Record<string, string>) => fetch(`${producer.url}/v1/accounts/alice`, { headers });
  const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
  expect((await browse({ accept })).status).toBe(401);
  const page = await browse({ accept, authorization: `Bearer ${TOKEN}` });
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(page.headers.get('vary')).toContain('Accept');
  expect(await page.text()).toContain('<h1>alice is slowed down</h1>');
  expect((await ask(producer, '/v1/accounts/alice')).body).toMatchObject({ account: 'alice', isSlowed: true });
});

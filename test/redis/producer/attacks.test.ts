/** The producer's door as an attacker tries it: slowly, malformed, by guessing; and what its logs and answers give away. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProducerService, type ProducerService } from '../../../producer/service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { ledgerKey } from '../../../shared/keys.ts';
import { createLogger } from '../../../shared/log.ts';
import { STACK, sendRaw } from '../../support/raw-http.ts';
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

const head = (more = '') =>
  `POST /v1/readings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n${more}`;

describe('who takes his time', () => {
  it('is cut off: with headers, with a body, in silence, and between requests', async () => {
    const url = producer.url!;
    const limitMs = 22_000;
    const [headers, body, silence, idle] = await Promise.all([
      sendRaw(url, head(), { drip: 'X-A: b\r\n', limitMs }),
      sendRaw(url, head('Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n'), { drip: '[', limitMs }),
      sendRaw(url, '', { limitMs }),
      sendRaw(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n', { limitMs }),
    ]);
    expect(headers.closedAfterMs).toBeLessThan(8_000);
    expect(headers.text).toMatch(/^HTTP\/1\.1 408/);
    expect(body.closedAfterMs).toBeLessThan(18_000);
    expect(body.text).toMatch(/^HTTP\/1\.1 408/);
    expect(silence.closedAfterMs).toBeLessThan(8_000);
    expect(idle.text).toMatch(/^HTTP\/1\.1 200/);
    expect(idle.closedAfterMs).toBeLessThan(13_000);
  });
});

describe('who sends what is none', () => {
  it.each([
    ['two lengths', head('Content-Length: 5\r\nContent-Length: 6\r\n\r\n')],
    ['a length and chunks', head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')],
    ['chunks that are none', head('Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')],
    ['a bare line feed', 'GET /healthz HTTP/1.1\nHost: localhost\n\n'],
    ['a folded header', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n'],
    ['a header without end', `GET /healthz HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['no host', 'GET /metrics HTTP/1.1\r\n\r\n'],
    ['another protocol', '*1\r\n$8\r\nFLUSHALL\r\n'],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
  ])('%s: is refused, and learns nothing', async (_what, text) => {
    const { text: answer, closedAfterMs } = await sendRaw(producer.url!, text);
    expect(closedAfterMs).not.toBeNull();
    expect(answer).toMatch(/^HTTP\/1\.1 (?:400|401|408|431)/);
    expect(answer).not.toMatch(STACK);
    expect((await ask(producer, '/healthz')).status).toBe(200);
  });

  it.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE'])(
    '%s on every path: no fault, no stack, no word for other origins',
    async (method) => {
      for (const path of [
        '/',
        '/v1/readings',
        '/v1/orders',
        '/v1/accounts/%00',
        '/v1/accounts/__proto__',
        '/metrics',
        '/..//',
      ]) {
        const { text } = await sendRaw(
          producer.url!,
          `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 0\r\n\r\n`,
        );
        expect(text, `${method} ${path}`).toMatch(/^HTTP\/1\.1 [234]\d\d/);
        expect(text).not.toMatch(STACK);
        expect(text.toLowerCase()).not.toContain('access-control-allow');
      }
    },
  );
});

describe('who guesses', () => {
  it('is counted on every path, those that are not there included', async () => {
    const narrow = await fixture.start({ http: { requestsPerMinute: 3 } });
    for (const path of ['/metrics', '/nothing', '/v1/nothing'])
      expect((await ask(narrow, path, undefined, { token: 'a-guess-of-a-token-01' })).status).toBe(401);
    for (const path of ['/nothing', '/metrics', '/v1/accounts/a', '/%zz'])
      expect((await ask(narrow, path, undefined, { token: TOKEN })).status).toBe(path === '/%zz' ? 400 : 429);
    expect((await ask(narrow, '/healthz', undefined, { token: null })).status).toBe(200);
  });
});

describe('a fault of ours', () => {
  it('is told in one sentence, and the log has the rest', async () => {
    // Something that no code of ours wrote: a field that is no record makes an account unreadable, not the service.
    await fixture.redis.set(ledgerKey('alice'), 'no hash');
    for (const [path, body] of [['/v1/accounts/alice'], ['/v1/readings', { account: 'alice', used: 1 }]] as [
      string,
      unknown?,
    ][]) {
      const answer = await ask(producer, path, body);
      expect(JSON.stringify(answer.body)).not.toMatch(STACK);
    }
  });
});

describe('the log', () => {
  it('at its most talkative shows no token, right or wrong, wherever it was put', async () => {
    const lines: string[] = [];
    const log = createLogger('test', 'trace', { write: (line: string) => void lines.push(line) });
    const redis = { url: fixture.server.url, name: 'test' };
    const talkative = createProducerService({ config: fixture.config(), redis, clock: systemClock, log });
    await talkative.start();
    const guess = 'a-wrong-but-secret-token';
    try {
      await ask(talkative, '/v1/orders', {
        action: 'tarpit',
        host: '*',
        target: 'user:bob',
        reason: 'r',
        by: 'billing',
      });
      await ask(talkative, '/v1/orders', { nonsense: TOKEN });
      await ask(talkative, '/v1/readings', 'no json', { token: guess });
      await ask(talkative, `/metrics?token=${guess}`, undefined, { token: guess });
      await sendRaw(
        talkative.url!,
        `GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${guess}\r\nBad header\r\n\r\n`,
      );
    } finally {
      await talkative.stop();
    }
    expect(lines.join('')).toContain('order given');
    expect(lines.join('')).not.toContain(TOKEN);
    expect(lines.join('')).not.toContain(guess);
  });
});

describe('the address', () => {
  it.each(['0.0.0.0', '::', '192.0.2.1', 'redis.example'])('%s is not listened on without a token', (host) => {
    const config = fixture.config({ http: { host, tokens: [], open: true } });
    const redis = { url: fixture.server.url, name: 'test' };
    const build = () =>
      createProducerService({ config, redis, clock: systemClock, log: createLogger('test', 'silent') });
    expect(build).toThrow('no token, and others can reach that address');
  });
});

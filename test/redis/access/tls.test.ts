/** TLS to a real Redis: what comes through, and what each mistake is called. Nothing is ever trusted unchecked. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEnvironment } from '../../../shared/environment.ts';
import { silentLogger } from '../../../shared/log.ts';
import { openConsumer, openQueue } from '../../../shared/queue.ts';
import { readRedisTls, redisSchema } from '../../../shared/redis/config.ts';
import { connectRedis, type RedisSettings, requireFitRedis } from '../../../shared/redis/connection.ts';
import { type Authority, type Certificate, Certificates } from '../../support/certificates.ts';
import { freePort, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const certificates = new Certificates();
let authority: Authority;
let stranger: Authority;
let client: Certificate;
const servers: TestRedis[] = [];
beforeAll(() => {
  authority = certificates.authority('ours');
  stranger = certificates.authority('stranger');
  client = authority.sign('client', { names: 'DNS:web-1' });
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  certificates.remove();
});

/** A Redis with TLS alone on a port of its own. The unix socket stays, for the fixture to see that it is up. */
async function serve({ cert, key }: Certificate, asksForCertificate = false): Promise<number> {
  const port = await freePort();
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', authority.cert];
  const args = ['--tls-port', String(port), '--bind', '127.0.0.1', ...files];
  servers.push(await startRedis({ args: [...args, '--tls-auth-clients', asksForCertificate ? 'yes' : 'no'] }));
  return port;
}

type Tls = { ca?: string; cert?: string; key?: string; serverName?: string };

function settings(url: string, tls: Tls = {}): RedisSettings {
  return { url, name: 'test', tls: readRedisTls(redisSchema.parse({ tls }), readEnvironment({}), url) };
}

/** What requireFitRedis says; null: it is fit. */
async function fault(url: string, tls: Tls = {}): Promise<string | null> {
  const redis = connectRedis(settings(url, tls), silentLogger());
  try {
    await requireFitRedis(redis, url);
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    redis.disconnect();
  }
}

describe('a server with a sound certificate', () => {
  let port: number;
  beforeAll(async () => {
    port = await serve(authority.sign('server'));
  });
  const url = (host = '127.0.0.1') => `rediss://${host}:${port}`;

  it('is reached by name and by address', async () => {
    expect(await fault(url(), { ca: authority.cert })).toBeNull();
    expect(await fault(url('localhost'), { ca: authority.cert })).toBeNull();
  });

  it("carries BullMQ's connections as well", async () => {
    const redis = connectRedis(settings(url(), { ca: authority.cert }), silentLogger());
    const taken: unknown[] = [];
    const consumer = openConsumer({
      host: 'web-1',
      settings: settings(url(), { ca: authority.cert }),
      concurrency: 1,
      onJob: async (job) => {
        taken.push(job.data);
        return { status: 'gone', why: 'test' };
      },
      onError: () => {},
    });
    consumer.start();
    try {
      await openQueue('web-1', redis).add('tarpit', { a: 1 });
      await until(() => taken.length === 1, { deadlineMs: 5_000, what: 'the job' });
    } finally {
      await consumer.stop();
      redis.disconnect();
    }
  });

  it('is not trusted without its authority, nor with another one', async () => {
    expect(await fault(url())).toContain('signed by an authority that is not in redis.tls.ca');
    expect(await fault(url(), { ca: stranger.cert })).toContain('signed by an authority that is not in redis.tls.ca');
  });

  it('is not spoken to in the clear, and says so', async () => {
    expect(await fault(`redis://127.0.0.1:${port}`)).toContain('where it speaks TLS on that port, use rediss://');
  });
});

describe('a server that asks for a certificate', () => {
  let url: string;
  beforeAll(async () => {
    url = `rediss://127.0.0.1:${await serve(authority.sign('asking'), true)}`;
  });

  it('lets in who shows one', async () => {
    expect(await fault(url, { ca: authority.cert, ...client })).toBeNull();
  });

  it('says so to who shows none, a stranger’s, or an expired one', async () => {
    expect(await fault(url, { ca: authority.cert })).toContain('set redis.tls.cert and redis.tls.key');
    const foreign = stranger.sign('eve');
    expect(await fault(url, { ca: authority.cert, ...foreign })).toContain('does not know who signed our certificate');
    const old = authority.sign('old', { days: -1 });
    expect(await fault(url, { ca: authority.cert, ...old })).toContain('our certificate (redis.tls.cert) has expired');
  });
});

describe('a server whose certificate', () => {
  it('is for another name is refused, unless that name is the one that is expected', async () => {
    const url = `rediss://127.0.0.1:${await serve(authority.sign('named', { names: 'DNS:redis.example' }))}`;
    expect(await fault(url, { ca: authority.cert })).toMatch(
      /for another name \(DNS:redis\.example\).*redis\.tls\.serverName/,
    );
    expect(await fault(url, { ca: authority.cert, serverName: 'redis.example' })).toBeNull();
    expect(await fault(url, { ca: authority.cert, serverName: 'other.example' })).toContain('for another name');
  });

  it('has expired is refused', async () => {
    const url = `rediss://127.0.0.1:${await serve(authority.sign('late', { days: -1 }))}`;
    expect(await fault(url, { ca: authority.cert })).toContain('has expired');
  });

  it('is signed by itself is refused', async () => {
    const alone = certificates.authority('alone');
    const url = `rediss://127.0.0.1:${await serve(alone)}`;
    expect(await fault(url, { ca: authority.cert })).toContain('is signed by itself');
  });
});

it('a server without TLS is told apart', async () => {
  const port = await freePort();
  servers.push(await startRedis({ args: ['--port', String(port), '--bind', '127.0.0.1'] }));
  expect(await fault(`rediss://127.0.0.1:${port}`, { ca: authority.cert })).toContain(
    'where it does not speak TLS on that port, use redis://',
  );
});

describe('the section', () => {
  const url = 'rediss://redis.example';
  const refused = (tls: Tls, at = url) => {
    try {
      settings(at, tls);
    } catch (error) {
      return (error as Error).message;
    }
    return 'taken';
  };

  it('wants TLS files for a URL with TLS alone', () => {
    expect(refused({ ca: authority.cert }, 'redis://redis.example')).toContain('rediss://');
  });

  it('wants certificate and key together, and of each other', () => {
    expect(refused({ cert: client.cert })).toContain('go together');
    expect(refused({ cert: client.cert, key: authority.key })).toContain('not the key of the certificate');
  });

  it('names the file that cannot be read or is none, and shows nothing of it', () => {
    const junk = join(certificates.dir, 'junk.pem');
    writeFileSync(junk, 'very-secret-junk');
    expect(refused({ ca: '/nowhere/ca.pem' })).toMatch(/redis\.tls\.ca: cannot be read .*nowhere/);
    for (const tls of [{ ca: junk }, { cert: junk, key: client.key }, { cert: client.cert, key: junk }]) {
      expect(refused(tls)).toContain(junk);
      expect(refused(tls)).not.toContain('very-secret');
    }
  });

  it('gives way to the environment', () => {
    const environment = readEnvironment({ HOBBLER_REDIS_TLS_CA: authority.cert });
    expect(readRedisTls(redisSchema.parse({ tls: { ca: '/nowhere' } }), environment, url)).toHaveProperty('ca');
  });
});

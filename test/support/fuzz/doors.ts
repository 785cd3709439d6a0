/**
 * Both HTTP doors, real services on a real Redis, given broken bodies, paths and headers: each request gets an answer
 * that is no fault of ours and shows no stack, nothing of it is carried out that was not meant, and health is well.
 */
import { adminSchema } from '../../../admin/config.ts';
import { hashPasswordSync } from '../../../admin/password.ts';
import { createAdminService } from '../../../admin/service.ts';
import { producerSchema } from '../../../producer/config.ts';
import { createProducerService } from '../../../producer/service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { tarpitExample } from '../orders.ts';
import { STACK } from '../raw-http.ts';
import { connectTest, startRedis } from '../redis.ts';
import { mutate, type Random, randomOf } from './mutate.ts';
import type { FuzzResult } from './run.ts';

const TOKEN = 'a-token-for-this-fuzz-only';
const texts = (...examples: unknown[]) =>
  examples.map((one) => Buffer.from(typeof one === 'string' ? one : JSON.stringify(one)));

const READING = { account: 'alice', used: 1, limit: 2_000, unit: 's', window: 'w', host: 'web-1', target: 'uid:1001' };
const BODIES = texts(
  READING,
  [READING, READING],
  `${JSON.stringify(READING)}\n${JSON.stringify(READING)}\n`,
  {
    action: 'untarpit',
    host: 'web-1',
    target: 'user:alice',
    reason: 'r',
    by: 'billing',
  },
  tarpitExample(),
  'name=ann&password=x&next=%2F',
  'host=web-1&target=user%3Aalice&reason=x&csrf=x',
);
const PATHS = texts(
  '/v1/readings',
  '/v1/orders',
  '/v1/accounts/alice',
  '/metrics',
  '/healthz',
  '/',
  '/login',
  '/audit?host=web-1&before=1-1',
  '/release?host=web-1&target=user:alice',
  '/hold',
  '/queues/api/queues?activeQueue=a&status=failed&page=1',
  '/api/fleet',
  '/static/base.css',
);
const TYPES = [
  'application/json',
  'application/x-ndjson',
  'application/x-www-form-urlencoded',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
];
const METHODS = ['GET', 'POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'];
const AT_A_TIME = 16;

/** Sends `inputs` requests, half of them to each door. */
export async function fuzzDoors(inputs: number, seed: number): Promise<FuzzResult> {
  const result: FuzzResult = { inputs, findings: [], slowestMs: 0, slowestInput: '' };
  const server = await startRedis();
  const redis = connectTest(server);
  const parts = { redis: { url: server.url, name: 'fuzz' }, clock: systemClock, log: silentLogger() };
  const producer = createProducerService({
    ...parts,
    config: producerSchema.parse({
      limits: { default: { used: 2_000 } },
      http: { port: 0, tokens: [TOKEN], requestsPerMinute: 1_000_000 },
    }),
  });
  const admin = createAdminService({
    ...parts,
    config: {
      ...adminSchema.parse({ http: { port: 0, requestsPerMinute: 1_000_000, loginsPerMinute: 100 } }),
      users: [{ name: 'ann', role: 'operator', password: hashPasswordSync('fuzz') }],
    },
  });
  try {
    await producer.start();
    await admin.start();
    const cookie = await logIn(admin.url!);
    let next = 0;
    const takeTurns = async () => {
      for (let number = next++; number < inputs; number = next++) {
        const random = randomOf(seed, 'doors', number);
        const isProducer = random.below(2) === 0;
        const why = await tryDoor(
          isProducer ? producer.url! : admin.url!,
          isProducer ? { authorization: `Bearer ${TOKEN}` } : { cookie },
          random,
        );
        if (why !== null && result.findings.length < 3) result.findings.push({ parser: 'doors', seed, number, ...why });
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, takeTurns));
    const faults = await afterwards(producer.url!, admin.url!, () => redis.keys('*hold*'));
    for (const why of faults) result.findings.push({ parser: 'doors', seed, number: -1, input: '', why });
  } finally {
    await admin.stop();
    await producer.stop();
    redis.disconnect();
    await server.stop();
  }
  return result;
}

async function logIn(url: string): Promise<string> {
  const body = new URLSearchParams({ name: 'ann', password: 'fuzz' });
  const response = await fetch(`${url}/login`, { method: 'POST', body, headers: { origin: url }, redirect: 'manual' });
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

async function tryDoor(
  url: string,
  credential: Record<string, string>,
  random: Random,
): Promise<{ input: string; why: string } | null> {
  const method = random.pick(METHODS);
  // A URL that fetch itself would mend is sent as it stands only where it can be; the raw ones are in attacks.test.ts.
  const path = `/${encodeURI(mutate(PATHS, random).toString('latin1').slice(1, 2_000)).replaceAll('#', '%23')}`;
  const body = mutate(BODIES, random);
  const isKnown = random.below(4) > 0;
  const headers = { ...(isKnown ? credential : {}), origin: url, 'content-type': random.pick(TYPES) };
  const input = JSON.stringify({
    method,
    path: path.slice(0, 200),
    headers,
    body: body.toString('latin1').slice(0, 200),
  });
  try {
    const hasBody = method !== 'GET' && method !== 'HEAD';
    const target = random.below(3) === 0 ? path : random.pick(PATHS).toString();
    const response = await fetch(`${url}${target}`, {
      method,
      headers,
      redirect: 'manual',
      ...(hasBody ? { body: new Uint8Array(body) } : {}),
    });
    const text = await response.text();
    if (response.status >= 500) return { input, why: `answered ${response.status}: ${text.slice(0, 200)}` };
    if (!target.startsWith('/static/') && STACK.test(text))
      return { input, why: `showed a stack: ${text.slice(0, 200)}` };
    return null;
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? String(error);
    // Where the address itself cannot be meant, fetch sends nothing.
    return /INVALID_URL|Invalid URL/.test(cause) ? null : { input, why: `no answer: ${cause}` };
  }
}

/** What must be so when all is over. */
async function afterwards(producerUrl: string, adminUrl: string, holds: () => Promise<string[]>): Promise<string[]> {
  const faults: string[] = [];
  for (const url of [producerUrl, adminUrl]) {
    const { status } = await fetch(`${url}/healthz`);
    if (status !== 200) faults.push(`${url} is not well: ${status}`);
  }
  // No form had the token of a session, so no hold was ever allowed.
  const held = await holds();
  if (held.length > 0) faults.push(`holds came about: ${held.join(', ')}`);
  return faults;
}

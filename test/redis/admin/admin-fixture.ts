/**
 * An admin on a real Redis, and a stand-in for the workers: writes the records that they write. `Browser` is a client
 * that keeps cookies and sends forms as a browser does; the real one is in the system lane.
 */
import type { z } from 'zod';
import type { proxyLoginSchema } from '../../../admin/access/proxy-login.ts';
import { adminSchema, type User } from '../../../admin/config.ts';
import { SHARED_FOR_MS } from '../../../admin/fleet/source.ts';
import { hashPasswordSync } from '../../../admin/password.ts';
import { createAdminService } from '../../../admin/service.ts';
import { sleep, systemClock } from '../../../shared/clock.ts';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { type Logger, silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import type { Report, Status } from '../../../shared/report.ts';
import type { Signer } from '../../../shared/signature.ts';
import { reportExample, statusExample } from '../../unit/admin/examples.ts';

export const PASSWORDS = { ann: 'correct horse', vic: 'battery staple' };
const USERS: User[] = [
  { name: 'ann', role: 'operator', password: hashPasswordSync(PASSWORDS.ann) },
  { name: 'vic', role: 'viewer', password: hashPasswordSync(PASSWORDS.vic) },
];
export const METRICS_TOKEN = 'scrape-me-0123456789';

export interface TestAdminOptions {
  loginsPerMinute?: number;
  requestsPerMinute?: number;
  signer?: Signer;
  proxyLogin?: z.input<typeof proxyLoginSchema>;
  log?: Logger;
}

export function startAdmin(redisUrl: string, options: TestAdminOptions = {}) {
  const { loginsPerMinute = 1_000, requestsPerMinute = 100_000 } = options;
  const config = {
    ...adminSchema.parse({
      http: { port: 0, loginsPerMinute, requestsPerMinute },
      metricsToken: METRICS_TOKEN,
      ...(options.proxyLogin ? { proxyLogin: options.proxyLogin } : {}),
    }),
    users: USERS,
  };
  const admin = createAdminService({
    config,
    redis: { url: redisUrl, name: 'hobbler-admin' },
    ...(options.signer ? { signer: options.signer } : {}),
    clock: systemClock,
    log: options.log ?? silentLogger(),
  });
  return admin.start().then(() => ({ admin, url: admin.url! }));
}

/** Writes a host as its worker would, and its targets. Times count from now. */
export async function writeHost(
  redis: Redis,
  host: string,
  status: Partial<Status> = {},
  reports: Partial<Report>[] = [],
) {
  const nowMs = Date.now();
  await redis.sadd(fleetKeys.hosts, host);
  const record = statusExample({ host, startedAtMs: nowMs - 86_400_000, beatAtMs: nowMs - 1_000, ...status });
  await redis.set(hostKeys.status(host), JSON.stringify(record));
  for (const changes of reports) await writeReport(redis, host, changes);
}

export async function writeReport(redis: Redis, host: string, changes: Partial<Report>): Promise<Report> {
  const nowMs = Date.now();
  const report = reportExample({
    version: nowMs - 60_000,
    sinceMs: nowMs - 60_000,
    expiresAtMs: nowMs + 840_000,
    reportedAtMs: nowMs,
    ...changes,
  });
  await redis.hset(hostKeys.observed(host), report.target, JSON.stringify(report));
  return report;
}

export class Browser {
  readonly #origin: string;
  readonly #always: Record<string, string>;
  #cookie = '';

  /** `always`: headers of every request, as a proxy in front adds them. */
  constructor(origin: string, always: Record<string, string> = {}) {
    this.#origin = origin;
    this.#always = always;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#send(path, { headers });
  }

  /** Sends a form, from a page of this site unless `headers` say otherwise. */
  async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return this.#send(path, {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: { origin: this.#origin, 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  }

  /** Sends a form with the CSRF token that the page at `from` carries. */
  async submit(path: string, fields: Record<string, string>, from = '/'): Promise<Response> {
    return this.post(path, { csrf: await this.csrf(from), ...fields });
  }

  async call(method: string, path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#send(path, { method, headers: { origin: this.#origin, ...headers } });
  }

  async csrf(path = '/'): Promise<string> {
    const page = await (await this.get(path)).text();
    return /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? 'none';
  }

  async logIn(name: keyof typeof PASSWORDS): Promise<this> {
    const response = await this.post('/login', { name, password: PASSWORDS[name] });
    if (response.status !== 303) throw new Error(`login of ${name} answered ${response.status}`);
    return this;
  }

  get cookie(): string {
    return this.#cookie;
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers = {
      accept: 'text/html',
      ...this.#always,
      ...(init.headers as Record<string, string>),
      cookie: this.#cookie,
    };
    const response = await fetch(`${this.#origin}${path}`, { ...init, headers, redirect: 'manual' });
    const cookie = response.headers.get('set-cookie');
    if (cookie) this.#cookie = cookie.split(';')[0]!;
    return response;
  }
}

/** Lets the reading that pages share grow old, so that the next page shows what Redis holds now. */
export function nextReading(): Promise<void> {
  return sleep(systemClock, SHARED_FOR_MS + 50);
}

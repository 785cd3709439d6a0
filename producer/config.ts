/**
 * The `producer` section of hobbler.yaml. Owns what may be set beside the policy (policy/config.ts), the defaults, and
 * the rule that no door is open without a credential unless the operator says so for this machine alone. Messages never
 * repeat a token: tokens are checked on the object around them, whose value messages do not quote.
 */
import { z } from 'zod';
import { loadSection } from '../shared/config.ts';
import { durationMs } from '../shared/duration.ts';
import type { Environment } from '../shared/environment.ts';
import { HobblerError } from '../shared/errors.ts';
import { FLEET, MAX_LEASE_MS } from '../shared/order.ts';
import { ALL_SCOPES, isGoodToken, parseSenders, readTokenFiles, TOKEN_FORM } from './http/senders.ts';
import type { Place } from './place.ts';
import { checkPolicy, policyShape } from './policy/config.ts';
import { NO_LIMIT } from './policy/config-check.ts';
import { sourcesSchema } from './sources/config.ts';
import { webhooksSchema } from './webhooks/config.ts';

/** Renewed at a third of it by state alone, which workers read every 10 s: below this, targets would come free between. */
const MIN_LEASE_MS = 30_000;

const boundedDuration = (text: string, minMs: number, maxMs: number, expected: string) =>
  durationMs.refine((ms) => ms >= minMs && ms <= maxMs, `expected ${expected}`).prefault(text);

const http = z
  .strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    port: z.int().min(0).max(65_535).default(8081),
    tokens: z.array(z.unknown()).max(64).default([]),
    /** Take readings and orders without a token: for this machine alone, refused on any other address. */
    open: z.boolean().default(false),
    requestsPerMinute: z.int().min(1).max(1_000_000).default(6_000),
  })
  .transform(({ tokens, ...rest }, context) => {
    const parsed = parseSenders(tokens);
    if ('senders' in parsed) return { ...rest, tokens: parsed.senders };
    context.addIssue({ code: 'custom', message: `tokens: ${parsed.fault}` });
    return z.NEVER;
  });

export const producerSchema = z
  .strictObject({
    http: http.prefault({}),
    ...policyShape,
    /** How long an order of the policy lives; it is renewed at a third of it. A dead producer frees everyone by then. */
    lease: boundedDuration('15m', MIN_LEASE_MS, MAX_LEASE_MS, '30s to 24h'),
    webhooks: webhooksSchema.prefault({}),
    /** Judge and say, but give no order. */
    dryRun: z.boolean().default(false),
    sources: sourcesSchema.prefault({}),
  })
  .superRefine(...checkPolicy)
  .superRefine(({ limits, groups, accounts, sources }, context) => {
    const all = [
      limits,
      ...[...Object.values(groups), ...Object.values(accounts)].map((scope) => scope.limits),
    ].flatMap((scope) => Object.values(scope));
    const isMeasured = all.some(
      (limit) =>
        limit !== NO_LIMIT &&
        (limit.unit ?? METERED.unit) === METERED.unit &&
        (limit.resource ?? METERED.resource) === METERED.resource,
    );
    if (!sources.meter || all.length === 0 || isMeasured) return;
    context.addIssue({
      code: 'custom',
      path: ['sources', 'meter'],
      message: 'expected a limit with unit s and resource cpu, which is what the meter counts',
    });
  });
export type ProducerConfig = z.output<typeof producerSchema>;

/** What the workers' meter counts. */
export const METERED = { unit: 's', resource: 'cpu' } as const;

export interface ProducerOverrides {
  /** HOST:PORT of the HTTP door. */
  listen?: string;
  dryRun?: boolean;
  /** More files of JSON lines. */
  files?: readonly string[];
  /** More files to follow. */
  follow?: readonly string[];
}

/** The section of the file at `path` (undefined: defaults), completed from environment and options. Throws invalid-config. */
export function loadProducerConfig(
  path: string | undefined,
  environment: Pick<Environment, 'producerToken'>,
  { listen, dryRun, files = [], follow = [] }: ProducerOverrides = {},
): ProducerConfig {
  const config = loadSection(path, 'producer', producerSchema);
  const token = environment.producerToken;
  if (token !== undefined) {
    if (!isGoodToken(token)) {
      throw new HobblerError('invalid-config', 'not fit as a token', {
        where: 'HOBBLER_PRODUCER_TOKEN',
        hint: TOKEN_FORM,
      });
    }
    config.http.tokens.push({ name: 'environment', token, scopes: ALL_SCOPES });
  }
  readTokenFiles(config.http.tokens);
  if (listen !== undefined) Object.assign(config.http, parseListen(listen));
  if (dryRun !== undefined) config.dryRun = dryRun;
  config.sources.files.push(...files);
  config.sources.follow.push(...follow);
  requireSafeDoor(config);
  return config;
}

function parseListen(text: string): { host: string; port: number } {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(portText);
  const host = bracketed ?? plain;
  if (host === undefined || port > 65_535) {
    throw new HobblerError('invalid-config', 'not an address to listen on', {
      where: '--listen',
      expected: 'HOST:PORT such as 127.0.0.1:8081',
      got: text,
    });
  }
  return { host, port };
}

/** Refuses a door that anybody could use. Throws invalid-config that says what to do. */
export function requireSafeDoor({ http: { host, open, tokens }, sources }: ProducerConfig): void {
  if (!sources.http || tokens.length > 0) return;
  const where = 'producer.http';
  const makeOne = 'set HOBBLER_PRODUCER_TOKEN (such as `openssl rand -hex 24` makes) or producer.http.tokens';
  if (!isLoopbackName(host)) {
    throw new HobblerError('invalid-config', 'no token, and others can reach that address', {
      where,
      got: host,
      hint: makeOne,
    });
  }
  if (!open) {
    throw new HobblerError('invalid-config', 'no token', {
      where,
      hint: `${makeOne}; or, where every user of this machine may give orders, producer.http.open: true; or sources.http: false`,
    });
  }
}

/** True for an address that only this machine reaches. */
export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** The places an account stands for: by config, else the user of its name on every host. Not checked for sense. */
export function placesOf({ accounts }: Pick<ProducerConfig, 'accounts'>, name: string): readonly Place[] {
  const own = Object.hasOwn(accounts, name) ? accounts[name]?.targets : undefined;
  return own ?? [{ host: FLEET, target: `user:${name}` }];
}

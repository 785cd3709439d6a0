/**
 * The `producer` section of hobbler.yaml. Owns what may be set, the defaults, and the rule that no door is open
 * without a credential unless the operator says so for this machine alone. Messages never repeat a token: tokens are
 * checked on the object around them, whose value messages do not quote.
 */
import { z } from 'zod';
import { loadSection } from '../shared/config.ts';
import { durationMs } from '../shared/duration.ts';
import type { Environment } from '../shared/environment.ts';
import { HobblerError } from '../shared/errors.ts';
import { DEFAULT_RUN_MS, DEFAULT_STOP_MS, FLEET, hobbleSchema, MAX_LEASE_MS } from '../shared/order.ts';
import { accountName, resourceLabel, unitLabel } from './labels.ts';
import { type Place, place } from './place.ts';
import { resetsSchema } from './window.ts';

/** A bearer token shorter than this can be guessed. */
const MIN_TOKEN_CHARS = 16;
/** Renewed at a third of it by state alone, which workers read every 10 s: below this, targets would come free between. */
const MIN_LEASE_MS = 30_000;

const boundedDuration = (text: string, minMs: number, maxMs: number, expected: string) =>
  durationMs.refine((ms) => ms >= minMs && ms <= maxMs, `expected ${expected}`).prefault(text);

const limitFields = {
  /** How much may be used in one window, in `unit`. */
  used: z.number().positive(),
  unit: unitLabel,
  resource: resourceLabel,
  resets: resetsSchema,
};
const defaultLimit = z.strictObject({
  ...limitFields,
  unit: limitFields.unit.default('s'),
  resource: limitFields.resource.default('cpu'),
  resets: limitFields.resets.prefault({ daily: '00:00' }),
});
/** How much an account may use, of what, and when that starts anew. */
export type Limit = z.output<typeof defaultLimit>;

const account = z.strictObject({
  /** What the account stands for; without it, account NAME is user:NAME on every host. */
  targets: z.array(place).min(1).max(64).optional(),
  /** What differs from limits.default. */
  limit: z.strictObject(limitFields).partial().optional(),
});

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
    const good = tokens.filter((token): token is string => typeof token === 'string' && isGoodToken(token));
    if (good.length === tokens.length) return { ...rest, tokens: good };
    context.addIssue({ code: 'custom', message: `tokens: ${TOKEN_FORM}` });
    return z.NEVER;
  });

export const producerSchema = z
  .strictObject({
    http: http.prefault({}),
    limits: z.strictObject({ default: defaultLimit.optional() }).prefault({}),
    accounts: z.record(accountName, account).default({}),
    /** Accounts that are never put in the tarpit by the policy. */
    exempt: z.array(accountName).max(100_000).default(['root']),
    /** A tarpitted account leaves before its window resets once it is below this share of its limit. */
    leaveRatio: z.number().min(0).lt(1).default(0.9),
    /** The duty cycle of the tarpit. */
    level: hobbleSchema.strict().prefault({ runMs: DEFAULT_RUN_MS, stopMs: DEFAULT_STOP_MS }),
    /** How long an order of the policy lives; it is renewed at a third of it. A dead producer frees everyone by then. */
    lease: boundedDuration('15m', MIN_LEASE_MS, MAX_LEASE_MS, '30s to 24h'),
    /** An account of which nothing was heard for so long is let go: its accounting may be dead. */
    forgetAfter: boundedDuration('24h', MIN_LEASE_MS, 31 * 86_400_000, '30s to 31d'),
    /** Judge and say, but give no order. */
    dryRun: z.boolean().default(false),
    sources: z
      .strictObject({
        http: z.boolean().default(true),
        /** JSON lines, read once at the start; `-` is standard input. */
        files: z.array(z.string().min(1)).max(64).default([]),
        /** The workers' own count of CPU seconds. */
        meter: z.strictObject({ every: boundedDuration('30s', 100, 3_600_000, '100ms to 1h') }).optional(),
      })
      .prefault({}),
  })
  .superRefine(({ limits, accounts, sources }, context) => {
    const { unit, resource } = limits.default ?? { unit: 's', resource: 'cpu' };
    if (sources.meter && (unit !== 's' || resource !== 'cpu')) {
      context.addIssue({
        code: 'custom',
        path: ['limits', 'default', unit === 's' ? 'resource' : 'unit'],
        message: 'expected unit s and resource cpu, which is what sources.meter counts',
      });
    }
    for (const [name, { limit }] of Object.entries(accounts)) {
      if (limit !== undefined && limit.used === undefined && limits.default === undefined) {
        context.addIssue({
          code: 'custom',
          path: ['accounts', name, 'limit', 'used'],
          message: 'expected how much may be used, as there is no limits.default',
        });
      }
    }
  });
export type ProducerConfig = z.output<typeof producerSchema>;
export type Level = ProducerConfig['level'];

const TOKEN_FORM = `expected text of ${MIN_TOKEN_CHARS} to 512 printable characters without spaces`;

function isGoodToken(token: string): boolean {
  return token.length >= MIN_TOKEN_CHARS && token.length <= 512 && /^[\x21-\x7e]+$/.test(token);
}

export interface ProducerOverrides {
  /** HOST:PORT of the HTTP door. */
  listen?: string;
  dryRun?: boolean;
  /** More files of JSON lines. */
  files?: readonly string[];
}

/** The section of the file at `path` (undefined: defaults), completed from environment and options. Throws invalid-config. */
export function loadProducerConfig(
  path: string | undefined,
  environment: Pick<Environment, 'producerToken'>,
  { listen, dryRun, files = [] }: ProducerOverrides = {},
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
    config.http.tokens.push(token);
  }
  if (listen !== undefined) Object.assign(config.http, parseListen(listen));
  if (dryRun !== undefined) config.dryRun = dryRun;
  config.sources.files.push(...files);
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

/** The limit of an account by config; null when there is none. */
export function limitOf({ accounts, limits }: ProducerConfig, name: string): Limit | null {
  const own = (Object.hasOwn(accounts, name) ? accounts[name]?.limit : undefined) ?? {};
  const used = own.used ?? limits.default?.used;
  if (used === undefined) return null;
  const fallback = limits.default ?? { unit: 's', resource: 'cpu', resets: { kind: 'daily' as const, atMs: 0 } };
  return {
    used,
    unit: own.unit ?? fallback.unit,
    resource: own.resource ?? fallback.resource,
    resets: own.resets ?? fallback.resets,
  };
}

/** The places an account stands for: by config, else the user of its name on every host. Not checked for sense. */
export function placesOf({ accounts }: ProducerConfig, name: string): readonly Place[] {
  const own = Object.hasOwn(accounts, name) ? accounts[name]?.targets : undefined;
  return own ?? [{ host: FLEET, target: `user:${name}` }];
}

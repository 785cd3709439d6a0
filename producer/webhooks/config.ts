/**
 * `producer.webhooks`: who is told when an account is slowed or let go. Owns the written form, its defaults, and how a
 * secret comes in: from a file or the environment, never from the config, and into no message.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { durationMs } from '../../shared/duration.ts';
import type { Environment } from '../../shared/environment.ts';
import { HobblerError, messageOf } from '../../shared/errors.ts';

export const EVENTS = ['entered', 'climbed', 'eased', 'left', 'brake'] as const;
/** What may be told: into the tarpit, to a harsher level, to a milder one, out of it; and that the brake holds. */
export type EventName = (typeof EVENTS)[number];

const MAX_PERIOD_MS = 7 * 86_400_000;

const endpointSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected a name of [a-z0-9-], at most 32 characters'),
    url: z
      .string()
      .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), 'expected an http or https URL'),
    /** Lines of `whsec_…`; the first signs, and the others sign besides, while receivers change over. */
    secretFile: z.string().startsWith('/', 'expected an absolute path').optional(),
    events: z
      .array(z.enum(EVENTS))
      .min(1)
      .default([...EVENTS]),
    /** Also to addresses of this machine and of private networks, and then without TLS if the URL says so. */
    allowPrivate: z.boolean().default(false),
  })
  .superRefine(({ url, allowPrivate }, context) => {
    const parsed = URL.parse(url);
    const fault =
      parsed && (parsed.username || parsed.password)
        ? 'expected no user or password: a secret signs'
        : parsed?.protocol === 'http:' && !allowPrivate
          ? 'expected https; http only with allowPrivate, where nobody listens on the way'
          : undefined;
    if (fault) context.addIssue({ code: 'custom', path: ['url'], message: fault });
  });

export const webhooksSchema = z
  .strictObject({
    /** Of one account, at most one message in this time; what happens meanwhile is told at its end, as it stands then. */
    perAccount: durationMs.refine((ms) => ms >= 1_000 && ms <= MAX_PERIOD_MS, 'expected 1s to 7d').prefault('1h'),
    endpoints: z.array(endpointSchema).max(16).default([]),
  })
  .refine(({ endpoints }) => new Set(endpoints.map(({ name }) => name)).size === endpoints.length, {
    path: ['endpoints'],
    error: 'expected a name of its own for each',
  });
export type WebhooksConfig = z.output<typeof webhooksSchema>;
export type Endpoint = WebhooksConfig['endpoints'][number] & { secrets: readonly Buffer[] };

/** Bytes of a secret: fewer can be guessed, and nobody has more. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** The endpoints with their secrets, read. Throws invalid-config that names the file and never what is in it. */
export function readEndpoints(
  { endpoints }: WebhooksConfig,
  { webhookSecret }: Pick<Environment, 'webhookSecret'>,
): Endpoint[] {
  return endpoints.map((endpoint) => {
    const { name, secretFile } = endpoint;
    if (secretFile === undefined && webhookSecret === undefined) {
      throw new HobblerError('invalid-config', 'no secret to sign with', {
        where: `producer.webhooks.endpoints (${name})`,
        hint: 'set secretFile or HOBBLER_WEBHOOK_SECRET, such as: echo "whsec_$(openssl rand -base64 32)"',
      });
    }
    const where = secretFile ?? 'HOBBLER_WEBHOOK_SECRET';
    const lines = (secretFile === undefined ? webhookSecret! : readText(secretFile)).split('\n');
    return { ...endpoint, secrets: lines.filter((line) => line.trim() !== '').map((line) => parseSecret(line, where)) };
  });
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    if (text.trim() !== '') return text;
  } catch (error) {
    throw new HobblerError('invalid-config', `cannot be read (${messageOf(error)})`, { where: file });
  }
  throw new HobblerError('invalid-config', 'holds no secret', { where: file });
}

function parseSecret(line: string, where: string): Buffer {
  const text = line.trim().replace(/^whsec_/, '');
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  if (isBase64 && bytes.length >= MIN_SECRET_BYTES && bytes.length <= MAX_SECRET_BYTES) return bytes;
  throw new HobblerError('invalid-config', 'not a secret', {
    where,
    expected: `whsec_ and ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes in base64`,
  });
}

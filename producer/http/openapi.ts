/**
 * GET /openapi.json: the door described for programs, in OpenAPI 3.1. What is asked and answered is made from the very
 * schemas that parse and from those that the tests hold real answers against, so it cannot drift; written here is only
 * what no schema says. test/redis/producer/openapi.test.ts compares it with the routes.
 */
import { z } from 'zod';
import { HOBBLER_VERSION } from '../../shared/version.ts';
import { directOrderSchema } from '../direct-orders.ts';
import { readingSchema } from '../reading.ts';
import { accountAnswerSchema, errorSchema, healthSchema, orderAnswerSchema, readingsAnswerSchema } from './answers.ts';
import { LINE_TYPES, MAX_BATCH } from './bodies.ts';
import { SCOPES, type Scope } from './senders.ts';

type Json = Record<string, unknown>;

/** The document as text. Pure; costs some milliseconds, so ask for it once. */
export function openApiText(): string {
  return JSON.stringify(openApiDocument());
}

export function openApiDocument(): Json {
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'hobbler producer',
      version: HOBBLER_VERSION,
      description: 'Hand in what accounts have used, give orders, and ask why an account is slow.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths: {
      '/v1/readings': { post: readingsOperation() },
      '/v1/orders': { post: ordersOperation() },
      '/v1/accounts/{account}': { get: accountOperation() },
      '/metrics': {
        get: operation('metrics', "The producer's own figures, for Prometheus", 'metrics:read', {
          200: { description: 'Figures', content: { 'text/plain': { schema: { type: 'string' } } } },
        }),
      },
      '/healthz': {
        get: {
          ...operation('health', 'Whether it can do its work', undefined, {
            200: answer('It can', 'Health'),
            503: answer('Redis cannot be used now', 'Health'),
          }),
          security: [],
        },
      },
      '/openapi.json': {
        get: {
          ...operation('openapi', 'This document', undefined, {
            200: { description: 'OpenAPI 3.1', content: { 'application/json': { schema: { type: 'object' } } } },
          }),
          security: [],
        },
      },
    },
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: `A token of producer.http.tokens. Its scopes: ${Object.entries(SCOPES)
            .map(([scope, what]) => `\`${scope}\` (${what})`)
            .join(', ')}.`,
        },
      },
      parameters: {
        IdempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          description:
            'A name of yours for this request. Repeated within an hour, it is not carried out again and gets the same answer.',
          schema: { type: 'string', minLength: 1, maxLength: 128, pattern: '^[\\x21-\\x7e]+$' },
        },
      },
      headers: {
        RetryAfter: { description: 'Seconds until it is worth trying again', schema: { type: 'integer', minimum: 1 } },
      },
      schemas: {
        // What zod cannot say in JSON Schema: one of the two.
        Reading: { ...asked(readingSchema), oneOf: [{ required: ['used'] }, { required: ['total'] }] },
        Order: asked(directOrderSchema),
        ReadingsAnswer: answered(readingsAnswerSchema),
        OrderAnswer: answered(orderAnswerSchema),
        Account: answered(accountAnswerSchema),
        Health: answered(healthSchema),
        Error: answered(errorSchema),
      },
    },
  };
}

function readingsOperation(): Json {
  const one = reference('Reading');
  const batch = { type: 'array', minItems: 1, maxItems: MAX_BATCH, items: one };
  const lines = { schema: { type: 'string', description: 'One reading a line, as JSON' } };
  return {
    ...operation('sendReadings', 'Hand in what accounts have used', 'readings:write', {
      200: answer('All are judged and written down', 'ReadingsAnswer'),
      207: answer('Some are; the others are named with the reason', 'ReadingsAnswer'),
      400: {
        description: 'None is: each is named with the reason; or the body is none',
        content: json({ oneOf: [reference('ReadingsAnswer'), reference('Error')] }),
      },
      413: refusal('More than may be in one request'),
      415: refusal('Neither JSON nor lines of it'),
      ...changing,
    }),
    parameters: [{ $ref: '#/components/parameters/IdempotencyKey' }],
    requestBody: {
      required: true,
      content: {
        ...json({ oneOf: [one, batch] }),
        ...Object.fromEntries(LINE_TYPES.map((type) => [type, lines])),
      },
    },
  };
}

function ordersOperation(): Json {
  return {
    ...operation('giveOrder', 'Give an order', 'orders:write', {
      200: answer('A dry run: nothing is ordered', 'OrderAnswer'),
      202: answer('It stands, and the hosts that are up are woken', 'OrderAnswer'),
      400: refusal('It is no order'),
      413: refusal('Too long to be one'),
      415: refusal('No JSON'),
      ...changing,
    }),
    parameters: [{ $ref: '#/components/parameters/IdempotencyKey' }],
    requestBody: { required: true, content: json(reference('Order')) },
  };
}

function accountOperation(): Json {
  return {
    ...operation('account', 'Why an account is slow, what it used, and when that ends', 'accounts:read', {
      200: {
        description: 'What is known of it; a page for people where text/html is asked for before JSON',
        content: { ...json(reference('Account')), 'text/html': { schema: { type: 'string' } } },
      },
      404: refusal('Nothing is known of it'),
      503: later('Redis cannot be used now'),
    }),
    parameters: [
      { name: 'account', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 256 } },
    ],
  };
}

function operation(operationId: string, summary: string, scope: Scope | undefined, responses: Json): Json {
  const credentials =
    scope === undefined
      ? {}
      : { 401: refusal('No token, or an unknown one'), 403: refusal(`The token lacks the scope ${scope}`) };
  return {
    operationId,
    summary,
    ...(scope === undefined ? {} : { description: `Needs a token with the scope \`${scope}\`.` }),
    responses: { ...responses, ...credentials, 429: later('Too much at once') },
  };
}

/** What every request that changes something may meet. */
const changing = {
  409: later('The first request under this Idempotency-Key is still at work'),
  422: refusal('This Idempotency-Key stood for another body'),
  503: later('Redis cannot be used now; nothing was accepted'),
};

function asked(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
}

function answered(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }));
}

/** The document names it once for all. */
function withoutDialect({ $schema: _, ...schema }: Json): Json {
  return schema;
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function json(schema: Json): Json {
  return { 'application/json': { schema } };
}

function answer(description: string, schema: string): Json {
  return { description, content: json(reference(schema)) };
}

function refusal(description: string): Json {
  return answer(description, 'Error');
}

function later(description: string): Json {
  return { ...refusal(description), headers: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } };
}

/** The OpenAPI document says what the door does: its routes, its scopes, and real answers held against its schemas. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { AccountPage } from '../../../producer/account-page.ts';
import {
  accountAnswerSchema,
  errorSchema,
  healthSchema,
  orderAnswerSchema,
  readingsAnswerSchema,
} from '../../../producer/http/answers.ts';
import { openHttpDoor } from '../../../producer/http/door.ts';
import { openApiDocument } from '../../../producer/http/openapi.ts';
import { ProducerMetrics } from '../../../producer/metrics.ts';
import type { ProducerService } from '../../../producer/service.ts';
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

// biome-ignore lint/suspicious/noExplicitAny: a document of another standard, looked into path by path
const document = openApiDocument() as any;

test('it is OpenAPI 3.1, and what is served is what is tested here', async () => {
  const result = await new Validator().validate(structuredClone(document));
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  expect((await ask(producer, '/openapi.json', undefined, { token: null })).body).toEqual(
    JSON.parse(JSON.stringify(document)),
  );
});

test('it names every route with its scope, and no other', async () => {
  const never = (): never => {
    throw new Error('not asked here');
  };
  const figures = { tarpitted: never, waiting: never, isBraked: never, isRedisReady: never };
  const parts = {
    config: fixture.config(),
    metrics: new ProducerMetrics(figures),
    clock: systemClock,
    log: silentLogger(),
  };
  const app = await openHttpDoor({ ...parts, redis: fixture.redis } as Parameters<typeof openHttpDoor>[0]);
  await app.ready();
  const operations = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase() as 'GET', path, operation })),
  );
  for (const { method, path } of operations)
    expect(app.hasRoute({ method, url: path.replace(/\{(\w+)\}/g, ':$1') }), path).toBe(true);
  await app.close();
  const listed = app.printRoutes({ commonPrefix: false }).match(/\((?:GET|POST)/g);
  expect(listed).toHaveLength(operations.length);

  const poor = `${TOKEN}-poor`;
  const tokens = [{ name: 'poor', token: poor, scopes: ['metrics:read'] }];
  const guarded = await fixture.start({ http: { tokens } });
  for (const { method, path, operation } of operations) {
    const body = method === 'GET' ? undefined : {};
    const asStranger = await ask(guarded, path, body, { token: null });
    expect(asStranger.status === 401, path).toBe(operation.security === undefined);
    const lacks = (await ask(guarded, path, body, { token: poor })).headers.get('www-authenticate');
    const scope = /scope="(.*)"/.exec(lacks ?? '')?.[1];
    if (scope) expect(operation.description).toContain(`\`${scope}\``);
    else expect(operation.description ?? 'metrics:read').toContain('metrics:read');
  }
});

test('real answers are as it says', async () => {
  const holds = (schema: z.ZodType, body: unknown) => expect(schema.safeParse(body).error).toBeUndefined();
  const batch = [{ account: 'alice', used: 2_104, limit: 2_000 }, { account: '' }];
  holds(readingsAnswerSchema, (await ask(producer, '/v1/readings', batch)).body);
  holds(readingsAnswerSchema, (await ask(producer, '/v1/readings', Array(1_001).fill({}))).body);
  const order = { action: 'tarpit', host: '*', target: 'user:carol', reason: 'r', by: 'billing' };
  holds(orderAnswerSchema, (await ask(producer, '/v1/orders', order)).body);
  const account = (await ask(producer, '/v1/accounts/alice')).body;
  expect(account).toMatchObject({ isSlowed: true });
  holds(accountAnswerSchema, account);
  holds(healthSchema, (await ask(producer, '/healthz')).body);
  holds(errorSchema, (await ask(producer, '/v1/accounts/nobody')).body);
  holds(errorSchema, (await ask(producer, '/metrics', undefined, { token: `${TOKEN}x` })).body);
  expectTypeOf<z.output<typeof accountAnswerSchema>>().toEqualTypeOf<AccountPage>();
});

test('what it asks for is what is parsed: its fields, and which of them there must be', () => {
  const { Reading, Order } = document.components.schemas;
  expect(Reading).toMatchObject({ required: ['account'], additionalProperties: false });
  expect(Reading.oneOf).toEqual([{ required: ['used'] }, { required: ['total'] }]);
  expect(Order.required).toEqual(['action', 'host', 'target', 'reason', 'by']);
});

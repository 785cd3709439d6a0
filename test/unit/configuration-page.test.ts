/** docs/configuration.md says what is true: its example is valid, and shows the defaults it claims. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { adminSchema } from '../../admin/config.ts';
import { producerSchema } from '../../producer/config.ts';
import { standardLadder } from '../../producer/policy/config.ts';
import { Rules } from '../../producer/policy/rules.ts';
import { sourcesSchema } from '../../producer/sources/config.ts';
import { type PrometheusConfig, prometheusSchema } from '../../producer/sources/prometheus/config.ts';
import { parseSection } from '../../shared/config.ts';
import { redisSchema } from '../../shared/redis/config.ts';
import { workerConfigSchema } from '../../worker/config.ts';

const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const example = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;

test('the example is valid in every section', () => {
  expect(parseSection(example, 'example', 'worker', workerConfigSchema).minUid).toBe(1000);
  expect(parseSection(example, 'example', 'producer', producerSchema).accounts.acme!.targets).toHaveLength(2);
  expect(parseSection(example, 'example', 'admin', adminSchema).http.port).toBe(8080);
  expect(parseSection(example, 'example', 'redis', redisSchema).tls).toHaveProperty('ca');
  const signOn = /```yaml\n(admin:\n {2}proxyLogin:[\s\S]*?)```/.exec(page)![1]!;
  expect(parseSection(signOn, 'example', 'admin', adminSchema).proxyLogin).toMatchObject({ viewers: 'everyone' });
});

test('what it shows are the defaults, but for the names in it', () => {
  const { host: _, stateDir: __, ...worker } = parseSection(example, 'example', 'worker', workerConfigSchema);
  expect(worker).toEqual(workerConfigSchema.parse({}));
  const { limits, ladders, groups, accounts, sources, ...producer } = parseSection(
    example,
    'example',
    'producer',
    producerSchema,
  );
  const named = { limits: {}, ladders: {}, groups: {}, accounts: {} };
  const { meter, prometheus, ...unnamed } = sources;
  expect({ ...producer, ...named, sources: { ...unnamed, prometheus: [] } }).toEqual(producerSchema.parse({}));
  expect(meter).toEqual(sourcesSchema.parse({ meter: {} }).meter);
  const [{ url, queries }] = prometheus as [PrometheusConfig];
  expect(prometheus).toEqual([prometheusSchema.parse({ url, queries })]);
  expect(ladders.standard).toEqual(standardLadder);
  const short = parseSection('producer: { limits: { default: { used: 2000 } } }', 'short', 'producer', producerSchema);
  expect(new Rules({ ...producer, limits, ladders, groups: {}, accounts: {} }).of('x').limits[0]).toEqual(
    new Rules(short).of('x').limits[0],
  );
  expect(groups).toHaveProperty('students');
  expect(accounts).toHaveProperty('acme');
  expect(parseSection(example, 'example', 'admin', adminSchema)).toEqual(adminSchema.parse({}));
});

test('every variable that is read stands on the page', () => {
  const source = readFileSync(new URL('../../shared/environment.ts', import.meta.url), 'utf8');
  for (const [, name] of source.matchAll(/text\('(HOBBLER_[A-Z_]+|REDIS_URL|NO_COLOR)'\)/g))
    expect(page).toContain(`\`${name}\``);
});

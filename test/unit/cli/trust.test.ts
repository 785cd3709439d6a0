/** What doctor says of who may give this host orders: from safe to open. */
import { expect, it } from 'vitest';
import { trustFinding } from '../../../cli/doctor.ts';
import { generateKeys } from '../../../shared/signature.ts';
import { workerConfigSchema } from '../../../worker/config.ts';

const key = { id: 'producer-1', role: 'producer' as const, publicKey: generateKeys().publicKey };

it.each([
  ['signed orders', { keys: [key] }, 'redis://redis.example', 'ok', '1 keys'],
  ['a socket of this machine', {}, 'unix:///run/redis.sock', 'ok', 'of this machine'],
  ['loopback with a password', {}, 'redis://:secret@127.0.0.1', 'ok', 'of this machine'],
  ['loopback without one', {}, 'redis://127.0.0.1:6379', 'warn', 'every user of this machine may give orders'],
  ['a network, allowed', { allowUnsigned: true }, 'redis://redis.example', 'warn', 'other machines'],
  ['a network, not allowed', {}, 'redis://redis.example', 'fail', 'a worker will not start'],
] as const)('%s', (_what, worker, url, status, detail) => {
  const finding = trustFinding({ worker: workerConfigSchema.parse(worker) }, url);
  expect(finding).toMatchObject({ status, detail: expect.stringContaining(detail) });
  if (status !== 'ok') expect(finding.hint).toBeTruthy();
});

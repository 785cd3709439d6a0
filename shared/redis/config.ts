/**
 * The `redis` section of hobbler.yaml: where Redis is, and the files with which TLS proves who both sides are. Reads
 * and checks the files at the start, so that a typo is told with its path and not as a broken connection. There is no
 * setting that leaves the server's certificate unchecked.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Environment } from '../environment.ts';
import { HobblerError, messageOf } from '../errors.ts';

const path = z.string().startsWith('/', 'expected an absolute path');

export const redisSchema = z
  .strictObject({
    /** redis://, rediss:// or unix:///PATH. */
    url: z.string().min(1).optional(),
    /** For rediss:// alone. PEM files, read at the start. */
    tls: z
      .strictObject({
        /** Who may have signed the server's certificate; without it, whom this machine's Node.js trusts. */
        ca: path.optional(),
        /** What this side shows, where the server asks for it (tls-auth-clients, Redis's default). */
        cert: path.optional(),
        key: path.optional(),
        /** The name that must stand in the server's certificate, where that is not the host of the URL. */
        serverName: z.string().min(1).max(253).optional(),
      })
      .prefault({}),
  })
  .prefault({});
export type RedisConfig = z.output<typeof redisSchema>;

/** What TLS is made of, read: PEM texts. */
export interface RedisTls {
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
}

/**
 * The TLS files of section and environment (which wins), read and checked; undefined where none is named. Throws
 * invalid-config for what cannot be read, is none, or does not belong together.
 */
export function readRedisTls(
  { tls }: RedisConfig,
  environment: Pick<Environment, 'redisTlsCa' | 'redisTlsCert' | 'redisTlsKey'>,
  url: string,
): RedisTls | undefined {
  const ca = environment.redisTlsCa ?? tls.ca;
  const cert = environment.redisTlsCert ?? tls.cert;
  const key = environment.redisTlsKey ?? tls.key;
  const { serverName } = tls;
  if (ca === undefined && cert === undefined && key === undefined && serverName === undefined) return undefined;
  if (!/^rediss:/i.test(url)) {
    throw new HobblerError('invalid-config', 'files for TLS, and a URL without it', {
      where: 'redis.tls',
      expected: 'a URL that begins with rediss://',
    });
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new HobblerError('invalid-config', 'a certificate and its key go together', {
      where: 'redis.tls',
      expected: 'both cert and key (HOBBLER_REDIS_TLS_CERT, HOBBLER_REDIS_TLS_KEY), or neither',
    });
  }
  return {
    ...(ca === undefined ? {} : { ca: readCa(ca) }),
    ...(cert === undefined || key === undefined ? {} : readPair(cert, key)),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function readCa(file: string): string {
  const pem = readPem(file, 'redis.tls.ca');
  parseCertificate(pem, file, 'redis.tls.ca');
  return pem;
}

function readPair(certFile: string, keyFile: string): { cert: string; key: string } {
  const cert = readPem(certFile, 'redis.tls.cert');
  const certificate = parseCertificate(cert, certFile, 'redis.tls.cert');
  const key = readPem(keyFile, 'redis.tls.key');
  let isPair: boolean;
  try {
    isPair = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    // What OpenSSL says of it can hold parts of the key.
    throw new HobblerError('invalid-config', 'not a private key', {
      where: `redis.tls.key (${keyFile})`,
      expected: 'PEM, not encrypted',
    });
  }
  if (!isPair) {
    throw new HobblerError('invalid-config', `not the key of the certificate in ${certFile}`, {
      where: `redis.tls.key (${keyFile})`,
    });
  }
  return { cert, key };
}

function readPem(file: string, where: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new HobblerError('invalid-config', `cannot be read (${messageOf(error)})`, { where });
  }
}

function parseCertificate(pem: string, file: string, where: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new HobblerError('invalid-config', 'not a certificate', { where: `${where} (${file})`, expected: 'PEM' });
  }
}

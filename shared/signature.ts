/**
 * Signed orders (invariant 7). Ed25519 over the canonical form of the whole order without its signature. Hosts hold
 * public keys alone, each bound to a role, so that a stolen host forges nothing and a producer's key cannot speak as an
 * operator. This file never logs and never writes a private key.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { HobblerError, messageOf } from './errors.ts';
import type { Order } from './order.ts';

export const roles = ['producer', 'operator'] as const;
export type Role = (typeof roles)[number];

/** A public key that a host trusts, as the worker's config lists it. */
export const trustedKeySchema = z.strictObject({
  id: z.string().min(1).max(128),
  role: z.enum(roles),
  /** SPKI in base64 (one line) or PEM. */
  publicKey: z.string().min(1),
});
export type TrustedKey = z.infer<typeof trustedKeySchema>;

/** What signs an order: a key id and its private key. */
export interface Signer {
  keyId: string;
  privateKey: KeyObject;
}

/**
 * The bytes that are signed: the order without `signature`, as JSON with keys sorted at every depth and no white space.
 * Numbers in orders are integers, so every JSON library writes them alike.
 */
export function canonical(order: Record<string, unknown>): string {
  return canonicalObject(order, 'signature');
}

function canonicalObject(object: object, without?: string): string {
  let text = '';
  for (const key of Object.keys(object).sort()) {
    const value = (object as Record<string, unknown>)[key];
    if (value === undefined || key === without) continue;
    text += `${text === '' ? '{' : ','}${JSON.stringify(key)}:${canonicalValue(value)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function canonicalValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalValue).join(',')}]`;
  return typeof value === 'object' && value !== null ? canonicalObject(value) : JSON.stringify(value);
}

/** The order with `keyId` and `signature` set. */
export function signOrder<T extends Order>(order: T, signer: Signer): T {
  const named = { ...order, keyId: signer.keyId };
  const signature = sign(null, Buffer.from(canonical(named)), signer.privateKey).toString('base64url');
  return { ...named, signature };
}

/** Who may say what: `policy` is the producer's word, `operator:NAME` an operator's; anything else either may say. */
function roleMaySpeakAs(role: Role, by: string): boolean {
  if (by === 'policy') return role === 'producer';
  if (by.startsWith('operator:')) return role === 'operator';
  return true;
}

export type Verification = { trusted: true } | { trusted: false; why: string };

/** Checks signatures against the keys of this host's config. */
export class Verifier {
  readonly #keys = new Map<string, { role: Role; publicKey: KeyObject }>();

  constructor(trusted: readonly TrustedKey[]) {
    for (const key of trusted) {
      if (this.#keys.has(key.id))
        throw new HobblerError('invalid-config', 'key id listed twice', { where: 'worker.keys', got: key.id });
      this.#keys.set(key.id, { role: key.role, publicKey: parsePublicKey(key) });
    }
  }

  /** True when there is no key at all: then nothing can be verified and nothing is. */
  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  /** `raw` is the order exactly as it came, unknown fields included, once `parseOrder` took it and so bounded it. */
  verify(raw: Record<string, unknown>): Verification {
    if (this.isEmpty) return { trusted: true };
    const { keyId, signature, by } = raw;
    if (typeof keyId !== 'string' || typeof signature !== 'string')
      return { trusted: false, why: 'the order is not signed' };
    const key = this.#keys.get(keyId);
    if (!key) return { trusted: false, why: `key ${JSON.stringify(keyId)} is not trusted here` };
    const isGood = verify(null, Buffer.from(canonical(raw)), key.publicKey, Buffer.from(signature, 'base64url'));
    if (!isGood) return { trusted: false, why: `the signature by key ${JSON.stringify(keyId)} does not fit the order` };
    if (typeof by === 'string' && !roleMaySpeakAs(key.role, by)) {
      return { trusted: false, why: `a ${key.role} key may not give orders by ${JSON.stringify(by)}` };
    }
    return { trusted: true };
  }
}

/** A fresh key pair: the private key as PKCS#8 PEM, the public one as one line of base64 for a host's config. */
export function generateKeys(): { privateKeyPem: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

/** Reads a private key in PEM. The error never quotes the key. */
export function parsePrivateKey(pem: string, where: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new HobblerError('invalid-config', 'not a private key in PEM', {
      where,
      hint: 'make one with: hobbler keys',
      cause: messageOf(error),
    });
  }
  return requireEd25519(key, where);
}

function parsePublicKey({ id, publicKey }: TrustedKey): KeyObject {
  const where = `public key ${id}`;
  try {
    const key = publicKey.includes('-----BEGIN')
      ? createPublicKey(publicKey)
      : createPublicKey({ key: Buffer.from(publicKey, 'base64'), type: 'spki', format: 'der' });
    return requireEd25519(key, where);
  } catch (error) {
    if (error instanceof HobblerError) throw error;
    throw new HobblerError('invalid-config', 'not a public key (SPKI, base64 or PEM)', { where, got: publicKey });
  }
}

function requireEd25519(key: KeyObject, where: string): KeyObject {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new HobblerError('invalid-config', 'wrong type of key', {
      where,
      expected: 'ed25519',
      got: key.asymmetricKeyType,
    });
  }
  return key;
}

/** Signed orders (invariant 7): only who holds a key of the right role gives orders, and nothing in one can be changed. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HobblerError } from '../../../shared/errors.ts';
import {
  canonical,
  generateKeys,
  parsePrivateKey,
  type Signer,
  signOrder,
  Verifier,
} from '../../../shared/signature.ts';
import { anyTarpitOrder, tarpitExample, untarpitExample } from '../../support/orders.ts';

const keys = generateKeys();
const producer: Signer = { keyId: 'producer-1', privateKey: parsePrivateKey(keys.privateKeyPem, 'test') };
const verifier = new Verifier([{ id: 'producer-1', role: 'producer', publicKey: keys.publicKey }]);

describe('the canonical form', () => {
  it('does not depend on the order of fields, at any depth', () => {
    fc.assert(
      fc.property(anyTarpitOrder, fc.infiniteStream(fc.nat()), (order, random) => {
        expect(canonical(shuffled(order, random))).toBe(canonical(order));
      }),
    );
  });

  it('is JSON of the same order, without its signature and without white space between', () => {
    const text = canonical(signOrder(tarpitExample(), producer));
    expect(JSON.parse(text)).toEqual({ ...tarpitExample(), keyId: 'producer-1' });
    expect(text).toMatch(/^\{"account":"alice","action":"tarpit","by":"policy",/);
    expect(text.replaceAll(/"[^"]*"/g, '""')).not.toMatch(/\s/);
  });

  it('tells apart any two orders that differ', () => {
    fc.assert(
      fc.property(anyTarpitOrder, anyTarpitOrder, (one, other) => {
        expect(canonical(one) === canonical(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });
});

describe('a signature', () => {
  it('holds for the order as it was signed, fields in any order, unknown ones included', () => {
    fc.assert(
      fc.property(anyTarpitOrder, fc.infiniteStream(fc.nat()), (order, random) => {
        const by = order.by.startsWith('operator:') ? 'policy' : order.by;
        const signed = signOrder({ ...order, by, ticket: { id: 7, notes: ['a', { b: 'ü' }] } }, producer);
        expect(verifier.verify(shuffled(signed, random))).toEqual({ trusted: true });
        expect(verifier.verify(JSON.parse(JSON.stringify(signed)))).toEqual({ trusted: true });
      }),
    );
  });

  const signed = signOrder({ ...tarpitExample(), ticket: { id: 7 } }, producer);

  it.each(Object.keys(signed).filter((field) => field !== 'signature'))(
    'breaks when %s is changed or left out',
    (field) => {
      const { [field]: value, ...rest } = signed as Record<string, unknown>;
      const other =
        typeof value === 'number'
          ? value + 1
          : typeof value === 'string'
            ? `${value}x`
            : { ...(value as object), x: 1 };
      expect(verifier.verify(rest).trusted).toBe(false);
      expect(verifier.verify({ ...rest, [field]: other }).trusted).toBe(false);
    },
  );

  it('breaks when a field is added, inside another one too', () => {
    expect(verifier.verify({ ...signed, extra: 1 }).trusted).toBe(false);
    expect(verifier.verify({ ...signed, hobble: { ...signed.hobble, every: true } }).trusted).toBe(false);
    expect(verifier.verify({ ...signed, ['__proto__']: { extra: 1 } }).trusted).toBe(false);
  });

  it('of an order for one host does not hold for another host, nor for the fleet', () => {
    expect(verifier.verify({ ...signed, host: 'web-2' }).trusted).toBe(false);
    expect(verifier.verify({ ...signed, host: '*' }).trusted).toBe(false);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['there is none', { ...tarpitExample() }, 'the order is not signed'],
    ['its key is not named', { ...tarpitExample(), signature: signed.signature }, 'the order is not signed'],
    ['its key is not known here', { ...signed, keyId: 'other' }, 'key "other" is not trusted here'],
    ['it is not base64', { ...signed, signature: '***' }, 'the signature by key "producer-1" does not fit the order'],
    ['it is empty', { ...signed, signature: '' }, 'the signature by key "producer-1" does not fit the order'],
    ['it is of the wrong type', { ...signed, signature: 5 }, 'the order is not signed'],
    [
      'it was made with another key',
      signOrder(tarpitExample(), { ...producer, privateKey: freshPrivateKey() }),
      'the signature by key "producer-1" does not fit the order',
    ],
  ])('is not trusted when %s, and the reason is said', (_, raw, why) => {
    expect(verifier.verify(raw)).toEqual({ trusted: false, why });
  });

  it('is not asked for where no key is configured', () => {
    expect(new Verifier([]).verify({ ...tarpitExample() })).toEqual({ trusted: true });
    expect(new Verifier([]).isEmpty).toBe(true);
  });
});

describe('a key’s role', () => {
  const operatorKeys = generateKeys();
  const operator: Signer = { keyId: 'ann', privateKey: parsePrivateKey(operatorKeys.privateKeyPem, 'test') };
  const both = new Verifier([
    { id: 'producer-1', role: 'producer', publicKey: keys.publicKey },
    { id: 'ann', role: 'operator', publicKey: operatorKeys.publicKey },
  ]);

  it.each([
    ['producer', 'policy', true],
    ['producer', 'billing', true],
    ['producer', 'operator:ann', false],
    ['operator', 'operator:ann', true],
    ['operator', 'policy', false],
  ])('%s: may give orders by %s: %s', (role, by, trusted) => {
    const signer = role === 'producer' ? producer : operator;
    expect(both.verify(signOrder(untarpitExample({ by }), signer)).trusted).toBe(trusted);
  });
});

describe('keys', () => {
  it('are refused when they are of another kind, and the private one is never quoted', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const pem = rsa.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => parsePrivateKey(pem, 'key file')).toThrow(/key file: wrong type of key; expected ed25519; got "rsa"/);
    const spki = createPublicKey(rsa).export({ type: 'spki', format: 'pem' }).toString();
    expect(() => new Verifier([{ id: 'a', role: 'producer', publicKey: spki }])).toThrow(/expected ed25519; got "rsa"/);
    const broken = keys.privateKeyPem.slice(0, 90);
    expect(() => parsePrivateKey(broken, 'key file')).toThrow(HobblerError);
    expect(() => parsePrivateKey(broken, 'key file')).not.toThrow(broken.slice(40, 60));
  });

  it('are refused when public ones cannot be read or are listed twice', () => {
    const key = { id: 'a', role: 'producer' as const, publicKey: keys.publicKey };
    expect(() => new Verifier([{ ...key, publicKey: 'abc' }])).toThrow(/public key a: not a public key \(SPKI/);
    expect(() => new Verifier([key, key])).toThrow(/worker\.keys: key id listed twice; got "a"/);
  });

  it('are read in PEM as in base64', () => {
    const pem = createPublicKey(createPrivateKey(keys.privateKeyPem))
      .export({ type: 'spki', format: 'pem' })
      .toString();
    const both = new Verifier([{ id: 'producer-1', role: 'producer', publicKey: pem }]);
    expect(both.verify(signOrder(tarpitExample(), producer))).toEqual({ trusted: true });
  });
});

function freshPrivateKey() {
  return parsePrivateKey(generateKeys().privateKeyPem, 'test');
}

/** The same JSON value with the fields of every object in another order. */
function shuffled<T>(value: T, random: Iterator<number>): T {
  if (Array.isArray(value)) return value.map((inner) => shuffled(inner, random)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([key, inner]) => ({ key, inner, at: random.next().value as number }));
  fields.sort((a, b) => a.at - b.at);
  return Object.fromEntries(fields.map(({ key, inner }) => [key, shuffled(inner, random)])) as T;
}

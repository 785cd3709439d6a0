/** The config section: defaults, faults with line and path, and a door that is never open by mistake. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadProducerConfig, producerSchema } from '../../../producer/config.ts';
import { Rules } from '../../../producer/policy/rules.ts';
import { parseSection } from '../../../shared/config.ts';

const TOKEN = 'correct-horse-battery-staple';
const parse = (yaml: string) => parseSection(yaml, 'hobbler.yaml', 'producer', producerSchema);
const noToken = { producerToken: undefined };

describe('the producer section', () => {
  it('may be left out: then readings need a limit of their own, and lives of orders are short', () => {
    expect(parse('')).toMatchObject({
      lease: 900_000,
      dwell: 60_000,
      brake: { share: 0.2, atLeast: 10, within: 600_000 },
      limits: {},
      ladders: {},
      http: { host: '127.0.0.1', port: 8081, open: false, tokens: [] },
      sources: { http: true, files: [] },
      exempt: [{ account: 'root', group: null, untilMs: null, by: 'config', why: '' }],
      dryRun: false,
    });
  });

  it('reports every fault with its line, what was expected and what stands there', () => {
    const yaml = `
producer:
  lease: 48h
  ladders: { standard: { levels: [ { runMs: 10, stopms: 200 } ] } }
  limits:
    default: { used: 0, window: { daily: 25:00 } }
    disk: { used: 5, unit: GB, leaveRatio: 1 }
  accounts:
    alice: { targets: [ { target: nobody } ] }
    bob: { targets: [ { target: "pid:1@2" } ], limits: { disc: { leaveRatio: 0.5 } } }
  exempt: [ { group: staff } ]
`;
    for (const fault of [
      'hobbler.yaml:3: producer.lease: expected 30s to 24h; got "48h"',
      'hobbler.yaml:4: producer.ladders.standard.levels.0.stopms: unknown setting',
      'hobbler.yaml:6: producer.limits.default.used: expected more than 0; got 0',
      'hobbler.yaml:6: producer.limits.default.window.daily: expected a time of day such as',
      'hobbler.yaml:7: producer.limits.disk.leaveRatio: expected leaveRatio (1) below enterRatio (1)',
      'hobbler.yaml:9: producer.accounts.alice.targets.0.target: expected user:NAME',
      'hobbler.yaml:10: producer.accounts.bob.targets.0: a pid target needs the host it is on',
      'hobbler.yaml:10: producer.accounts.bob.limits.disc.used: expected how much may be used',
      'hobbler.yaml:11: producer.exempt.0.group: there is no group of that name',
    ]) {
      expect(() => parse(yaml)).toThrow(fault);
    }
  });

  it('wants to know how much an account may use where no limit of that name says it', () => {
    expect(() => parse('producer: { accounts: { alice: { limits: { default: { unit: h } } } } }')).toThrow(
      'limits has none of that name',
    );
    const rules = new Rules(parse('producer: { accounts: { alice: { limits: { default: { used: 5 } } } } }'));
    expect(rules.of('alice').limits).toMatchObject([
      { used: 5, unit: 's', resource: 'cpu', window: { kind: 'daily' } },
    ]);
    expect(rules.of('bob').limits).toEqual([]);
  });

  it('refuses a meter where every limit is on something else', () => {
    const meter = (limits: string) => () => parse(`producer: { sources: { meter: {} }, limits: ${limits} }`);
    expect(meter('{ disk: { used: 5, unit: GB } }')).toThrow('producer.sources.meter: expected a limit with unit s');
    expect(meter('{ disk: { used: 5, unit: GB }, cpu: { used: 9 } }')).not.toThrow();
    expect(meter('{}')).not.toThrow();
  });

  it('never repeats a token that it refuses', () => {
    expect(() => parse('producer: { http: { tokens: [hunter2] } }')).toThrow('16 to 512 printable');
    expect(() => parse('producer: { http: { tokens: [hunter2] } }')).not.toThrow('hunter2');
    expect(() => loadProducerConfig(undefined, { producerToken: 'hunter2' })).not.toThrow('hunter2');
  });
});

describe('the door', () => {
  const dirs: string[] = [];
  const file = (yaml: string) => {
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-config-'));
    dirs.push(dir);
    writeFileSync(join(dir, 'hobbler.yaml'), yaml);
    return join(dir, 'hobbler.yaml');
  };
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
  });

  it('has no way in without a token, and says how to make one', () => {
    expect(() => loadProducerConfig(undefined, noToken)).toThrow(/no token.*HOBBLER_PRODUCER_TOKEN.*openssl/);
  });

  it('may be open for this machine alone', () => {
    expect(loadProducerConfig(file('producer: { http: { open: true } }'), noToken).http.open).toBe(true);
    for (const host of ['0.0.0.0', '::', '192.0.2.1', '127.0.0.1.example.org']) {
      const path = file(`producer: { http: { open: true, host: "${host}" } }`);
      expect(() => loadProducerConfig(path, noToken)).toThrow('others can reach that address');
    }
  });

  it('takes the token of the environment beside those of the file', () => {
    const path = file(`producer: { http: { host: "0.0.0.0", tokens: [${TOKEN}-2] } }`);
    expect(loadProducerConfig(path, { producerToken: TOKEN }).http.tokens).toMatchObject([
      { name: 'token-1', token: `${TOKEN}-2` },
      { name: 'environment', token: TOKEN },
    ]);
  });

  it('is the same when it is read again, as a reload does', () => {
    const read = () =>
      loadProducerConfig(undefined, { producerToken: TOKEN }, { files: ['a.jsonl'], follow: ['b.jsonl'] });
    expect(read()).toEqual(read());
    expect(read().sources).toMatchObject({ files: ['a.jsonl'], follow: ['b.jsonl'] });
  });

  it('needs none when there is no door', () => {
    expect(loadProducerConfig(file('producer: { sources: { http: false } }'), noToken).sources.http).toBe(false);
  });

  it.each([
    ['0.0.0.0:9000', { host: '0.0.0.0', port: 9000 }],
    ['[::1]:0', { host: '::1', port: 0 }],
  ])('--listen %s', (listen, expected) => {
    expect(loadProducerConfig(undefined, { producerToken: TOKEN }, { listen }).http).toMatchObject(expected);
  });

  it.each(['9000', 'host', 'host:99999', ':80', '::1:80'])('--listen %s is refused', (listen) => {
    expect(() => loadProducerConfig(undefined, { producerToken: TOKEN }, { listen })).toThrow('HOST:PORT');
  });
});

/** The parsers of a host: the config file, and what the kernel says of processes. */
import { strict as assert } from 'node:assert';
import type { z } from 'zod';
import { adminSchema } from '../../../admin/config.ts';
import { producerSchema } from '../../../producer/config.ts';
import { parseSection } from '../../../shared/config.ts';
import { redisSchema } from '../../../shared/redis/config.ts';
import { workerConfigSchema } from '../../../worker/config.ts';
import { addressOf, plainAddress } from '../../../worker/process/peer.ts';
import { parseLastPid, parseStat, parseStatus } from '../../../worker/process/stat.ts';
import { type FuzzedParser, taken, texts } from './parser.ts';

const CONFIG = [
  'redis:',
  '  url: redis://h',
  'worker:',
  '  host: web-1',
  '  minUid: 1000',
  '  exempt: { users: [root], cgroups: [/system.slice/] }',
  '  keys: [{ id: a, role: producer, publicKey: MCowBQYDK2VwAyEASq5imV1YwGUPhtysPMVfC0fkc8MPMyliUFYXgRKWDT0= }]',
  '  budget: { cpu: 0.05, maxPeriod: 1s }',
  'producer:',
  '  http: { port: 8081, tokens: [aaaaaaaaaaaaaaaaaaaaaaaa] }',
  "  limits: { default: { used: 2000, resets: { daily: '00:00' } } }",
  "  accounts: { acme: { targets: [{ host: web-1, target: 'uid:1001' }] } }",
  '  lease: 15m',
  'admin:',
  '  users: []',
  '  metricsToken: aaaaaaaaaaaaaaaaaaaaaaaa',
  '',
].join('\n');
const STAT =
  '4242 (bash) S 1 4242 4241 34817 4242 4194304 95 7 0 0 12 3 40 7 20 0 3 0 8812345 2650112 300 18446744073709551615 1 1 0 0 0 0\n';
const STATUS =
  'Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\nPPid:\t1\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nFDSize:\t256\nGroups:\t4 24 27 1000 \nNStgid:\t4242\nThreads:\t1\n';
/** The kernel's line as proc(5) words it, for comparison: the name ends at the last parenthesis. */
function referenceStat(text: string) {
  const match = /^(\d+) \(([\s\S]*)\) ([^ ]) (.*)$/s.exec(text);
  if (!match) return undefined;
  const numbers = match[4]!.split(' ');
  return {
    pid: Number(match[1]),
    comm: match[2]!,
    state: match[3]!,
    ppid: Number(numbers[0]),
    startTicks: Number(numbers[18]),
  };
}

export const HOST_PARSERS: readonly FuzzedParser[] = [
  {
    name: 'config file',
    weight: 0.6,
    // Four sections of 64 KiB. The operator's own file: looking for keys that stand twice is quadratic, and worth it.
    mayTakeMs: 10_000,
    examples: texts(CONFIG, ...CONFIG.split(/^(?=\w)/m)),
    check: (bytes) => {
      const text = bytes.toString();
      const sections = { worker: workerConfigSchema, producer: producerSchema, admin: adminSchema, redis: redisSchema };
      for (const [section, schema] of Object.entries(sections))
        taken(() => parseSection(text, 'fuzz.yaml', section as keyof typeof sections, schema as z.ZodType));
    },
  },
  {
    name: '/proc/PID/stat',
    weight: 16,
    examples: texts(
      STAT,
      STAT.replace('bash', 'a) R 2 (b'),
      STAT.replace('bash', 'a\nb'),
      '2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n',
    ),
    check: (bytes) => {
      const stat = parseStat(bytes, bytes.length);
      if (!stat) return;
      for (const value of Object.values(stat)) if (typeof value === 'number') assert.ok(Number.isSafeInteger(value));
      assert.ok(stat.pid > 0);
      const { pid, comm, state, ppid, startTicks } = stat;
      assert.deepEqual({ pid, comm, state, ppid, startTicks }, referenceStat(bytes.toString('latin1')));
    },
  },
  {
    name: '/proc/PID/status',
    weight: 10,
    examples: texts(STATUS, STATUS.replace('bash', 'a\\nUid:\\t0'), STATUS.replace('4 24 27 1000 ', '')),
    check: (bytes) => {
      const status = parseStatus(bytes.toString('latin1'));
      if (!status) return;
      for (const value of [status.tgid, status.realUid, status.effectiveUid, ...status.gids]) assert.ok(value >= 0);
    },
  },
  {
    name: 'addresses of sockets',
    weight: 4,
    examples: texts('0100007F', '0000000000000000FFFF00000100007F', '::ffff:127.0.0.1', '2001:db8::1', 'fe80::1%eth0'),
    check: (bytes) => {
      const text = bytes.toString('latin1');
      const plain = plainAddress(text);
      assert.equal(plainAddress(plain), plain); // one form, which is its own
      addressOf(text);
    },
  },
  {
    name: '/proc/loadavg',
    weight: 6,
    examples: texts('0.10 0.20 0.30 1/200 4242\n', '12.00 1.00 0.01 100/4000 99999\n'),
    check: (bytes) => {
      const pid = parseLastPid(bytes, bytes.length);
      if (pid !== undefined) assert.ok(Number.isSafeInteger(pid) && pid >= 0);
    },
  },
];

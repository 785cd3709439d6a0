/**
 * A burst: many readings from several senders through HTTP to a producer in a process of its own, on a Redis of its own
 * that stops answering in the middle. Then Redis itself is asked whether anything acknowledged was lost or doubled: the
 * producer is killed first, so that nothing but what is written down counts. Measures as it goes; asserts nothing.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reading } from '../../../client/messages.ts';
import { createProducer } from '../../../client/producer.ts';
import { systemClock } from '../../../shared/clock.ts';
import { fleetKeys } from '../../../shared/keys.ts';
import { connectTest, startRedis } from '../redis.ts';
import { startService } from '../service.ts';
import { until } from '../until.ts';
import { LIMIT, type Load, nameOf, readingsOf } from './load.ts';
import { type Faults, findFaults } from './proof.ts';

const TOKEN = 'correct-horse-battery-staple';
const LONE_TOKEN = `${TOKEN}-lone`;
const LOOK_EVERY_MS = 100;
const BATCH_READINGS = 1_000;

export interface BurstOptions extends Load {
  senders: number;
  /** How long Redis answers nothing, milliseconds; it begins when half is acknowledged. */
  pauseMs: number;
}

export interface BurstResult {
  readings: number;
  accepted: number;
  refused: number;
  faults: Faults;
  /** From the first reading handed to a client to the last acknowledgement, the pause included, milliseconds. */
  elapsedMs: number;
  /** Acknowledged until the pause began, and in how long. */
  steady: { readings: number; ms: number };
  /** From handing the reading that crosses to a client until its order stands, milliseconds: undisturbed, and all. */
  toOrderMs: { undisturbed: number[]; all: number[] };
  /** What one who sends a single reading now and then waits for, undisturbed, milliseconds. */
  loneMs: number[];
  /** Times that a client was told to wait, or met no answer. */
  waits: number;
  peakRssBytes: number;
}

/** Runs it. Rejects when readings are not acknowledged within minutes after Redis is back. */
export async function runBurst(options: BurstOptions): Promise<BurstResult> {
  const { accounts, rounds, senders, pauseMs } = options;
  const readings = accounts * rounds;
  const directory = await mkdtemp(join(tmpdir(), 'hobbler-burst-'));
  const server = await startRedis();
  const redis = connectTest(server);
  const config = join(directory, 'hobbler.yaml');
  await writeFile(config, configText(senders));
  const producer = await startService('producer', server, {}, ['--config', config]);
  const sampler = sampleRss(producer.pid);
  try {
    const nowMs = systemClock.wallMs;
    const startedAtMs = nowMs();
    const handedAtMs = new Map<number, number>();
    let acknowledged = 0;
    let waits = 0;
    let pausedAtMs = Number.POSITIVE_INFINITY;
    let resumedAtMs = Number.POSITIVE_INFINITY;
    let atPause = 0;
    const send = async (sender: number) => {
      const client = createProducer({
        url: producer.url,
        token: `${TOKEN}-${sender}`,
        retryForMs: 300_000,
        onWaiting: () => waits++,
      });
      const source = readingsOf(options, { sender, senders }, nowMs, (account, atMs) => handedAtMs.set(account, atMs));
      // One batch at a time, so that what is acknowledged is known as it goes.
      let accepted = 0;
      let refused = 0;
      for (const batch of inBatches(source)) {
        const result = await client.sendReadings(batch);
        accepted += result.accepted;
        refused += result.refused;
        acknowledged += result.accepted;
      }
      return { accepted, refused };
    };
    const sending = Promise.all(Array.from({ length: senders }, (_, sender) => send(sender)));
    const lone = sendNowAndThen(producer.url, sending, () => nowMs() < pausedAtMs || nowMs() > resumedAtMs + 5_000);
    const half = until(() => acknowledged >= readings / 2, { deadlineMs: 600_000, what: 'half of the readings' });
    await Promise.race([half, sending]);
    pausedAtMs = nowMs();
    atPause = acknowledged;
    await server.pause();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    await server.resume();
    resumedAtMs = nowMs();
    const results = await sending;
    const elapsedMs = nowMs() - startedAtMs;
    const loneMs = await lone;
    const crossing = [...handedAtMs.keys()];
    await until(async () => (await redis.hlen(fleetKeys.desired)) >= crossing.length, {
      deadlineMs: 60_000,
      what: 'an order for each who crossed',
    });
    const orders = await ordersOf(redis);
    producer.child.kill('SIGKILL');
    await until(() => producer.child.signalCode !== null, { deadlineMs: 5_000, what: 'the end of the producer' });

    const toOrder = crossing.map((account) => {
      const from = handedAtMs.get(account)!;
      return { from, to: orders.get(`user:${nameOf(account)}`)?.[0] ?? Number.NaN };
    });
    const undisturbed = toOrder.filter(({ from, to }) => to < pausedAtMs || from > resumedAtMs + 15_000);
    return {
      readings,
      accepted: results.reduce((sum, { accepted }) => sum + accepted, 0),
      refused: results.reduce((sum, { refused }) => sum + refused, 0),
      faults: await findFaults(redis, options, orders),
      elapsedMs,
      steady: { readings: atPause, ms: pausedAtMs - startedAtMs },
      toOrderMs: {
        undisturbed: undisturbed.map(({ from, to }) => to - from),
        all: toOrder.map(({ from, to }) => to - from),
      },
      loneMs,
      waits,
      peakRssBytes: sampler.peakBytes(),
    };
  } finally {
    sampler.stop();
    await server.resume().catch(() => {});
    producer.child.kill('SIGKILL');
    redis.disconnect();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function* inBatches(source: Iterable<Reading>): Generator<Reading[]> {
  let batch: Reading[] = [];
  for (const reading of source) {
    batch.push(reading);
    if (batch.length < BATCH_READINGS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** A limit that nobody reaches but by crossing it, no brake, and orders that need no renewal while it runs. */
function configText(senders: number): string {
  const tokens = [LONE_TOKEN, ...Array.from({ length: senders }, (_, sender) => `${TOKEN}-${sender}`)];
  return `producer:
  http: { requestsPerMinute: 1000000, tokens: ${JSON.stringify(tokens)} }
  limits: { default: { used: ${LIMIT}, unit: s, resource: cpu, window: { rolling: 7d } } }
  brake: 'off'
  lease: 12h
`;
}

/** When each target was tarpitted, by the audit of who gives orders, milliseconds of Redis's clock; oldest first. */
async function ordersOf(redis: ReturnType<typeof connectTest>): Promise<Map<string, number[]>> {
  const orders = new Map<string, number[]>();
  for (const [id, flat] of await redis.xrange(fleetKeys.audit, '-', '+')) {
    const entry = new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]!] as const] : [])));
    if (entry.get('action') !== 'tarpit') continue;
    const target = entry.get('target')!;
    orders.set(target, [...(orders.get(target) ?? []), Number(id.split('-')[0])]);
  }
  return orders;
}

/** One reading every so often from somebody else, until `others` are done; how long each took, where it counts. */
async function sendNowAndThen(url: string, others: Promise<unknown>, counts: () => boolean): Promise<number[]> {
  const client = createProducer({ url, token: LONE_TOKEN, retryForMs: 300_000 });
  const took: number[] = [];
  let isOver = false;
  void others.finally(() => {
    isOver = true;
  });
  for (let n = 0; !isOver; n++) {
    const counted = counts();
    const from = performance.now();
    await client.sendReadings([{ account: 'lone', used: n }]);
    if (counted && counts()) took.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return took;
}

/** The most memory that a process has at any look. */
function sampleRss(pid: number): { peakBytes: () => number; stop: () => void } {
  let peak = 0;
  const timer = setInterval(async () => {
    const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
    peak = Math.max(peak, 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0));
  }, LOOK_EVERY_MS);
  return { peakBytes: () => peak, stop: () => clearInterval(timer) };
}

/** Scenario `admin-pages`: how long the admin takes to answer with its pages, over a large fleet that goes on changing. */
import { systemClock } from '../../shared/clock.ts';
import { hostNameOf, stirFleet, writeFleet } from '../fleet-records.ts';
import { launch } from '../launch.ts';
import { contenderPath } from '../programs.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rowsOf, rowTable } from '../rows.ts';
import { type Case, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { figure, spread } from '../table.ts';
import { type BenchRedis, cpuPercent, type Workbench } from '../workbench.ts';

const HOSTS = 1_000;
const TARGETS_PER_HOST = 10;
/** Hosts that say something new in a second. */
const STIRRED_PART = 0.2;
const OPEN_PAGES = 10;
const WINDOW_S = 5;
/** One request after the other, with a pause as of a quick reader. */
const PAUSE_MS = 20;
const GOAL_MS = 200;
const USER = { name: 'bench', password: 'correct horse battery' };

/** By name: the address, a new one each time where that matters. */
const PAGES: Record<string, () => string> = {
  list: () => '/',
  search: () => `/?q=customer-${Math.floor(Math.random() * HOSTS * TARGETS_PER_HOST)}`,
  page: () => `/?page=${1 + Math.floor(Math.random() * 190)}&hosts=${1 + Math.floor(Math.random() * 39)}`,
  'filter and sort': () => '/?state=spared&sort=-got&hsort=load&q=host-07',
  'one host': () => `/hosts/${hostNameOf(Math.floor(Math.random() * HOSTS))}`,
};
const JUDGED = ['list', 'search', 'page'];

export const adminPages: Scenario = {
  name: 'admin-pages',
  title: 'Pages of a large fleet',
  about: `The admin on a Redis that holds 1,000 hosts with 10,000 targets, reported and ordered, of which a fifth of the hosts writes
something new each second; ten fleet pages are open and live meanwhile. Measured is the time from asking for a page to its last
byte, from another process on the same machine, one request after the other: a little more than the server’s own time.`,
  fullSize: HOSTS,
  seconds: { open: 12, round: 26 },
  open: openPages,
  render,
};

interface Opened {
  url: string;
  cookie: string;
  redis: BenchRedis;
  admin: ReturnType<Workbench['meter']>;
}

async function openPages(bench: Workbench): Promise<Case[]> {
  const hosts = bench.size(HOSTS);
  const redis = await bench.redis();
  await writeFleet(redis.client, hosts, TARGETS_PER_HOST);
  const admin = bench.meter();
  const args = [contenderPath('admin_server.ts'), redis.url, USER.name, USER.password];
  const program = launch(bench, admin, process.execPath, args);
  const [url] = await program.linesUntilReady();
  const stirring = systemClock.every(1_000, () => stirFleet(redis.client, hosts, TARGETS_PER_HOST, STIRRED_PART));
  bench.undo.add('the changes of the fleet', () => stirring.cancel());
  const opened = { url: url!, cookie: await logIn(url!), redis, admin };
  for (let count = 0; count < OPEN_PAGES; count++) void keepOpen(bench, opened);
  await bench.wait(3_000);
  return Object.entries(PAGES).map(([name, path]) => ({ name, measure: () => measurePage(bench, opened, path) }));
}

async function logIn(url: string): Promise<string> {
  const headers = { origin: url, 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams(USER).toString();
  const response = await fetch(`${url}/login`, { method: 'POST', headers, body, redirect: 'manual' });
  const cookie = response.headers.get('set-cookie')?.split(';')[0];
  if (response.status !== 303 || !cookie) throw new Error(`the login answered ${response.status}`);
  return cookie;
}

/** An open page that takes its events, until the bench is over. */
async function keepOpen(bench: Workbench, { url, cookie }: Opened): Promise<void> {
  const ending = new AbortController();
  bench.undo.add('an open page', () => ending.abort());
  try {
    const response = await fetch(`${url}/events/fleet`, { headers: { cookie }, signal: ending.signal });
    for await (const _ of response.body!);
  } catch {
    // The end of the bench, or of the admin: then the requests fail, too.
  }
}

async function measurePage(
  bench: Workbench,
  { url, cookie, redis, admin }: Opened,
  path: () => string,
): Promise<Measured> {
  const seconds = bench.windowSeconds(WINDOW_S);
  const untilMs = systemClock.monotonicMs() + seconds * 1000;
  const answers: number[] = [];
  let bytes = 0;
  const ask = async () => {
    while (systemClock.monotonicMs() < untilMs) {
      const startMs = systemClock.monotonicMs();
      const response = await fetch(`${url}${path()}`, { headers: { cookie } });
      const text = await response.text();
      answers.push(systemClock.monotonicMs() - startMs);
      if (response.status !== 200) throw new Error(`${path()} answered ${response.status}`);
      bytes = Math.max(bytes, Buffer.byteLength(text));
      await bench.wait(PAUSE_MS);
    }
  };
  const [cpu] = await Promise.all([cpuPercent({ admin, redis: redis.meter }, seconds), ask()]);
  return { values: { ...cpu, kilobytes: bytes / 1000 }, lists: { answerMs: answers } };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const at = (row: Row | undefined, percent: number) => (row ? percentile(row.list('answerMs'), percent) : undefined);
  return {
    markdown: rowTable(rows, [
      { title: 'p50, ms', cell: (row: Row) => figure(at(row, 50)) },
      { title: 'p99, ms', cell: (row) => figure(at(row, 99)) },
      { title: 'slowest, ms', cell: (row) => figure(at(row, 100)) },
      { title: 'page, kB', cell: (row) => figure(row.median('kilobytes')) },
      { title: 'CPU of the admin, % of a core', cell: (row) => spread(row.spread('admin')) },
      { title: 'of Redis', cell: (row) => spread(row.spread('redis')) },
    ]),
    plots: {},
    goals: JUDGED.map((name) =>
      goalOf<[number]>(
        `fleet page, ${name}, 1,000 hosts and 10,000 targets`,
        `p99 under ${GOAL_MS} ms`,
        [at(findRow(rows, name), 99)],
        (ms) => ({
          measured: `${figure(ms)} ms`,
          met: ms < GOAL_MS,
        }),
      ),
    ),
  };
}

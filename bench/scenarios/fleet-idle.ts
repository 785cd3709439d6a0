/** Scenario `fleet-idle`: what many hosts that have nothing to do cost Redis. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fleetKeys } from '../../shared/keys.ts';
import { launch } from '../launch.ts';
import { contenderPath } from '../programs.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rowsOf, rowTable } from '../rows.ts';
import { type Case, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { figure, spread } from '../table.ts';
import { type BenchRedis, cpuPercent, type Workbench } from '../workbench.ts';

const HOSTS = 1_000;
const PROCESSES = 4;
/** A blocked fetch of BullMQ comes round every 30 s, the slowest of all: hosts are started evenly over that. */
const SPREAD_MS = 30_000;
const SETTLES_MS = 3_000;
const WINDOW_S = 10;

export const fleetIdle: Scenario = {
  name: 'fleet-idle',
  title: 'A fleet that has nothing to do',
  about: `1,000 worker services with no orders against one Redis over a unix socket: each with its own connections, BullMQ worker,
heartbeat, lease, meter, holds and reconciling. They share four Node processes, since one machine has no room for 1,000; what
they send to Redis is what 1,000 hosts send. They have no guard process, which Redis never sees. One fleet serves all rounds.`,
  seconds: { open: 45, round: 11 },
  open: openFleet,
  render,
};

async function openFleet(bench: Workbench): Promise<Case[]> {
  const hosts = bench.size(HOSTS);
  const redis = await bench.redis();
  const dir = mkdtempSync(join(bench.scratch, 'fleet-'));
  const meter = bench.meter();
  const each = Math.ceil(hosts / PROCESSES);
  const programs = Array.from({ length: Math.ceil(hosts / each) }, (_, index) => {
    const numbers = [index * each, Math.min(each, hosts - index * each), SPREAD_MS].map(String);
    return launch(bench, meter, process.execPath, [contenderPath('fleet_hosts.ts'), redis.url, dir, ...numbers], {
      input: '',
    });
  });
  await Promise.all(programs.map((program) => program.linesUntilReady()));
  await bench.settle(SETTLES_MS);
  return [
    { name: `Redis, ${hosts.toLocaleString('en')} idle hosts`, measure: () => measureRedis(bench, redis, hosts) },
  ];
}

async function measureRedis(bench: Workbench, { client, meter }: BenchRedis, hosts: number): Promise<Measured> {
  const known = await client.scard(fleetKeys.hosts);
  if (known !== hosts) throw new Error(`${known} of ${hosts} hosts beat`);
  const commands = async () => Number(/^total_commands_processed:(\d+)/m.exec(await client.info('stats'))?.[1]);
  const seconds = bench.windowSeconds(WINDOW_S);
  const before = await commands();
  const cpu = await cpuPercent({ redis: meter }, seconds);
  const perSecond = ((await commands()) - before) / seconds;
  const info = await client.info();
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  return {
    values: {
      ...cpu,
      commandsPerSecond: perSecond,
      connections: field('connected_clients'),
      memoryMB: field('used_memory_rss') / 1e6,
    },
  };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const full = findRow(rows, `Redis, ${HOSTS.toLocaleString('en')} idle hosts`);
  return {
    markdown: rowTable(rows, [
      { title: 'CPU of Redis, % of a core', cell: (row: Row) => spread(row.spread('redis')) },
      { title: 'commands per second', cell: (row) => figure(row.median('commandsPerSecond')) },
      { title: 'connections', cell: (row) => figure(row.median('connections')) },
      { title: 'its RSS, MB', cell: (row) => figure(row.median('memoryMB')) },
    ]),
    plots: {},
    goals: [
      goalOf<[number]>('1,000 idle hosts', '2 % of one core of Redis', [full?.median('redis')], (percent) => ({
        measured: `${figure(percent)} %`,
        met: percent <= 2,
      })),
    ],
  };
}

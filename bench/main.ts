/**
 * `npm run bench`: what hobbling costs, side by side on one machine in one run. Rounds in random order, CPU by the
 * kernel's accounting, medians. Writes docs/benchmarks.md. Needs root (cgroups), a C compiler and redis-server.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep, systemClock } from '../shared/clock.ts';
import { silentLogger } from '../shared/log.ts';
import { findRedis } from '../shared/redis/server.ts';
import { type Contender, contenders, rssMiB } from './contenders.ts';
import { openCpuMeter } from './cpu-meter.ts';
import { startHerd } from './herd.ts';
import { type Sample, table } from './results.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    targets: { type: 'string', default: '200,2000,10000' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const sizes = options.targets.split(',').map(Number);
/** Start-up, first stops and the first optimisations of the JIT are over by then. */
const SETTLE_MS = 10_000;
const wait = (ms: number) => sleep(systemClock, ms);

async function measure(contender: Contender, herdProgram: string, targets: number): Promise<Sample> {
  const herd = await startHerd(herdProgram, targets, 'sleep');
  const meter = openCpuMeter('own');
  try {
    const running = await contender.start(herd.pids, meter.procsPath);
    await wait(SETTLE_MS);
    const before = meter.seconds();
    const fromMs = systemClock.monotonicMs();
    await wait(seconds * 1000);
    const sample = {
      contender: contender.name,
      targets,
      cpuPercent: ((meter.seconds() - before) / (systemClock.monotonicMs() - fromMs)) * 1e5,
      rssMiB: await rssMiB(running.pid),
    };
    await running.end();
    return sample;
  } finally {
    await herd.end();
    await wait(200); // the last of the contender leave the cgroup
    meter.close();
  }
}

const bin = mkdtempSync(join(tmpdir(), 'hobbler-bench-bin-'));
for (const name of ['floor', 'herd']) {
  execFileSync('cc', [
    '-O2',
    '-Wall',
    '-o',
    join(bin, name),
    fileURLToPath(new URL(`./contenders/${name}.c`, import.meta.url)),
  ]);
}
const redis = await findRedis({ url: undefined, log: silentLogger() });
const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
const all = contenders({ bin, redisUrl: redis.url, cli });
const samples: Sample[] = [];
try {
  const runs = sizes.flatMap((targets) =>
    all.filter(({ maxTargets }) => targets <= maxTargets).map((contender) => ({ contender, targets })),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, targets } of runs.toSorted(() => Math.random() - 0.5)) {
      const sample = await measure(contender, join(bin, 'herd'), targets);
      samples.push(sample);
      console.error(
        `round ${round}: ${targets} targets, ${sample.contender}: ${sample.cpuPercent.toFixed(2)} % of a core, ${sample.rssMiB.toFixed(0)} MiB`,
      );
    }
  }
} finally {
  await redis.stop();
  rmSync(bin, { recursive: true, force: true });
}
const machine = `${cpus()[0]!.model}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}, ${new Date(systemClock.wallMs()).toISOString().slice(0, 10)}`;
const text = table(samples, machine, rounds, seconds);
console.log(text);
if (options.write) writeFileSync(fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url)), text);
process.exit();

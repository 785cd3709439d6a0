/** From samples to the page: medians, spreads, and ratios to the floor of the same run. Pure. */

export interface Sample {
  contender: string;
  targets: number;
  /** Own CPU as percent of one core. */
  cpuPercent: number;
  rssMiB: number;
}

const FLOOR = 'C floor, the same signals';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The page docs/benchmarks.md. */
export function table(samples: readonly Sample[], machine: string, rounds: number, seconds: number): string {
  const lines = [
    '# Benchmarks',
    '',
    'What hobbling costs: own CPU in percent of one core, all in (worker and guard as whole processes: signals, scans,',
    'heartbeat, Redis), every target cycled at 10/200 ms, targets asleep. CPU by the kernel’s accounting, a cgroup per',
    `contender; median of ${rounds} rounds of ${seconds} s in random order, least and most in brackets.`,
    '',
    `Machine: ${machine}. Again: \`npm run bench -- --write\` as root, with gcc, redis-server, python3-psutil and cpulimit.`,
    '',
  ];
  for (const targets of new Set(samples.map((sample) => sample.targets))) {
    lines.push(
      `## ${targets.toLocaleString('en')} targets`,
      '',
      '| contender | own CPU, % of a core | times the C floor | memory, MiB |',
      '| --- | ---: | ---: | ---: |',
    );
    const of = samples.filter((sample) => sample.targets === targets);
    const floor = median(of.filter(({ contender }) => contender === FLOOR).map(({ cpuPercent }) => cpuPercent));
    for (const contender of new Set(of.map((sample) => sample.contender))) {
      const mine = of.filter((sample) => sample.contender === contender);
      const cpu = mine.map(({ cpuPercent }) => cpuPercent);
      const mid = median(cpu);
      const spread = `${mid.toFixed(2)} (${Math.min(...cpu).toFixed(2)} to ${Math.max(...cpu).toFixed(2)})`;
      lines.push(
        `| ${contender} | ${spread} | ${Number.isFinite(floor) ? (mid / floor).toFixed(2) : 'unknown'} | ${median(mine.map(({ rssMiB }) => rssMiB)).toFixed(0)} |`,
      );
    }
    lines.push('');
  }
  return lines.join('\n');
}

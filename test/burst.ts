/**
 * `npm run burst`: a million readings from four senders through HTTP, with Redis stopped for ten seconds in the middle.
 * Prints what it measured and whether anything acknowledged was lost or doubled. Exit code 1 when there is.
 *
 *   npm run burst -- --readings 200000 --accounts 10000 --senders 2 --pause 3
 */
import { parseArgs } from 'node:util';
import { runBurst } from './support/burst/run.ts';

const { values } = parseArgs({
  options: {
    readings: { type: 'string', default: '1000000' },
    accounts: { type: 'string', default: '20000' },
    senders: { type: 'string', default: '4' },
    pause: { type: 'string', default: '10' },
  },
});
const [readings, accounts, senders, pauseS] = [values.readings, values.accounts, values.senders, values.pause].map(
  Number,
);
const isSound = [readings, accounts, senders].every((value) => Number.isSafeInteger(value) && value! > 0);
if (!isSound || !(pauseS! >= 0)) throw new Error('expected whole numbers, and a pause in seconds');

const result = await runBurst({
  accounts: accounts!,
  rounds: Math.max(2, Math.round(readings! / accounts!)),
  senders: senders!,
  pauseMs: pauseS! * 1_000,
});
const { steady, toOrderMs, loneMs, faults } = result;
const quantile = (of: readonly number[], share: number) => {
  const sorted = of.toSorted((a, b) => a - b);
  return sorted.length === 0
    ? 'none'
    : `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!)} ms`;
};
const line = (what: string, figure: string) => console.log(`${what.padEnd(44)} ${figure}`);
line('readings', `${result.readings}, acknowledged ${result.accepted}, refused ${result.refused}`);
line('in all, Redis stopped for a while included', `${(result.elapsedMs / 1_000).toFixed(1)} s`);
line('until Redis stopped', `${Math.round(steady.readings / (steady.ms / 1_000))} readings/s`);
line(
  'reading to order, undisturbed',
  `p50 ${quantile(toOrderMs.undisturbed, 0.5)}, p99 ${quantile(toOrderMs.undisturbed, 0.99)} (${toOrderMs.undisturbed.length} orders)`,
);
line(
  'reading to order, all',
  `p50 ${quantile(toOrderMs.all, 0.5)}, longest ${quantile(toOrderMs.all, 1)} (${toOrderMs.all.length} orders)`,
);
line(
  'one reading of somebody else meanwhile',
  `p50 ${quantile(loneMs, 0.5)}, p99 ${quantile(loneMs, 0.99)} (${loneMs.length})`,
);
line('times that a sender had to wait', String(result.waits));
line('memory of the producer, most', `${Math.round(result.peakRssBytes / 1024 / 1024)} MB`);
const found = [...faults.lost, ...faults.doubled, ...faults.orders];
for (const [kind, what] of Object.entries(faults) as [string, string[]][])
  line(kind, what.length === 0 ? 'none' : what.join('\n  '));
process.exit(found.length === 0 && result.accepted === result.readings ? 0 : 1);

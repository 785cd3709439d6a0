/**
 * `npm run soak -- --minutes 30`: a long run on one worker, under load that stays, with histories of orders and of faults
 * that it outlives. Prints what worker and guard hold from time to time, and a table at the end. Exit code 1 when a history
 * fails, when something grows past its bound, or when anything is left behind.
 */
import { parseArgs } from 'node:util';
import { figuresTable } from './support/faults/figures.ts';
import { growth, type Sample, soak, soakFaults } from './support/faults/soak.ts';
import { newFigures } from './support/faults/world.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes: expected a number above 0, got ${values.minutes}`);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const COLUMNS: [string, (sample: Sample) => number, (value: number) => string][] = [
  ['worker memory', (sample) => sample.workerBytes, megabytes],
  ['worker files', (sample) => sample.workerFiles, String],
  ['guard memory', (sample) => sample.guardBytes, megabytes],
  ['guard files', (sample) => sample.guardFiles, String],
  ['worker CPU, s', (sample) => sample.workerCpuS, (value) => value.toFixed(1)],
  ['histories', (sample) => sample.histories, String],
];
const row = (first: string, cells: readonly string[]) =>
  console.log(first.padEnd(10) + cells.map((cell) => cell.padStart(16)).join(''));

console.log(`seed ${seed}`);
row(
  'minute',
  COLUMNS.map(([name]) => name),
);
const figures = newFigures();
const faults: string[] = [];
const samples: Sample[] = [];
try {
  const onSample = (sample: Sample) => {
    samples.push(sample);
    row(
      (sample.atMs / 60_000).toFixed(1),
      COLUMNS.map(([, of, words]) => words(of(sample))),
    );
  };
  await soak({ minutes, seed, figures, onSample });
  faults.push(...soakFaults(samples));
} catch (error) {
  faults.push((error as Error).message);
}
console.log(`\n${figuresTable('soak', figures)}\n\nmedians of the second quarter and of the last`);
for (const [name, of, words] of COLUMNS.slice(0, 4)) {
  const { from, to } = growth(samples, of);
  console.log(`  ${name.padEnd(20)} ${words(from).padStart(12)} ${words(to).padStart(12)}`);
}
console.log(faults.length === 0 ? 'nothing grew, nothing was left behind' : faults.join('\n'));
process.exit(faults.length === 0 ? 0 : 1);

/**
 * `npm run test:faults`: random histories of orders, births, deaths and faults, on real parts and in the simulated world,
 * held against one model by one checker. Prints its seed; a history that fails is made smaller and printed with what is
 * wrong and how to play it again. Exit code 1 then.
 *
 *   npm run test:faults -- --real 500 --simulated 10000 --seed 7 --steps 14
 *   npm run test:faults -- --real 0 --simulated 0 --producers 0 --release 1000 --rounds 50
 *
 * The second measures how long it takes until 1,000 processes run again after the worker was killed, or hung.
 */
import { parseArgs } from 'node:util';
import { figuresTable } from './support/faults/figures.ts';
import { ProducersWorld, playProducers } from './support/faults/producers.ts';
import { playReal } from './support/faults/real-run.ts';
import { measureReleases } from './support/faults/release-times.ts';
import { playSimulated } from './support/faults/simulated-run.ts';
import { newFigures } from './support/faults/world.ts';

const { values } = parseArgs({
  options: {
    real: { type: 'string', default: '40' },
    simulated: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    steps: { type: 'string', default: '14' },
    producers: { type: 'string', default: '10' },
    release: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '20' },
  },
});
const number = (text: string, name: string) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: expected a whole number, got ${text}`);
  return value;
};
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const steps = number(values.steps, 'steps');
/** Real histories end after so long, however many there were. */
const limitMs = values.minutes === undefined ? undefined : number(values.minutes, 'minutes') * 60_000;
let failed = false;

/** One line each so often: hundreds of histories on real parts take an hour. */
const SAY_EVERY = 20;
const sayProgress = (done: number) => {
  if (done % SAY_EVERY === 0) console.log(`${done} histories on real parts`);
};

async function run(where: string, count: string, playAll: typeof playReal | typeof playSimulated): Promise<void> {
  const histories = number(count, where);
  if (histories === 0) return;
  const figures = newFigures();
  const fromMs = performance.now();
  try {
    await playAll({ histories, steps, seed, figures, limitMs, onHistory: sayProgress });
  } catch (error) {
    failed = true;
    console.log((error as Error).message);
  }
  console.log(`${figuresTable(where, figures)}\n${Math.round((performance.now() - fromMs) / 1_000)} s\n`);
}

console.log(`seed ${seed}`);
await run('simulated', values.simulated, playSimulated);
await run('real', values.real, playReal);
const producerHistories = number(values.producers, 'producers');
if (producerHistories > 0) {
  const world = await ProducersWorld.open();
  try {
    await playProducers(world, producerHistories, seed);
  } catch (error) {
    failed = true;
    console.log((error as Error).message);
  }
  console.log(`two producers: ${producerHistories} histories, ${world.readings} readings, ${world.kills} kills\n`);
  await world.close();
}
const processes = number(values.release, 'release');
if (processes > 0) {
  const figures = newFigures();
  await measureReleases({ processes, rounds: number(values.rounds, 'rounds'), figures });
  console.log(figuresTable('release', figures));
}
process.exit(failed ? 1 : 0);

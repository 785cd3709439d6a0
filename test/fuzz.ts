/**
 * `npm run fuzz`: a million broken inputs, through every parser, through the guard's shell script and through both
 * HTTP doors with a real Redis behind them. Prints its seed, what it gave to whom, the slowest input, and how to make a
 * finding again. Exit code 1 when there is one.
 *
 *   npm run fuzz -- --inputs 100000 --seed 7 --only order
 */
import { parseArgs } from 'node:util';
import { fuzzDoors } from './support/fuzz/doors.ts';
import { fuzzGuard } from './support/fuzz/guard.ts';
import { PARSERS } from './support/fuzz/parsers.ts';
import { type FuzzResult, fuzz } from './support/fuzz/run.ts';

/** No parser may take longer over one input, milliseconds. A pause of the machine looks the same: run it again. */
const TOO_SLOW_MS = 1_000;
/** Of all inputs, one in so many goes to a door, and to the guard, which is a shell started anew for each journal. */
const DOOR_ONE_IN = 50;
const GUARD_ONE_IN = 500;

const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string' }, only: { type: 'string' } },
});
const total = Number(values.inputs);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!Number.isSafeInteger(total) || total < 1 || !Number.isSafeInteger(seed)) throw new Error('expected whole numbers');

console.log(`seed ${seed}`);
let inputs = 0;
let found = 0;

function report(name: string, result: FuzzResult, seconds: number): void {
  inputs += result.inputs;
  found += result.findings.length;
  const slowest = `slowest ${result.slowestMs.toFixed(1)} ms`;
  console.log(
    `${name.padEnd(32)} ${String(result.inputs).padStart(8)} inputs  ${seconds.toFixed(1).padStart(6)} s  ${slowest}`,
  );
  for (const { number, input, why } of result.findings) console.log(`  FOUND number ${number}: ${why}\n    ${input}`);
}

async function timed(name: string, run: () => FuzzResult | Promise<FuzzResult>): Promise<void> {
  if (values.only !== undefined && values.only !== name) return;
  const from = performance.now();
  const result = await run();
  report(name, result, (performance.now() - from) / 1_000);
}

const forParsers = total - Math.ceil(total / DOOR_ONE_IN) - Math.ceil(total / GUARD_ONE_IN);
const weights = PARSERS.reduce((sum, { weight }) => sum + weight, 0);
for (const parser of PARSERS) {
  const share = values.only === undefined ? parser.weight / weights : 1;
  await timed(parser.name, () => {
    const result = fuzz(parser, Math.ceil(forParsers * share), seed, () => performance.now());
    if (result.slowestMs > (parser.mayTakeMs ?? TOO_SLOW_MS)) {
      const why = `took ${Math.round(result.slowestMs)} ms`;
      result.findings.push({ parser: parser.name, seed, number: -1, input: result.slowestInput, why });
    }
    return result;
  });
}
await timed('the guard on its journal', () => fuzzGuard(Math.ceil(total / GUARD_ONE_IN), seed));
await timed('the HTTP doors', () => fuzzDoors(Math.ceil(total / DOOR_ONE_IN), seed));

console.log(`${inputs} inputs, ${found === 0 ? 'nothing found' : `${found} FOUND (seed ${seed})`}`);
process.exit(found === 0 ? 0 : 1);

/** The arguments of `npm run bench`. Pure. */
import { parseArgs } from 'node:util';
import { HobblerError, messageOf } from '../shared/errors.ts';

export interface BenchOptions {
  /** Names of scenarios; undefined: all of them. */
  scenarios: string[] | undefined;
  rounds: number;
  /** Length of the longest window; the others are in proportion. */
  seconds: number;
  /** Numbers of targets; undefined: each scenario's own. */
  targets: number[] | undefined;
  /** Keep the results, and write the page and its plots. */
  write: boolean;
  list: boolean;
  /** Write the page and its plots from the kept results, and measure nothing. */
  render: boolean;
  help: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]          (as root, on a quiet machine)
  --scenario NAME[,NAME]   only these; others keep their last results
  --rounds N               rounds per scenario, each in an order of chance (default 5)
  --seconds S              length of the longest window; others are in proportion (default 10)
  --targets N[,N]          numbers of targets for idle; for the others an upper bound
  --write                  keep the results in docs/benchmarks/, and write docs/benchmarks.md
  --render                 write the page again from what was kept; measures nothing
  --list                   the scenarios, and how long each takes`;

const MOST_ROUNDS = 100;
const MOST_SECONDS = 600;
/** All pids of a small machine are 32,768. */
const MOST_TARGETS = 20_000;

/** Parses arguments. Throws invalid-input that says which one is wrong. */
export function parseOptions(args: readonly string[], names: readonly string[]): BenchOptions {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        scenario: { type: 'string' },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '10' },
        targets: { type: 'string' },
        write: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        render: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    throw new HobblerError('invalid-input', messageOf(error), { hint: 'see npm run bench -- --help' });
  }
  const split = (text: string | boolean | undefined) => (typeof text === 'string' ? text.split(',') : undefined);
  const scenarios = split(values.scenario);
  for (const name of scenarios ?? []) {
    if (!names.includes(name))
      throw new HobblerError('invalid-input', 'no such scenario', {
        where: '--scenario',
        expected: names.join(', '),
        got: name,
      });
  }
  return {
    scenarios,
    rounds: number('--rounds', values.rounds, MOST_ROUNDS),
    seconds: number('--seconds', values.seconds, MOST_SECONDS, 0.5),
    targets: split(values.targets)?.map((text) => number('--targets', text, MOST_TARGETS)),
    write: values.write === true,
    list: values.list === true,
    render: values.render === true,
    help: values.help === true,
  };
}

/** A whole number from 1, or, where `least` allows it, a part of one. */
function number(where: string, text: string | boolean | undefined, most: number, least = 1): number {
  const value = typeof text === 'string' && text.trim() !== '' ? Number(text) : Number.NaN;
  if (value >= least && value <= most && (least < 1 || Number.isInteger(value))) return value;
  throw new HobblerError('invalid-input', 'not a number of that kind', {
    where,
    expected: `${least < 1 ? 'a number' : 'a whole number'} from ${least} to ${most}`,
    got: text,
  });
}

/**
 * `readings send`: the readings of a file or a pipe, sent to a producer over HTTP. For accounting systems without a
 * client of their own, and for trying things out. Built on the client that the package exports; owns the lines on the
 * terminal and the exit code. Says which line was refused, and why.
 */
import { createReadStream, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { MAX_LINE_CHARS } from '../client/batches.ts';
import { createProducer, type Producer, ProducerError, type Refusal } from '../client/producer.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { boundedLines } from '../shared/lines.ts';
import type { Cli } from './context.ts';
import { EXIT } from './exit.ts';
import { parseDuration, parseWhole } from './options.ts';
import { count, plain } from './print.ts';

const DEFAULT_URL = 'http://127.0.0.1:8081';
/** So many refusals are spelled out; more would hide them. --json has the first hundred too. */
const LISTED = 20;

interface SendFlags {
  url?: string;
  tokenFile?: string;
  batch: number;
  retryFor: number;
  json?: true;
}

export function addReadingsCommand(program: Command, cli: Cli, finish: Finish): void {
  const readings = program.command('readings').description('hand in what accounts have used');
  readings
    .command('send')
    .description('send readings, one JSON object a line, to a producer')
    .argument('<file>', 'a file, or - for standard input')
    .option('--url <url>', `where the producer listens (HOBBLER_PRODUCER_URL, else ${DEFAULT_URL})`)
    .option('--token-file <file>', 'a file with its bearer token (else HOBBLER_PRODUCER_TOKEN)')
    .option('--batch <n>', 'readings in one request, 1 to 1000', parseWhole('--batch'), 1_000)
    .option(
      '--retry-for <time>',
      'how long a batch is tried while the producer is full or away',
      parseDuration('--retry-for'),
      300_000,
    )
    .option('--json', 'the outcome as JSON')
    .addHelpText(
      'after',
      `\nExamples:
  echo '{"account":"alice","used":2104,"limit":2000,"unit":"s"}' | hobbler readings send -
  hobbler readings send --url https://producer.example --token-file /etc/hobbler/token today.jsonl
What is sent twice changes nothing: after a failure, send the file again.
Ends with 0 when all were taken, 1 when some were refused, 3 when the producer could not be reached for so long.`,
    )
    .action(async (file: string, flags: SendFlags) => finish(await send(cli, file, flags)));
}

async function send(cli: Cli, file: string, flags: SendFlags): Promise<number> {
  const producer = clientOf(cli, flags);
  const listed: Refusal[] = [];
  const onRefused = (refusal: Refusal) => {
    if (listed.length < LISTED) listed.push(refusal);
    if (!flags.json && listed.at(-1) === refusal) cli.note(`${file}:${refusal.index + 1}: ${plain(refusal.why)}`);
  };
  const { accepted, refused, refusals } = await sending(file, producer.sendLines(linesOf(file), { onRefused }));
  if (flags.json) {
    const lines = refusals.map(({ index, why }) => ({ line: index + 1, why }));
    cli.out(JSON.stringify({ accepted, refused, refusals: lines }));
  } else {
    if (refused > listed.length) cli.note(`and ${refused - listed.length} more lines`);
    cli.out(`${count(accepted, 'reading')} taken, ${refused} refused`);
  }
  return refused === 0 ? EXIT.ok : EXIT.failed;
}

function clientOf({ environment, note }: Cli, { url, tokenFile, batch, retryFor }: SendFlags): Producer {
  try {
    return createProducer({
      url: url ?? environment.producerUrl ?? DEFAULT_URL,
      token: tokenFile === undefined ? environment.producerToken : readToken(tokenFile),
      batchReadings: batch,
      retryForMs: retryFor,
      onWaiting: (why, pauseMs) => note(`hobbler: waiting ${Math.ceil(pauseMs / 1_000)} s: ${plain(why)}`),
    });
  } catch (error) {
    if (error instanceof HobblerError) throw error;
    throw new HobblerError('invalid-input', messageOf(error));
  }
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new HobblerError('invalid-input', `cannot be read (${messageOf(error)})`, { where: '--token-file' });
  }
}

function linesOf(file: string): AsyncIterable<string> {
  return boundedLines(file === '-' ? process.stdin : createReadStream(file), MAX_LINE_CHARS);
}

/** A producer that is not there is unavailable; one that answers what cannot be gone on with is a failure. */
async function sending<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ProducerError) {
      const isAway = error.status === null || error.status === 429 || error.status >= 500;
      throw new HobblerError(isAway ? 'producer-unavailable' : 'denied', plain(error.message), {
        hint: 'what was sent before it is taken; send the file again',
      });
    }
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new HobblerError('invalid-input', `cannot be read (${messageOf(error)})`, { where: file });
  }
}

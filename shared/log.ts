/** Logs: one pino logger per service; pretty on a terminal, JSON lines otherwise, always on stderr. */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { readEnvironment } from './environment.ts';

export type { Logger };

/** Paths that are blanked wherever they stand in a log line. */
const REDACTED = [
  'password',
  'token',
  'privateKey',
  'signature',
  '*.password',
  '*.token',
  '*.privateKey',
  '*.signature',
  'req.headers.authorization',
  'req.headers.cookie',
];

/** A logger named for its service. stdout stays free for what a command answers. */
export function createLogger(
  name: string,
  level = readEnvironment().logLevel ?? 'info',
  stream?: DestinationStream,
): Logger {
  const isTerminal = process.stderr.isTTY === true;
  const out =
    stream ??
    (isTerminal
      ? PinoPretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
      : writtenEachTurn(2));
  return pino(
    { name, level, redact: { paths: REDACTED, censor: '[hidden]' }, timestamp: stdTimeFunctions.isoTime },
    out,
  );
}

/** Characters that are held back at most, until the end of a turn. */
const MOST_HELD = 8_192;

/**
 * Lines of one turn of the event loop are one write: a line per order would cost a tenth of the order. Nothing waits longer
 * than that, and nothing is lost when the process exits, for whatever reason but SIGKILL.
 */
function writtenEachTurn(descriptor: number): DestinationStream {
  const out = destination({ dest: descriptor, sync: true, minLength: MOST_HELD });
  let isDue = false;
  const flush = () => {
    isDue = false;
    out.flushSync();
  };
  process.on('exit', flush);
  return {
    write(line: string): void {
      out.write(line);
      if (isDue) return;
      isDue = true;
      setImmediate(flush);
    },
  };
}

/** A logger that says nothing, for parts that run inside another program's output. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

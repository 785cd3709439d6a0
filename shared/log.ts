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
      : destination({ dest: 2, sync: true }));
  return pino(
    { name, level, redact: { paths: REDACTED, censor: '[hidden]' }, timestamp: stdTimeFunctions.isoTime },
    out,
  );
}

/** A logger that says nothing, for parts that run inside another program's output. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

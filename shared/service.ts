/**
 * The life of a service: start, run until a signal, stop within a bound. One contract for worker, producer and admin,
 * so that `hobbler up` can run all three and every one of them ends the same way.
 */
import { type Clock, within } from './clock.ts';
import { messageOf } from './errors.ts';
import type { Logger } from './log.ts';

export interface Service {
  readonly name: string;
  /** Resolves when it is ready to do its work; rejects when it cannot. */
  start(): Promise<void>;
  /** Reads its settings again, on SIGHUP. Never rejects: what cannot be read leaves things as they are, and is said. */
  reload?(): Promise<void>;
  /** Ends it. Never rejects, may be called twice, and is bounded in time by the service itself. */
  stop(): Promise<void>;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/** A service that has not stopped by then is left behind: the process exits anyway. */
const STOP_LIMIT_MS = 1_900;

/**
 * Runs services until a signal or `until` resolves, then stops them in reverse order. Returns the exit code. SIGHUP makes
 * them reload where every one of them can, and else ends them: a worker whose terminal has gone lets everything go.
 */
export async function runServices(
  services: readonly Service[],
  clock: Clock,
  log: Logger,
  until: Promise<unknown> = new Promise(() => {}),
): Promise<number> {
  let onSignal: ((signal: string) => void) | undefined;
  const started: Service[] = [];
  const signalled = new Promise<string>((resolve) => {
    onSignal = resolve;
  });
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal!);
  const onHangup = () => {
    if (services.some(({ reload }) => reload === undefined)) onSignal!('SIGHUP');
    else for (const service of started) void service.reload!();
  };
  process.on('SIGHUP', onHangup);
  let exitCode = 0;
  try {
    for (const service of services) {
      started.unshift(service);
      // Told to stop while one starts: the next is not started at all.
      if ((await Promise.race([service.start(), signalled])) !== undefined) break;
    }
    const signal = await Promise.race([signalled, until]);
    if (typeof signal === 'string') log.info({ signal }, 'stopping');
  } catch (error) {
    log.error({ err: error }, messageOf(error));
    exitCode = 1;
  }
  const stopped = await within(clock, STOP_LIMIT_MS, stopAll(started, log));
  if (!stopped.done) log.warn({ limitMs: STOP_LIMIT_MS }, 'stopping took too long; left connections open');
  for (const signal of STOP_SIGNALS) process.off(signal, onSignal!);
  process.off('SIGHUP', onHangup);
  return exitCode;
}

async function stopAll(services: readonly Service[], log: Logger): Promise<void> {
  for (const service of services) {
    try {
      await service.stop();
    } catch (error) {
      log.error({ err: error, service: service.name }, 'stopping failed');
    }
  }
}

/**
 * Runs services for a command and gives the exit code by which a supervisor or a script knows why they ended: what a
 * service could not start for is kept, since runServices knows only that it failed.
 */
import type { Clock } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { runServices, type Service } from '../shared/service.ts';
import { exitCodeOf } from './exit.ts';

/** Runs services until a signal or `until`. Returns the exit code. */
export async function runToExit(services: readonly Service[], clock: Clock, log: Logger): Promise<number> {
  const { exitCode, failure } = await runAndTell(services, clock, log);
  return failure === undefined ? exitCode : exitCodeOf(failure);
}

/** The same, and what a service, or `until`, failed with. */
export async function runAndTell(
  services: readonly Service[],
  clock: Clock,
  log: Logger,
  until?: Promise<unknown>,
): Promise<{ exitCode: number; failure: unknown }> {
  let failure: unknown;
  const keep = (error: unknown) => {
    failure ??= error;
    throw error;
  };
  const watched = services.map((service) => ({
    name: service.name,
    start: () => service.start().catch(keep),
    stop: () => service.stop(),
    ...(service.reload ? { reload: () => service.reload!() } : {}),
  }));
  const ending = until?.catch(keep);
  ending?.catch(() => {}); // it may fail before anybody waits for it
  // What a person can mend is said in a sentence; a stack trace is for what only we can mend.
  const sentences = log.child({}, { serializers: { err: summarize } });
  const exitCode = await runServices(watched, clock, sentences, ending);
  return { exitCode, failure };
}

function summarize(error: unknown): unknown {
  if (error instanceof HobblerError && error.code !== 'internal') return { code: error.code };
  return error instanceof Error ? { message: error.message, stack: error.stack } : error;
}

/**
 * Runs services for a command and gives the exit code by which a supervisor or a script knows why they ended: what a
 * service could not start for is kept, since runServices knows only that it failed.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { runServices, type Service } from '../shared/service.ts';
import { exitCodeOf } from './exit.ts';

export async function runToExit(
  services: readonly Service[],
  clock: Clock,
  log: Logger,
  until?: Promise<unknown>,
): Promise<number> {
  let failure: unknown;
  const watched = services.map((service) => ({
    name: service.name,
    start: () =>
      service.start().catch((error: unknown) => {
        failure ??= error;
        throw error;
      }),
    stop: () => service.stop(),
  }));
  const exitCode = await runServices(watched, clock, log, until);
  return failure === undefined ? exitCode : exitCodeOf(failure);
}

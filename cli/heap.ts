/**
 * How much memory V8 may take for what is soon garbage. By default that grows to some 50 MB in a worker with thousands of
 * targets; with a young generation this small it collects more often and costs about the same (docs/costs.md). It can be
 * said at the start of a process only, so the process replaces itself by the same program with the flag: its pid, its
 * open files and whoever waits for it stay as they are.
 */
import process from 'node:process';

const FLAG = '--max-semi-space-size';
const SEMI_SPACE_MB = 4;

/** Does not return where it has an effect. To be called before anything is begun. */
export function keepHeapSmall(): void {
  const isSaid = process.execArgv.some((arg) => arg.startsWith(FLAG));
  // A channel to a parent would not survive it; and Node before 22.15 cannot do it.
  if (isSaid || process.connected || typeof process.execve !== 'function') return;
  process.execve(process.execPath, [
    process.execPath,
    `${FLAG}=${SEMI_SPACE_MB}`,
    ...process.execArgv,
    ...process.argv.slice(1),
  ]);
}

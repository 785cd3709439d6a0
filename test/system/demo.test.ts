/**
 * The demo, as `npm run demo` runs it: to its end with what it promises, and ended in the middle in every way there is.
 * Whatever happens, none of its processes lives on, none is left stopped, and its files are gone.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { descendantsOf, type ProcessStat } from '../support/proc.ts';
import { expectNothingLeft, isAlive, registerKnown, startProcess, until } from '../support/processes.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

let temp: string;
beforeEach(async () => {
  temp = await mkdtemp(join(tmpdir(), 'hobbler-demo-test-'));
});
afterEach(async () => {
  try {
    await expectNothingLeft();
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
});

async function startDemo(args: readonly string[] = []) {
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: temp };
  for (const name of ['REDIS_URL', 'HOBBLER_REDIS_URL', 'HOBBLER_CONFIG', 'HOBBLER_STATE_DIR']) delete env[name];
  const demo = await startProcess(process.execPath, [CLI, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const output = { stdout: '', stderr: '' };
  demo.child.stdout!.on('data', (chunk) => {
    output.stdout += chunk;
  });
  demo.child.stderr!.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const ended = new Promise<number | string>((resolve) => {
    demo.child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  return { ...demo, output, ended };
}

/** Everything that the demo has started so far: trees, guard, Redis, janitor. */
function broodOf(demo: { pid: number }): ProcessStat[] {
  return descendantsOf(demo.pid);
}

test('one account goes over, slows down to a twentieth, alone, is let go, and nothing is left', async () => {
  const demo = await startDemo(['--json']);
  await until(() => broodOf(demo).length >= 12, { deadlineMs: 15_000, what: 'three trees of four processes' });
  const brood = broodOf(demo);
  const code = await demo.ended;
  const summary = JSON.parse(demo.output.stdout);
  expect(summary.promises.filter(({ isKept }: { isKept: boolean }) => !isKept)).toEqual([]);
  expect(code).toBe(0);
  expect(summary.promises).toHaveLength(4);
  expect(summary.rates.ann.under.unitsPerSecond).toBeLessThan(summary.rates.ann.before.unitsPerSecond / 10);
  expect(brood.filter(isAlive)).toEqual([]);
  expect(await readdir(temp)).toEqual([]);
});

test.each([
  ['SIGINT', 0],
  ['SIGTERM', 0],
  // What cannot be caught is cleaned up by the guard, by broken pipes, and by a shell that waits for our end.
  ['SIGKILL', 5_000],
] as const)('%s in the stop phase of a tarpitted tree leaves nothing behind', async (signal, afterMs) => {
  const demo = await startDemo();
  const isStopped = () => broodOf(demo).some(({ state }) => state === 'T');
  await until(isStopped, { deadlineMs: 60_000, what: () => `a stopped tree; ${demo.output.stdout.slice(-300)}` });
  const brood = broodOf(demo);
  // A helper of the demo, getent say, may have ended by now; it is written down all the same.
  for (const one of brood) registerKnown(one, `of the demo: ${one.name}`);
  demo.child.kill(signal);
  const code = await demo.ended;
  expect(code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 1);
  await until(() => brood.every((one) => !isAlive(one)), {
    deadlineMs: Math.max(afterMs, 100),
    what: () => `the end of ${brood.filter(isAlive).map(({ pid, name }) => `${name} (${pid})`)}`,
  });
  expect(await readdir(temp)).toEqual([]);
});

/** Log lines: gathered into one write per turn of the event loop, and none is lost, however the process ends. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const LOG = fileURLToPath(new URL('../../../shared/log.ts', import.meta.url));

function run(program: string): { status: number | null; lines: string[] } {
  const text = `const { createLogger } = await import(${JSON.stringify(LOG)}); const log = createLogger('test', 'info');\n${program}`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], { encoding: 'utf8' });
  return { status, lines: stderr.split('\n').filter((line) => line.startsWith('{')) };
}

const messages = (lines: readonly string[]) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);

it.each([
  ['by itself', '', 0],
  ['by process.exit', 'process.exit(3)', 3],
  ['by an exception', "throw new Error('broken')", 1],
  ['by a rejection', "await Promise.reject(new Error('broken'))", 1],
])('the last lines of a process that ends %s are written', (_, end, expected) => {
  const { status, lines } = run(`log.info('first'); log.warn({ password: 'secret' }, 'last');\n${end}`);
  expect(status).toBe(expected);
  expect(messages(lines)).toEqual(['first', 'last']);
  expect(lines.join()).not.toContain('secret');
});

it('a line is out before the next turn of the event loop, not when there are enough of them', () => {
  const { lines } = run(`log.info('seen');
await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
process.kill(process.pid, 'SIGKILL');`);
  expect(messages(lines)).toEqual(['seen']);
});

it('many and long lines keep their order', () => {
  const { lines } = run(`for (let n = 0; n < 2_000; n++) log.info({ n }, 'x'.repeat(n % 40 === 0 ? 10_000 : 5));`);
  expect(lines.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual(
    Array.from({ length: 2_000 }, (_, n) => n),
  );
});

/**
 * The guard's shell script on journals that are broken: whatever stands in one, it ends in good order, runs nothing that
 * stands there, and releases those whose lines are whole. Hobbles one process of its own, which it ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readStartTicks, readState } from '../proc.ts';
import { mutate, randomOf } from './mutate.ts';
import type { FuzzResult } from './run.ts';

const GUARD = fileURLToPath(new URL('../../../worker/guard/guard.sh', import.meta.url));
/** No pid reaches that far, so no line made of these can name a process. */
const NOBODY = 4_194_305;
const GARBAGE = [
  `stop ${NOBODY} 100\nstop ${NOBODY + 1} 200\nleft ${NOBODY} 100\n`,
  `left ${NOBODY} 1\nstop ${NOBODY} 99999999999999999999\n\n\n`,
  'stop a[$(touch pwned)] 1\nleft $(touch pwned) `touch pwned`\n',
  'stop 1 1\nstop 0 0\nstop -1 5\nstop 08 1\nstop 1e3 1\n',
  '; touch pwned\n| touch pwned\n> pwned\n$(touch pwned)\n',
].map((text) => Buffer.from(text));

/** Gives the guard `inputs` journals, each by a run of its own. */
export async function fuzzGuard(inputs: number, seed: number): Promise<FuzzResult> {
  const result: FuzzResult = { inputs, findings: [], slowestMs: 0, slowestInput: '' };
  const dir = mkdtempSync(join(tmpdir(), 'hobbler-fuzz-'));
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir);
  const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
  try {
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    for (let number = 0; number < inputs; number++) {
      const random = randomOf(seed, 'guard', number);
      // A line that names another boot is one for the guard to believe, so none may come about by chance.
      const garbage = () =>
        Buffer.from(mutate(GARBAGE, random).toString('latin1').replaceAll('boot', 'b00t'), 'latin1');
      const line = `\nstop ${child.pid} ${readStartTicks(child.pid!)}\n`;
      const journal = Buffer.concat([garbage(), Buffer.from(line), garbage()]);
      const why = runGuard(journal, stateDir, dir, child);
      if (why !== null && result.findings.length < 3)
        result.findings.push({
          parser: 'guard',
          seed,
          number,
          input: JSON.stringify(journal.toString('latin1').slice(0, 400)),
          why,
        });
    }
  } finally {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
  return result;
}

/** What was wrong with one run; null: nothing. */
function runGuard(journal: Buffer, stateDir: string, cwd: string, child: ChildProcess): string | null {
  writeFileSync(join(stateDir, 'journal'), journal);
  child.kill('SIGSTOP');
  waitFor(child.pid!, (state) => state === 'T');
  const { status, stdout, stderr } = spawnSync('bash', [GUARD, 'release', stateDir], {
    cwd,
    encoding: 'latin1',
    timeout: 20_000,
  });
  if (status !== 0) return `it ended with ${status}: ${stderr}`;
  if (stdout !== '1\n') return `it said ${JSON.stringify(stdout)} instead of 1: ${stderr}`;
  // Bash says that it leaves NUL bytes out; that is all there may be.
  const words = stderr.split('\n').filter((line) => line !== '' && !line.includes('ignored null byte'));
  if (words.length > 0) return `it complained: ${words.join(' | ')}`;
  if (!waitFor(child.pid!, (state) => state !== 'T')) return 'the process was left stopped';
  const files = [...readdirSync(cwd), ...readdirSync(stateDir)].sort().join();
  if (files !== 'journal,state') return `it made files: ${files}`;
  if (!readFileSync(join(stateDir, 'journal')).equals(journal)) return 'it changed the journal';
  return null;
}

function waitFor(pid: number, isDone: (state: string | undefined) => boolean): boolean {
  const giveUpAt = performance.now() + 2_000;
  while (!isDone(readState(pid))) if (performance.now() > giveUpAt) return false;
  return true;
}

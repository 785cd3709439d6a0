/**
 * A Docker engine for one test file: the one that DOCKER_HOST names, if it answers; else a private one that
 * test/docker/engine.sh starts, with stand-in images, and that this file ends again. Owns no container. Never uses the
 * system's engine unasked, and never lets a test be skipped in CI.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, test } from 'vitest';
import { ROOT } from './sources.ts';

const ENGINE = join(ROOT, 'test/docker/engine.sh');
const IMAGES = join(ROOT, 'test/docker/images.sh');
/** What docs/docker.md and engine.sh need of Debian's packages. */
const PACKAGES = 'docker.io docker-compose iproute2 redis-server';
const PROGRAMS = ['docker', 'dockerd', 'docker-compose', 'ip', 'redis-server'];

export interface Engine {
  /** True: started here, so that everything in it is ours. */
  isOurs: boolean;
  /** Ends it, if it was started here, with all that is in it. May be called twice. */
  stop(): Promise<void>;
}

/** Starts an engine and points the environment of this process at it. */
export async function startEngine(): Promise<Engine> {
  if (givenEngineAnswers()) return { isOurs: false, stop: async () => {} };
  const settings = [...(await run(ENGINE, ['start'])).matchAll(/\b([A-Z_]+)=(\S+)/g)];
  for (const [, name, value] of settings) process.env[name!] = value;
  const stopNow = () => execFileSync(ENGINE, ['stop'], { stdio: 'ignore', timeout: 60_000 });
  process.once('exit', stopNow); // a runner that is interrupted calls no afterAll
  const stop = async () => {
    process.off('exit', stopNow);
    await run(ENGINE, ['stop']);
    for (const [, name] of settings) delete process.env[name!];
  };
  await run(IMAGES, [process.execPath]).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { isOurs: true, stop };
}

/** A `describe` for tests that need an engine. Where there can be none they are skipped, saying why; in CI they fail. */
export function describeWithEngine(title: string, body: () => void): void {
  const missing = whyNoEngine();
  if (missing === undefined) describe(title, body);
  else if (process.env.CI === undefined) {
    console.warn(`skipped: ${title}: ${missing}`);
    describe.skip(title, body);
  } else {
    test(title, () => {
      throw new Error(`no Docker engine: ${missing}`);
    });
  }
}

function whyNoEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, as engine.sh and hobbled processes of other users do';
  if (givenEngineAnswers()) return undefined;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const missing = PROGRAMS.filter((program) => !folders.some((folder) => existsSync(join(folder, program))));
  if (missing.length === 0) return undefined;
  return `no ${missing.join(', ')}: apt-get install -y --no-install-recommends ${PACKAGES}`;
}

function givenEngineAnswers(): boolean {
  if (process.env.DOCKER_HOST === undefined) return false;
  try {
    execFileSync('docker', ['version'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

export interface RunOptions {
  cwd?: string;
  timeoutMs?: number;
}

/** Runs a program to its end and gives its output. Throws with all that it said when it fails. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, timeoutMs = 60_000 }: RunOptions = {},
): Promise<string> {
  // What the developer's shell says of hobbler and compose must not leak into a test's project.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:HOBBLER|COMPOSE)_/.test(name)));
  const dir = process.env.HOBBLER_DOCKER_DIR;
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      cwd,
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...env, ...(dir === undefined ? {} : { HOBBLER_DOCKER_DIR: dir }) },
    });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

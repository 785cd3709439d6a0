/**
 * What the bench runs: our small C programs, compiled for it, and hobbler itself as built JavaScript where there is a
 * build. A build that is older than the sources is made anew, so that no figure is of yesterday's code.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HobblerError, messageOf } from '../shared/errors.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CONTENDERS = join(ROOT, 'bench/contenders');
/** Folders whose files are in the build. */
const BUILT = ['admin', 'cli', 'demo', 'producer', 'shared', 'worker'];

/** A file of bench/contenders/. */
export function contenderPath(name: string): string {
  return join(CONTENDERS, name);
}

/** Compiles every C program into a directory; returns where one lies. Throws unsupported without a compiler. */
export function compilePrograms(directory: string): (name: string) => string {
  for (const file of readdirSync(CONTENDERS).filter((name) => name.endsWith('.c'))) {
    try {
      execFileSync('cc', ['-O2', '-o', join(directory, file.slice(0, -2)), join(CONTENDERS, file)], { stdio: 'pipe' });
    } catch (error) {
      throw new HobblerError('unsupported', `cannot be compiled (${messageOf(error).slice(0, 300)})`, {
        where: `bench/contenders/${file}`,
        hint: 'install a C compiler: apt-get install gcc libc6-dev',
      });
    }
  }
  return (name) => join(directory, name);
}

export interface Cli {
  /** The file that Node is to run. */
  path: string;
  /** For the page. */
  what: string;
}

/** The CLI to run: built where package.json has a build. Throws when the build fails. */
export function prepareCli(say: (text: string) => void): Cli {
  const sources = { path: join(ROOT, 'cli.ts'), what: 'TypeScript sources, stripped by Node (there is no build)' };
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const built = join(ROOT, 'dist/cli.js');
  if (!scripts.build) return sources;
  if (!existsSync(built) || statSync(built).mtimeMs < newestSourceMs()) {
    say('building: npm run build');
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  if (!existsSync(built)) throw new HobblerError('unsupported', 'npm run build made no such file', { where: built });
  return { path: built, what: 'built JavaScript (npm run build)' };
}

function newestSourceMs(): number {
  const files = BUILT.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return Math.max(...[...files, join(ROOT, 'cli.ts')].map((path) => statSync(path).mtimeMs));
}

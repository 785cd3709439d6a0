/**
 * `npm run build`: makes dist/ of cli.ts and all that it imports. Each source becomes JavaScript at the same place, with
 * its declarations, and beside it comes what the code reads there at run time. Which files those are, the code itself
 * says, by `new URL('./name', import.meta.url)`: there is no list to forget one in. A file that is missing, or that
 * cannot be told, fails the build. dist/ is replaced at the end and as a whole: it is the last good build, with nothing
 * of an older one in it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = import.meta.dirname;
const DIST = join(ROOT, 'dist');
/** On the same file system as dist/, so that a rename is all that the exchange takes. Git ignores them. */
const FRESH = join(ROOT, `.dist-new-${process.pid}`);
const STALE = join(ROOT, `.dist-old-${process.pid}`);

/** What a person can mend: said without a stack trace. */
class BuildError extends Error {}

try {
  compile(FRESH);
  const modules = globSync('**/*.js', { cwd: FRESH }).toSorted();
  const companions = new Set(modules.flatMap((module) => companionsOf(module)));
  for (const path of companions) cpSync(join(ROOT, path), join(FRESH, path), { errorOnExist: true, force: false });
  if (existsSync(DIST)) renameSync(DIST, STALE);
  renameSync(FRESH, DIST);
  console.log(`dist/: ${modules.length} modules, ${companions.size} files beside them`);
} catch (error) {
  console.error(error instanceof BuildError ? `build: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  for (const directory of [FRESH, STALE]) rmSync(directory, { recursive: true, force: true });
}

function compile(outDir: string): void {
  const args = ['--project', join(ROOT, 'tsconfig.build.json'), '--outDir', outDir];
  const { status, error } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), args, { stdio: 'inherit' });
  if (error) throw new BuildError(`tsc cannot be run (${error.message}): npm ci first`);
  if (status !== 0) throw new BuildError('tsc found faults; dist/ is as it was');
}

/** The files that a built module reads next to itself, from the root. Throws for one that is missing or cannot be told. */
function companionsOf(module: string): string[] {
  const source = module.replace(/\.js$/, '.ts');
  const code = codeOf(readFileSync(join(FRESH, module), 'utf8'));
  const paths: string[] = [];
  const rest = code
    .replaceAll(/createRequire\(import\.meta\.url\)/g, '') // finds packages, not files
    .replaceAll(/new URL\((['"`])(\.[^'"`]*)\1, import\.meta\.url\)/g, (_, __, specifier: string) => {
      paths.push(...filesNamed(specifier, source));
      return '';
    });
  const unknown = rest.split('\n').find((line) => line.includes('import.meta'));
  if (unknown !== undefined) {
    throw new BuildError(
      `${source}: which file is read here?\n  ${unknown.trim()}\nexpected new URL('./name', import.meta.url), with a literal or a template`,
    );
  }
  return paths;
}

/** `specifier` may have a template's `${…}` in it, which stands for any one name. */
function filesNamed(specifier: string, source: string): string[] {
  const pattern = join(dirname(source), specifier.replaceAll(/\$\{[^}]*\}/g, '*'));
  if (pattern.startsWith('..')) throw new BuildError(`${source} reads ${specifier}, which is outside of the package`);
  const found = globSync(pattern, { cwd: ROOT }).filter((path) => statSync(join(ROOT, path)).isFile());
  // Beside a template's files there may be sources, which are compiled and not read.
  const files = found.filter((path) => !path.endsWith('.ts'));
  if (files.length > 0) return files;
  const why = found.length > 0 ? `${found[0]} is TypeScript, which is built to another name` : `no file at ${pattern}`;
  throw new BuildError(`${source} reads ${specifier}: ${why}`);
}

/** Without lines that are comments. */
function codeOf(text: string): string {
  return text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '');
}

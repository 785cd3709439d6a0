#!/usr/bin/env node
// Starts hobbler on a Node that can run it. hobbler is TypeScript that Node 24 runs as it is; under an older Node this
// starts the Node 24 of the npm package `node` beside it, and stands in for it: signals go through, the exit code comes
// back. It is plain JavaScript for Node 20, and knows nothing of hobbler but where its cli is.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NEEDED_MAJOR = 24;
const built = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const entry = existsSync(built) ? built : fileURLToPath(new URL('../cli.ts', import.meta.url));

if (Number.parseInt(process.versions.node, 10) >= NEEDED_MAJOR) {
  await import(pathToFileURL(entry).href);
} else {
  const node = findNode();
  if (node === undefined) {
    console.error(
      `hobbler: needs Node ${NEEDED_MAJOR}, and this is Node ${process.versions.node}; install Node ${NEEDED_MAJOR}, or run: npm install node@${NEEDED_MAJOR}`,
    );
    process.exit(3);
  }
  standInFor(node);
}

/** The program of the npm package `node`, where it is installed for this machine. */
function findNode() {
  try {
    const require = createRequire(import.meta.url);
    const path = fileURLToPath(new URL('bin/node', pathToFileURL(require.resolve('node/package.json'))));
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} node */
function standInFor(node) {
  // The channel is a lifeline: when this process is killed, cli.ts sees it close and stops.
  const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'])) {
    // A Ctrl-C reaches both of us from the terminal; for hobbler a second one of the same moment is the first.
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`hobbler: cannot run ${node} (${error.message}); install Node ${NEEDED_MAJOR}`);
    process.exit(3);
  });
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
}

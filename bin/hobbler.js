#!/usr/bin/env node
// Starts hobbler on a Node that can run it: a checkout's TypeScript on Node 24, which takes it as it is; an installed
// package's JavaScript on what its dependencies ask for. Under an older Node, such as the distribution's own, this
// starts the Node that the package brings along, and stands in for it: signals go through, the exit code comes back.
// It is plain JavaScript for Node 18, and knows nothing of hobbler but where its cli is.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

const sources = fileURLToPath(new URL('../cli.ts', import.meta.url));
const built = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
// Sources first: where there are both, the build may be older than what its owner has just written.
const entry = existsSync(sources) ? sources : built;
/** Major and minor: commander 15 needs 22.12. */
const needed = entry === sources ? [24, 0] : [22, 12];
/** What the package `node`, which hobbler depends on, fetches by an install script: for where scripts may not run. */
const bareNode = `node-${process.platform}-${process.arch}`;

if (isEnough(process.versions.node)) {
  await import(pathToFileURL(entry).href);
} else {
  const node = findNode();
  if (node === undefined) {
    console.error(
      `hobbler: needs Node ${needed.join('.')} or later, and this is Node ${process.versions.node}; install one, or put one beside hobbler: npm install ${bareNode}@24`,
    );
    process.exit(3);
  }
  standInFor(node);
}

/** @param {string} version */
function isEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > needed[0] || (major === needed[0] && minor >= needed[1]);
}

/** The program of an npm package that holds a Node, where one is installed that will do. */
function findNode() {
  const require = createRequire(import.meta.url);
  for (const name of ['node', bareNode]) {
    try {
      const manifest = require.resolve(`${name}/package.json`);
      const path = fileURLToPath(new URL('bin/node', pathToFileURL(manifest)));
      if (isEnough(JSON.parse(readFileSync(manifest, 'utf8')).version) && existsSync(path)) return path;
    } catch {
      // not installed
    }
  }
  return undefined;
}

/** @param {string} node */
function standInFor(node) {
  // What a worker does by itself where nobody stands in for it (cli/heap.ts).
  const flags = process.argv.includes('worker') ? ['--max-semi-space-size=4'] : [];
  // The channel is a lifeline: when this process is killed, cli.ts sees it close and stops.
  const child = spawn(node, [...flags, entry, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'])) {
    // A Ctrl-C reaches both of us from the terminal; for hobbler a second one of the same moment is the first.
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(
      `hobbler: cannot run ${node} (${error.message}); install Node ${needed.join('.')} or later of your own`,
    );
    process.exit(3);
  });
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
}

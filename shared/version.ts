/**
 * hobbler's version, for the command line and the heartbeat. package.json says it, and nothing else does; it is found by
 * the package's own name, which leads there from the sources and from dist/ alike.
 */
import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('hobbler/package.json') as { version: string };

export const HOBBLER_VERSION = version;

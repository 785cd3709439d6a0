/** A producer or an admin in a process of its own, started as the README says, on a port of its own. */
import { fileURLToPath } from 'node:url';
import { startProcess, type TestProcess } from './processes.ts';
import { until } from './until.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

export interface TestService extends TestProcess {
  url: string;
  log(): string;
  /** SIGTERM, and its exit code. */
  stop(): Promise<number | null>;
}

export async function startService(
  name: 'producer' | 'admin',
  redis: { url: string },
  env: Record<string, string>,
  args: readonly string[] = [],
): Promise<TestService> {
  const started = await startProcess(
    process.execPath,
    [CLI, '--redis', redis.url, ...args, name, '--listen', '127.0.0.1:0'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      mustEnd: true,
    },
  );
  let log = '';
  started.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const url = await until(() => /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(log)?.[0], {
    deadlineMs: 15_000,
    what: () => `the address of the ${name}; it said:\n${log}`,
  });
  return {
    ...started,
    url: url!,
    log: () => log,
    stop: async () => {
      const ended = new Promise<number | null>((resolve) => started.child.once('exit', resolve));
      started.child.kill('SIGTERM');
      return ended;
    },
  };
}

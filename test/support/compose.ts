/**
 * docker-compose.yml brought up as docs/docker.md says, from a copy of this checkout in a directory of its own: image,
 * keys, .env, config. The host's name, ports, project and the directory that stands for /run/hobbler are this test's
 * alone, so nothing of a real hobbler on the machine is touched. Signals nothing but by the engine, to its containers.
 */
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { parse, stringify } from 'yaml';
import { run } from './docker.ts';
import { until } from './until.ts';

export const SERVICES = ['redis', 'guard', 'worker', 'producer', 'admin'] as const;
export type ServiceName = (typeof SERVICES)[number];

const ROOT = join(import.meta.dirname, '../..');
const UP_LIMIT_MS = 60_000;
const BUILD_LIMIT_MS = 120_000;
const roles = ['producer', 'operator'] as const;

export interface Stack {
  /** Name of the host in this fleet of one. */
  host: string;
  project: string;
  adminUrl: string;
  /** `docker-compose up -d`, and wait until every service is healthy. */
  up(): Promise<void>;
  /** `docker-compose down`, with the volume. */
  down(): Promise<void>;
  /** SIGKILL to what runs in the service's container; Docker takes that for a stop and does not restart it. */
  kill(...services: ServiceName[]): Promise<void>;
  start(service: ServiceName): Promise<void>;
  /** Pid, on the host, of the container's first process; 0: it does not run. */
  pidOf(service: ServiceName): Promise<number>;
  healthOf(service: ServiceName): Promise<string>;
  restartsOf(service: ServiceName): Promise<number>;
  /** Runs a program in a service's container; `environment` overrides its own. Throws with its output when it fails. */
  exec(service: ServiceName, command: readonly string[], environment?: Record<string, string>): Promise<string>;
  /** Posts JSON to the producer's loopback port, with its token. */
  post(path: '/v1/readings' | '/v1/orders', body: object): Promise<{ status: number; answer: unknown }>;
  logs(): Promise<string>;
  /** `down`, and image and directory go too. May be called twice. */
  remove(): Promise<void>;
}

/** Builds the image and writes .env and config. Nothing runs yet. */
export async function prepareStack(): Promise<Stack> {
  const dir = mkdtempSync(join(tmpdir(), 'hobbler-compose-'));
  const project = basename(dir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '');
  try {
    copyCheckout(dir);
    await packModules(dir);
    const image = `hobbler:${project}`;
    await run('docker', ['build', '--tag', image, '.'], { cwd: dir, timeoutMs: BUILD_LIMIT_MS });
    return new ComposeStack(dir, project, await writeSettings(dir, project, image));
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

/** The working tree as it is, and the modules of this machine in the place of a network (Dockerfile). */
function copyCheckout(dir: string): void {
  const skipped = new Set(['node_modules', '.git', 'node_modules.tar']);
  cpSync(ROOT, dir, { recursive: true, filter: (path) => !skipped.has(relative(ROOT, path)) });
}

async function packModules(dir: string): Promise<void> {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const isWanted = (path: string) =>
    packages[path]!.dev !== true &&
    /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path) && // what lies within another comes with it
    !/^node_modules\/@?typescript(?:\/|$)/.test(path) && // the Dockerfile says why
    existsSync(join(ROOT, path)); // the lock file names those of other platforms too
  const list = join(dir, 'modules.txt');
  writeFileSync(list, Object.keys(packages).filter(isWanted).join('\n'));
  await run('tar', ['-cf', join(dir, 'node_modules.tar'), '-C', ROOT, '-T', list]);
}

interface StackSettings {
  image: string;
  host: string;
  token: string;
  producerUrl: string;
  adminUrl: string;
}

async function writeSettings(dir: string, project: string, image: string): Promise<StackSettings> {
  for (const folder of ['config', 'run']) mkdirSync(join(dir, folder));
  const user = `${process.getuid?.()}:${process.getgid?.()}`;
  const keys: unknown[] = [];
  for (const role of roles) {
    const made = ['run', '--rm', '--network', 'none', '--user', user, '--volume', `${dir}:/keys`, '--workdir', '/keys'];
    const printed = parse(await run('docker', [...made, image, 'keys', '--role', role]));
    keys.push(...(printed as { worker: { keys: unknown[] } }).worker.keys);
  }
  writeFileSync(join(dir, 'config/hobbler.yaml'), stringify({ worker: { keys }, producer: { dwell: '0s' } }));

  const [producerPort, adminPort] = [await freePort(), await freePort()];
  const secret = () => randomBytes(24).toString('hex');
  const oneLine = (role: string) => readFileSync(join(dir, `${role}-1.pem`), 'utf8').replaceAll('\n', '\\n');
  const token = secret();
  const host = 'web-1';
  const settings = {
    HOBBLER_HOST: host,
    HOBBLER_VERSION: project,
    HOBBLER_RUN_DIR: join(dir, 'run'),
    HOBBLER_CONFIG_DIR: join(dir, 'config'),
    HOBBLER_HEALTH_EVERY: '1s',
    HOBBLER_PRODUCER_PORT: producerPort,
    HOBBLER_ADMIN_PORT: adminPort,
    HOBBLER_REDIS_PASSWORD: secret(),
    HOBBLER_PRODUCER_TOKEN: token,
    HOBBLER_ADMIN_PASSWORD: secret(),
    HOBBLER_PRODUCER_SIGNING_KEY: oneLine('producer'),
    HOBBLER_ADMIN_SIGNING_KEY: oneLine('operator'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(dir, '.env'), lines.join(''), { mode: 0o600 });
  const url = (port: number) => `http://127.0.0.1:${port}`;
  return { image, host, token, producerUrl: url(producerPort), adminUrl: url(adminPort) };
}

class ComposeStack implements Stack {
  readonly host: string;
  readonly project: string;
  readonly adminUrl: string;
  readonly #dir: string;
  readonly #settings: StackSettings;

  constructor(dir: string, project: string, settings: StackSettings) {
    this.host = settings.host;
    this.project = project;
    this.adminUrl = settings.adminUrl;
    this.#dir = dir;
    this.#settings = settings;
  }

  async up(): Promise<void> {
    await this.#compose('up', '--detach', '--no-build');
    for (const service of SERVICES) {
      await until(async () => (await this.healthOf(service)) === 'healthy', {
        deadlineMs: UP_LIMIT_MS,
        what: `${service} to be healthy`,
      }).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await this.logs()}`);
      });
    }
  }

  async down(): Promise<void> {
    await this.#compose('down', '--volumes');
  }

  async kill(...services: ServiceName[]): Promise<void> {
    await run('docker', ['kill', ...(await Promise.all(services.map((service) => this.#containerOf(service))))]);
  }

  async start(service: ServiceName): Promise<void> {
    await run('docker', ['start', await this.#containerOf(service)]);
  }

  async pidOf(service: ServiceName): Promise<number> {
    return Number(await this.#inspect(service, '{{.State.Pid}}'));
  }

  healthOf(service: ServiceName): Promise<string> {
    return this.#inspect(service, '{{.State.Health.Status}}');
  }

  async restartsOf(service: ServiceName): Promise<number> {
    return Number(await this.#inspect(service, '{{.RestartCount}}'));
  }

  async exec(service: ServiceName, command: readonly string[], environment: Record<string, string> = {}) {
    const options = Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    return run('docker', ['exec', ...options, await this.#containerOf(service), ...command]);
  }

  async post(path: string, body: object): Promise<{ status: number; answer: unknown }> {
    const response = await fetch(this.#settings.producerUrl + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#settings.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, answer: await response.json() };
  }

  logs(): Promise<string> {
    return this.#compose('logs', '--no-color', '--tail', '50');
  }

  async remove(): Promise<void> {
    if (!existsSync(this.#dir)) return;
    await this.down();
    await run('docker', ['image', 'rm', this.#settings.image]);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #containerOf(service: ServiceName): Promise<string> {
    const label = (name: string, value: string) => ['--filter', `label=com.docker.compose.${name}=${value}`];
    const ids = await run('docker', ['ps', '-aq', ...label('project', this.project), ...label('service', service)]);
    if (ids.trim() === '') throw new Error(`no container of ${service}`);
    return ids.trim();
  }

  async #inspect(service: ServiceName, format: string): Promise<string> {
    return (await run('docker', ['inspect', '--format', format, await this.#containerOf(service)])).trim();
  }

  /** Compose v2 where the plugin is, else Debian's 1.29. */
  async #compose(...args: string[]): Promise<string> {
    const options = { cwd: this.#dir, timeoutMs: UP_LIMIT_MS };
    const hasPlugin = await run('docker', ['compose', 'version']).then(
      () => true,
      () => false,
    );
    const [program, ...first] = hasPlugin ? ['docker', 'compose'] : ['docker-compose'];
    return run(program!, [...first, '--project-name', this.project, ...args], options);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * `worker`, `producer`, `admin`, and `up`: all three in one process, for one machine. Each loads its section of the
 * config, completes it from options and environment, and runs until a signal. What a service does is its own affair.
 * Services are loaded when they are asked for, so that no command waits for, or fails by, the parts of another.
 */
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import type { Logger } from '../shared/log.ts';
import type { Signer } from '../shared/signature.ts';
import { createSupervisor, type SupervisorParts } from '../shared/systemd.ts';
import type { WorkerConfig } from '../worker/config.ts';
import { type Cli, parseHost, readSigner, Settings } from './context.ts';
import { keepHeapSmall } from './heap.ts';
import { parseListen } from './listen.ts';
import { runToExit } from './running.ts';

interface WorkerFlags {
  host?: string;
  allowUnsigned?: boolean;
  guard?: WorkerConfig['guard'];
}
interface ProducerFlags {
  listen?: string;
  dryRun?: boolean;
  readings?: string[];
  follow?: string[];
}
interface AdminFlags {
  listen?: string;
}

export function addServiceCommands(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('worker')
    .description('carry out orders on this host (one worker per host)')
    .option('--host <name>', "this host's name in the fleet (default: the machine's own)")
    .option('--allow-unsigned', 'take unsigned orders from a Redis that other machines can reach')
    .addOption(
      new Option('--guard <mode>', 'spawn one, or wait for an external one that another service runs').choices([
        'spawn',
        'external',
      ]),
    )
    .addHelpText(
      'after',
      '\nStop it with SIGTERM: everything runs again first. `hobbler doctor` says whether this host is ready.',
    )
    .action(async (flags: WorkerFlags, command: Command) => {
      keepHeapSmall();
      const settings = new Settings(command, cli);
      const { createWorkerService } = await import('../worker/service.ts');
      const log = settings.createLog('worker');
      const systemd = supervisor(cli, log, {
        whyUnwell: () => worker.whyUnwell,
        summary: () => worker.summary,
      });
      const worker = createWorkerService({
        config: workerConfig(settings, flags),
        redis: settings.redis('hobbler-worker'),
        stateDir: settings.stateDir,
        clock: cli.clock,
        log,
        onWaiting: (what) => (what === null ? systemd.ready() : systemd.say(`waits: ${what}`)),
      });
      finish(await runToExit([worker, systemd], cli.clock, log));
    });

  program
    .command('producer')
    .description('take usage readings, judge them, and give orders')
    .option('--listen <host:port>', 'where to take readings by HTTP (default: 127.0.0.1:8081)')
    .option('--dry-run', 'judge and say, but give no order')
    .option('--readings <file...>', 'files of JSON lines to read at the start; - is standard input')
    .option('--follow <file...>', 'files of JSON lines that are written to, through rotation and restarts')
    .addHelpText(
      'after',
      `\nExample:
  HOBBLER_PRODUCER_TOKEN=$(openssl rand -hex 24) hobbler producer
Orders are signed when HOBBLER_SIGNING_KEY_FILE and HOBBLER_SIGNING_KEY_ID are set (hobbler keys --role producer).
SIGHUP has it read the policy's settings anew; penalties go on. \`hobbler policy check\` says beforehand whether it can.`,
    )
    .action(async ({ listen, dryRun, readings, follow }: ProducerFlags, command: Command) => {
      const settings = new Settings(command, cli);
      const { loadProducerConfig } = await import('../producer/config.ts');
      const { createProducerService } = await import('../producer/service.ts');
      const { readEndpoints } = await import('../producer/webhooks/config.ts');
      const log = settings.createLog('producer');
      const readConfig = () =>
        loadProducerConfig(settings.configPath, cli.environment, {
          ...(listen === undefined ? {} : { listen }),
          ...(dryRun === undefined ? {} : { dryRun }),
          ...(readings === undefined ? {} : { files: readings }),
          ...(follow === undefined ? {} : { follow }),
        });
      const config = readConfig();
      const producer = createProducerService({
        config,
        readConfig,
        endpoints: readEndpoints(config.webhooks, cli.environment),
        redis: settings.redis('hobbler-producer'),
        ...signedBy(cli),
        clock: cli.clock,
        log,
      });
      finish(await runToExit([producer, supervisor(cli, log)], cli.clock, log));
    });

  program
    .command('admin')
    .description('show the fleet and its queues in a browser, and let targets go')
    .option('--listen <host:port>', 'where to listen (default: 127.0.0.1:8080)')
    .addHelpText(
      'after',
      `\nExample:
  HOBBLER_ADMIN_USER=me HOBBLER_ADMIN_PASSWORD=… hobbler admin
Users with their password's hash stand in the config file (hobbler passwd).`,
    )
    .action(async ({ listen }: AdminFlags, command: Command) => {
      const settings = new Settings(command, cli);
      const { loadAdminConfig } = await import('../admin/config.ts');
      const { createAdminService } = await import('../admin/service.ts');
      const log = settings.createLog('admin');
      const address = listen === undefined ? {} : parseListen(listen);
      const config = loadAdminConfig(settings.configPath, cli.environment);
      Object.assign(config.http, address);
      const admin = createAdminService({
        config,
        redis: settings.redis('hobbler-admin'),
        ...signedBy(cli),
        clock: cli.clock,
        log,
      });
      finish(await runToExit([admin, supervisor(cli, log)], cli.clock, log));
    });

  program
    .command('up')
    .description('worker, producer and admin in one process, for one machine')
    .option('--host <name>', "this host's name (default: the machine's own)")
    .addHelpText(
      'after',
      `\nWithout a Redis URL it starts a private Redis, whose content ends with it. For a first look and for one machine;
a fleet has a Redis of its own, and runs worker, producer and admin as services of their own.`,
    )
    .action(async ({ host }: WorkerFlags, command: Command) =>
      finish(await runUp(cli, new Settings(command, cli), host)),
    );
}

async function runUp(cli: Cli, settings: Settings, host: string | undefined): Promise<number> {
  const { createWorkerService } = await import('../worker/service.ts');
  const { loadProducerConfig } = await import('../producer/config.ts');
  const { createProducerService } = await import('../producer/service.ts');
  const { readEndpoints } = await import('../producer/webhooks/config.ts');
  const { loadAdminConfig } = await import('../admin/config.ts');
  const { createAdminService } = await import('../admin/service.ts');
  const { findRedis } = await import('../shared/redis/server.ts');
  const log = settings.createLog('up');
  const { environment, clock } = cli;
  const password = environment.adminPassword ?? randomBytes(12).toString('base64url');
  const token = environment.producerToken ?? randomBytes(24).toString('base64url');
  const admins = loadAdminConfig(settings.configPath, { ...environment, ...firstOperator(cli, password) });
  const rules = loadProducerConfig(settings.configPath, { producerToken: token });
  const config = workerConfig(settings, host === undefined ? {} : { host });

  const found = await findRedis({ url: settings.givenRedisUrl, log });
  const redis = (name: string) => settings.redis(`hobbler-${name}`, found.url);
  const signer = signedBy(cli);
  const worker = createWorkerService({ config, redis: redis('worker'), stateDir: settings.stateDir, clock, log });
  const endpoints = readEndpoints(rules.webhooks, environment);
  const producer = createProducerService({ config: rules, endpoints, redis: redis('producer'), ...signer, clock, log });
  const admin = createAdminService({ config: admins, redis: redis('admin'), ...signer, clock, log });
  const greet = async () => {
    const isOurs = settings.givenRedisUrl === undefined;
    const lines = [
      `${cli.palette.bold('hobbler is up')} on ${worker.host}; Ctrl-C ends it and lets everything go`,
      `  Redis     ${found.what}`,
      `  producer  ${producer.url}   Authorization: Bearer ${environment.producerToken === undefined ? token : '(HOBBLER_PRODUCER_TOKEN)'}`,
      `  admin     ${admin.url}   ${loginHint(
        cli,
        password,
        admins.users.map(({ name }) => name),
      )}`,
      ...(isOurs
        ? ['  in another shell, for tarpit, status and the like:', `    export HOBBLER_REDIS_URL='${found.url}'`]
        : []),
    ];
    cli.out(lines.join('\n'));
  };
  return runToExit(
    [
      { name: 'redis', start: async () => {}, stop: () => found.stop() },
      worker,
      producer,
      admin,
      { name: 'greeting', start: greet, stop: async () => {} },
      supervisor(cli, log, { whyUnwell: () => worker.whyUnwell, summary: () => worker.summary }),
    ],
    clock,
    log,
  );
}

/** An operator for the first look, where neither config nor environment names one. */
function firstOperator({ environment }: Cli, password: string) {
  return { adminUser: environment.adminUser ?? 'admin', adminPassword: password };
}

function loginHint({ environment }: Cli, password: string, users: readonly string[]): string {
  const name = environment.adminUser ?? 'admin';
  const others = users.filter((user) => user !== name);
  const first =
    environment.adminPassword === undefined ? `${name} / ${password}` : `${name} / (HOBBLER_ADMIN_PASSWORD)`;
  return others.length === 0 ? `log in as ${first}` : `log in as ${first}, or as ${others.join(', ')}`;
}

function workerConfig(settings: Settings, { host, allowUnsigned, guard }: WorkerFlags): WorkerConfig {
  const { worker } = settings;
  return {
    ...worker,
    host: host === undefined ? settings.host : parseHost(host),
    allowUnsigned: allowUnsigned ?? worker.allowUnsigned,
    guard: guard ?? worker.guard,
  };
}

/** Tells systemd, where it is the one who started us; goes last in the list of services. */
function supervisor(cli: Cli, log: Logger, of: Pick<SupervisorParts, 'whyUnwell' | 'summary'> = {}) {
  return createSupervisor({ environment: cli.environment, clock: cli.clock, log, ...of });
}

function signedBy({ environment }: Cli): { signer?: Signer } {
  const signer = readSigner(environment);
  return signer === undefined ? {} : { signer };
}

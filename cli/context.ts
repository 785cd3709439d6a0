/**
 * What every command is given: the environment, the global options as they were resolved, and the ways out to a person.
 * Owns the precedence: option, then environment, then config file, then default. Opens nothing until asked.
 */
import { existsSync, readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import { type Clock, systemClock } from '../shared/clock.ts';
import { DEFAULT_CONFIG_PATH, loadSection } from '../shared/config.ts';
import { type Environment, readEnvironment } from '../shared/environment.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { createLogger, type Logger, silentLogger } from '../shared/log.ts';
import { hostName } from '../shared/order.ts';
import { type RedisConfig, readRedisTls, redisSchema } from '../shared/redis/config.ts';
import type { RedisSettings } from '../shared/redis/connection.ts';
import { parsePrivateKey, type Signer } from '../shared/signature.ts';
import { type WorkerConfig, workerConfigSchema } from '../worker/config.ts';
import { defaultStateDir } from '../worker/state-dir.ts';
import { createPalette, type Palette } from './print.ts';

export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

interface GlobalOptions {
  redis?: string;
  config?: string;
  stateDir?: string;
  logLevel?: string;
}

export interface Cli {
  /** The command line as it was given, without node and script. */
  args: readonly string[];
  environment: Environment;
  clock: Clock;
  /** Answers, on stdout. */
  out: (text: string) => void;
  /** Everything else, on stderr. */
  note: (text: string) => void;
  /** Colours of stdout. */
  palette: Palette;
  isTerminal: boolean;
}

export function createCli(args: readonly string[]): Cli {
  const environment = readEnvironment();
  const isTerminal = process.stdout.isTTY === true;
  return {
    args,
    environment,
    clock: systemClock,
    out: (text) => process.stdout.write(`${text}\n`),
    note: (text) => process.stderr.write(`${text}\n`),
    palette: createPalette(isTerminal && !environment.noColor),
    isTerminal,
  };
}

/** The global options of one call, resolved. */
export class Settings {
  readonly configPath: string | undefined;
  readonly logLevel: string;
  readonly #options: GlobalOptions;
  readonly #environment: Environment;
  #worker: WorkerConfig | undefined;

  constructor(command: Command, { environment }: Cli) {
    this.#options = command.optsWithGlobals<GlobalOptions>();
    this.#environment = environment;
    this.configPath =
      this.#options.config ??
      environment.configPath ??
      (existsSync(DEFAULT_CONFIG_PATH) ? DEFAULT_CONFIG_PATH : undefined);
    this.logLevel = this.#options.logLevel ?? environment.logLevel ?? 'info';
    if (!(LOG_LEVELS as readonly string[]).includes(this.logLevel)) {
      throw new HobblerError('invalid-input', 'not a log level', {
        where: '--log-level',
        expected: LOG_LEVELS.join(', '),
        got: this.logLevel,
      });
    }
  }

  /** The Redis that was named somewhere; undefined: none was. */
  get givenRedisUrl(): string | undefined {
    return this.#options.redis ?? this.#environment.redisUrl ?? this.#redisConfig.url;
  }

  get redisUrl(): string {
    return this.givenRedisUrl ?? DEFAULT_REDIS_URL;
  }

  /** How to connect under that name; `url` where it is another than the one of the settings. Throws invalid-config. */
  redis(name: string, url = this.redisUrl): RedisSettings {
    return {
      url,
      name,
      tls: url === this.redisUrl ? readRedisTls(this.#redisConfig, this.#environment, url) : undefined,
    };
  }

  get #redisConfig(): RedisConfig {
    return loadSection(this.configPath, 'redis', redisSchema);
  }

  get worker(): WorkerConfig {
    this.#worker ??= loadSection(this.configPath, 'worker', workerConfigSchema);
    return this.#worker;
  }

  get stateDir(): string {
    const given = this.#options.stateDir;
    if (given !== undefined && !given.startsWith('/')) {
      throw new HobblerError('invalid-input', 'not an absolute path', { where: '--state-dir', got: given });
    }
    return given ?? this.#environment.stateDir ?? this.worker.stateDir ?? defaultStateDir(this.#environment);
  }

  /** This machine's name in the fleet: the one its worker goes by. */
  get host(): string {
    return parseHost(this.#environment.host ?? this.worker.host ?? hostname().toLowerCase(), "this host's name");
  }

  createLog(name: string): Logger {
    return this.logLevel === 'silent' ? silentLogger() : createLogger(name, this.logLevel);
  }

  /** For commands that answer on the terminal: they say themselves what matters, unless more was asked for. */
  createQuietLog(name: string): Logger {
    const isAsked = this.#options.logLevel !== undefined || this.#environment.logLevel !== undefined;
    return isAsked ? this.createLog(name) : silentLogger();
  }
}

/** Checks a host's name. Throws invalid-input. */
export function parseHost(text: string, where = '--host'): string {
  const parsed = hostName.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new HobblerError('invalid-input', 'not a host name', { where, expected: 'a name of [a-z0-9.-]', got: text });
}

/** Who signs; undefined where no key is set. Throws invalid-config for half a setting. */
export function readSigner({ signingKey, signingKeyFile, signingKeyId }: Environment): Signer | undefined {
  if (signingKey === undefined && signingKeyFile === undefined) return undefined;
  const where = signingKey === undefined ? 'HOBBLER_SIGNING_KEY_FILE' : 'HOBBLER_SIGNING_KEY';
  if (signingKeyId === undefined) {
    throw new HobblerError('invalid-config', 'a signing key without its id', {
      where,
      hint: "set HOBBLER_SIGNING_KEY_ID to the id under which the workers' config lists the public key",
    });
  }
  let pem = signingKey;
  if (pem === undefined) {
    try {
      pem = readFileSync(signingKeyFile!, 'utf8');
    } catch (error) {
      throw new HobblerError('invalid-config', `cannot be read (${messageOf(error)})`, { where });
    }
  }
  // A one-line environment file can hold a PEM only with its line breaks written out.
  return { keyId: signingKeyId, privateKey: parsePrivateKey(pem.replaceAll('\\n', '\n'), where) };
}

/** `operator:NAME` for orders and the audit. */
export function operatorOf({ user }: Environment): string {
  const name = (user ?? loginName()).replace(/[^\x21-\x7e]/g, '?').slice(0, 64);
  return `operator:${name}`;
}

/** Throws for a uid without a name, as containers have it: then the number has to do. */
function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/** The one door to process.env: every variable that hobbler reads, with its meaning. docs/configuration.md lists them. */

export interface Environment {
  /** Where Redis is: redis://, rediss:// or unix:// URL. */
  redisUrl: string | undefined;
  /** PEM files for TLS to Redis: whom to trust, and what to show. */
  redisTlsCa: string | undefined;
  redisTlsCert: string | undefined;
  redisTlsKey: string | undefined;
  /** Path of the config file. */
  configPath: string | undefined;
  /** This host's name in the fleet; else the machine's own. */
  host: string | undefined;
  /** Directory for the journal, lock, guard FIFO and local hold. */
  stateDir: string | undefined;
  /** fatal, error, warn, info, debug or trace. */
  logLevel: string | undefined;
  /** Private key (PEM) and key id that sign the orders of a producer, an admin or the CLI; or the path of the key. */
  signingKey: string | undefined;
  signingKeyFile: string | undefined;
  signingKeyId: string | undefined;
  /** Bearer token of the producer's HTTP door. */
  producerToken: string | undefined;
  /** Signs webhooks whose endpoint names no file. */
  webhookSecret: string | undefined;
  /** Where that door is, for who sends readings to it. */
  producerUrl: string | undefined;
  /** Name and password of the admin's first operator. */
  adminUser: string | undefined;
  adminPassword: string | undefined;
  /** Who is at the CLI, for `by` in orders and the audit. */
  user: string | undefined;
  /** systemd's socket, the interval of its watchdog in microseconds, and the process whose beats it waits for. */
  notifySocket: string | undefined;
  watchdogUsec: string | undefined;
  watchdogPid: string | undefined;
  xdgRuntimeDir: string | undefined;
  noColor: boolean;
  isCi: boolean;
}

export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const text = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name]);
  return {
    redisUrl: text('HOBBLER_REDIS_URL') ?? text('REDIS_URL'),
    redisTlsCa: text('HOBBLER_REDIS_TLS_CA'),
    redisTlsCert: text('HOBBLER_REDIS_TLS_CERT'),
    redisTlsKey: text('HOBBLER_REDIS_TLS_KEY'),
    configPath: text('HOBBLER_CONFIG'),
    host: text('HOBBLER_HOST'),
    stateDir: text('HOBBLER_STATE_DIR'),
    logLevel: text('HOBBLER_LOG_LEVEL'),
    signingKey: text('HOBBLER_SIGNING_KEY'),
    signingKeyFile: text('HOBBLER_SIGNING_KEY_FILE'),
    signingKeyId: text('HOBBLER_SIGNING_KEY_ID'),
    producerToken: text('HOBBLER_PRODUCER_TOKEN'),
    webhookSecret: text('HOBBLER_WEBHOOK_SECRET'),
    producerUrl: text('HOBBLER_PRODUCER_URL'),
    adminUser: text('HOBBLER_ADMIN_USER'),
    adminPassword: text('HOBBLER_ADMIN_PASSWORD'),
    user: text('SUDO_USER') ?? text('USER') ?? text('LOGNAME'),
    notifySocket: text('NOTIFY_SOCKET'),
    watchdogUsec: text('WATCHDOG_USEC'),
    watchdogPid: text('WATCHDOG_PID'),
    xdgRuntimeDir: text('XDG_RUNTIME_DIR'),
    noColor: text('NO_COLOR') !== undefined,
    isCi: text('CI') !== undefined,
  };
}

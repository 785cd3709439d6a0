/**
 * Every Redis key of hobbler, in one place. The braces are Redis Cluster hash tags: all keys of a host share a slot,
 * and no script or transaction crosses slots. Who may write what is docs/architecture.md's table of keys.
 */

/** BullMQ's queue name; the prefix makes it one queue per host. */
export const ORDERS_QUEUE = 'orders';

/** The BullMQ prefix of a host's queue. */
export function queuePrefix(host: string): string {
  return `hobbler:{${host}}`;
}

export const hostKeys = {
  /** hash, target → order or tombstone; who gives orders, by compare-and-set. */
  desired: (host: string) => `hobbler:{${host}}:desired`,
  /** hash, target → report; that host's worker alone. */
  observed: (host: string) => `hobbler:{${host}}:observed`,
  /** string with TTL, the status; that worker. */
  status: (host: string) => `hobbler:{${host}}:status`,
  /** string with TTL, the epoch and who holds it; that worker. */
  lease: (host: string) => `hobbler:{${host}}:lease`,
  /** integer, the last epoch given out on this host; that worker. */
  epoch: (host: string) => `hobbler:{${host}}:epoch`,
  /** hash: `boot` (names the count), `at` (Redis's clock, ms), and `user:NAME` or `uid:N` → CPU seconds; that worker. */
  meter: (host: string) => `hobbler:{${host}}:meter`,
  /** string with TTL, the targets that somebody looks into; who shows them. */
  looking: (host: string) => `hobbler:{${host}}:looking`,
  /** string with TTL, the processes of those targets; that worker. */
  trees: (host: string) => `hobbler:{${host}}:trees`,
  /** capped stream; that worker. */
  audit: (host: string) => `hobbler:{${host}}:audit`,
  /** string, present while the host is held; operators. */
  hold: (host: string) => `hobbler:{${host}}:hold`,
};

export const fleetKeys = {
  /** hash, target → order for every host, later ones too; who gives orders. */
  desired: 'hobbler:fleet',
  // The tag makes these two share the slot of the plain key above: its slot is that of its whole name.
  /** sorted set, target by the revision at which its order last changed. */
  revisions: '{hobbler:fleet}:revisions',
  /** integer, the last revision. */
  revision: '{hobbler:fleet}:revision',
  /** set of host names; workers, SADD only. */
  hosts: 'hobbler:hosts',
  /** capped stream; who gives orders. */
  audit: 'hobbler:audit',
  /** string, present while the whole fleet is held; operators. */
  hold: 'hobbler:hold',
};

/** hash per account, the producer's memory of it; producer alone. */
export function ledgerKey(account: string): string {
  return `hobbler:ledger:{${account}}`;
}

/** capped stream per account: what became of it lately; producer. */
export function historyKey(account: string): string {
  return `hobbler:history:{${account}}`;
}

/** string with TTL per account: why it is where it is, in words; producer. */
export function explainedKey(account: string): string {
  return `hobbler:explained:{${account}}`;
}

/** The patterns under which these lie. */
export const HISTORY_PATTERN = 'hobbler:history:*';
export const EXPLAINED_PATTERN = 'hobbler:explained:*';

/** What concerns all accounts. No account's key: those have braces. */
export const ledgerKeys = {
  /** hash, account → what an operator has pinned; operators. */
  pins: 'hobbler:ledger:pins',
  /** string, the brake while it holds or an operator has let go; producer and operators. */
  brake: 'hobbler:ledger:brake',
  /** hash, host and path → how far a followed file of readings is fed; producer alone. */
  followed: 'hobbler:ledger:followed',
};

/** string with TTL, the answer that a request under this digest of its Idempotency-Key got; producers. */
export function idempotencyKey(digest: string): string {
  return `hobbler:idempotency:{${digest}}`;
}

/** BullMQ's queue of webhooks that are to be sent. */
export const WEBHOOKS_QUEUE = 'deliveries';
/** Its prefix, and the slot of all that belongs to it. */
export const WEBHOOKS_PREFIX = '{hobbler:webhooks}';

export const webhookKeys = {
  /** string with TTL, what an endpoint is to be told of an account (or `brake`), as it stands now; producers. */
  news: (endpoint: string, about: string) => `${WEBHOOKS_PREFIX}:news:${endpoint}:${about}`,
  /** string with TTL, the job that tells it; while it is there no other does; producers. */
  told: (endpoint: string, about: string) => `${WEBHOOKS_PREFIX}:told:${endpoint}:${about}`,
};

/** The pattern under which the ledgers of all accounts lie, and nothing else. */
export const LEDGER_PATTERN = ledgerKey('*');

/**
 * What goes to a producer and what comes back, as plain types: the contract as a program in TypeScript sees it. Written
 * out rather than derived, so that they can be read; test/unit/client/messages.test.ts proves that they say the same as
 * the schemas of the producer. No code here.
 */

/** One usage figure of an accounting system. */
export interface Reading {
  account: string;
  /** Used in the window so far. Either this or `total`. */
  used?: number | undefined;
  /** A counter that only grows, from which every window of the config is measured. */
  total?: number | undefined;
  /** Which of the account's limits `used` is about, as the config names it. */
  limitName?: string | undefined;
  /** Absent: by config. */
  limit?: number | undefined;
  unit?: string | undefined;
  /** What is used, such as `cpu`. */
  resource?: string | undefined;
  /** Your own name of the window; another name is another window. */
  window?: string | undefined;
  /** ISO 8601 with zone, or milliseconds since 1970. */
  resetsAt?: string | number | undefined;
  /** When it was taken, likewise; absent: when it arrives. Set it, and readings that come late are placed right. */
  at?: string | number | undefined;
  /** Your name of this reading: one that comes twice counts once. */
  id?: string | undefined;
  host?: string | undefined;
  target?: string | undefined;
}

export type Mechanism = 'auto' | 'signal' | 'freezer' | 'quota';

/** The duty cycle: `runMs` out of `runMs + stopMs`. */
export interface Hobble {
  runMs: number;
  stopMs: number;
  mechanism: Mechanism;
  every?: boolean | undefined;
}

/** An order of an accounting system that decides by itself. */
export interface DirectOrder {
  action: 'tarpit' | 'untarpit';
  /** A host's name, or `*` for the fleet. */
  host: string;
  /** `user:alice`, `uid:1001`, `pid:4242@START`, `cgroup:/PATH`. */
  target: string;
  account?: string | undefined;
  hobble?: { [Key in keyof Hobble]?: Hobble[Key] | undefined } | undefined;
  /** A duration such as `90s`, `30m` or `1h30m`, at most 24 h. */
  for?: string | undefined;
  reason: string;
  /** Your system's name. */
  by: string;
}

export interface OrderAnswer {
  /** As it was signed; null where the producer only tries what it would do. */
  order:
    | ({ action: 'tarpit' | 'untarpit'; host: string; target: string; version: number } & Record<string, unknown>)
    | null;
  /** Job ids by host, for the hosts that were woken. */
  jobs: Record<string, string>;
  dryRun?: true;
}

/** Why an account is slow, what it used, and when that ends. */
export interface AccountAnswer {
  account: string;
  isSlowed: boolean;
  /** One or two sentences for its owner. */
  summary: string;
  /** One for the account as a whole, and one for each host and target that readings named. */
  verdicts: {
    subject: string;
    verdict: 'leave' | 'tarpit';
    reason: string;
    details: string[];
    /** ISO 8601; null: it never changed. */
    since: string | null;
    /** When it ends if nothing more is used; null: no end is in sight, or nothing to end. */
    until: string | null;
    level: Hobble | null;
    overruledBy: string | null;
    places: { host: string; target: string }[];
    limits: {
      name: string;
      /** Null: nothing was heard yet. */
      used: number | null;
      limit: number;
      unit: string;
      resource: string;
      resetsAt: string | null;
      readAt: string | null;
      /** On its ladder, from 1; null: it keeps nobody in. */
      level: number | null;
    }[];
  }[];
  /** What is remembered and cannot be read. */
  unreadable: string[];
}

/** One reading that was not taken, by its position in what was given, from 0. */
export interface Refusal {
  index: number;
  why: string;
}

/** What came of readings. */
export interface SendResult {
  accepted: number;
  refused: number;
  /** The first hundred; `onRefused` is told of all. */
  refusals: Refusal[];
}

/**
 * What holds for one account: its limits, ladders, time zone and exemptions, put together from what the config says
 * for everybody, for its groups in the order of the file, and for the account itself; what is said later wins. Pure;
 * the result is plain data, and all that the judge needs of the config.
 */
import type { Hobble } from '../../shared/order.ts';
import {
  type Exemption,
  type LadderSettings,
  type LimitSettings,
  type Overrides,
  type PolicyConfig,
  standardLadder,
} from './config.ts';
import { DEFAULT_ENTER_RATIO, DEFAULT_LEAVE_RATIO, laterOver, NO_LIMIT, STANDARD_LADDER } from './config-check.ts';
import { Membership } from './membership.ts';
import type { Window, WindowSetting } from './windows.ts';

export interface Level {
  hobble: Hobble;
  /** How long it lasts whatever is used, milliseconds; null: until the limit is kept or starts anew. */
  lengthMs: number | null;
}

export interface Ladder {
  name: string;
  /** From the first offence on. */
  levels: readonly Level[];
  /** Milliseconds; see config.ts for what each means. */
  lookbackMs: number;
  forgiveMs: number;
  graceMs: number;
}

export interface Limit {
  name: string;
  /** Where the config says it: `limits`, `group NAME` or `account NAME`. */
  from: string;
  used: number;
  unit: string;
  resource: string;
  /** Null: of a limit that readings bring themselves; they say when it starts anew, or nobody does. */
  window: Window | null;
  ladder: Ladder;
  enterRatio: number;
  leaveRatio: number;
}

export interface AccountRules {
  zone: string;
  limits: readonly Limit[];
  /** By which a reading is judged that brings a limit of its own. */
  ownLimit: Pick<Limit, 'ladder' | 'enterRatio' | 'leaveRatio'>;
  exemptions: readonly Exemption[];
  dwellMs: number;
  forgetAfterMs: number;
}

/** Puts together what holds for each account. Remembers what it has put together, by account or set of groups. */
export class Rules {
  readonly #config: PolicyConfig;
  readonly #membership: Membership;
  readonly #exemptAccounts = new Map<string, Exemption[]>();
  readonly #exemptGroups = new Map<string, Exemption[]>();
  readonly #ladders: ReadonlyMap<string, Ladder>;
  readonly #known = new Map<string, AccountRules>();

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#membership = new Membership(Object.entries(config.groups).map(([name, { members }]) => [name, members]));
    for (const exemption of config.exempt) {
      const { account, group } = exemption;
      if (account !== null) append(this.#exemptAccounts, account, exemption);
      if (group !== null) append(this.#exemptGroups, group, exemption);
    }
    const ladders = { [STANDARD_LADDER]: standardLadder, ...config.ladders };
    this.#ladders = new Map(Object.entries(ladders).map(([name, settings]) => [name, toLadder(name, settings)]));
  }

  of(account: string): AccountRules {
    const groups = this.#membership.groupsOf(account);
    const isNamed = Object.hasOwn(this.#config.accounts, account) || this.#exemptAccounts.has(account);
    // Neither holds a line break, so the two kinds of keys never meet. Bounded by what the config names.
    const key = isNamed ? `account\n${account}` : groups.join('\n');
    let rules = this.#known.get(key);
    if (!rules) {
      rules = this.#putTogether(account, groups);
      this.#known.set(key, rules);
    }
    return rules;
  }

  #putTogether(account: string, groups: readonly string[]): AccountRules {
    const config = this.#config;
    const own = Object.hasOwn(config.accounts, account) ? config.accounts[account] : undefined;
    const scopes: [from: string, overrides: Overrides][] = [
      ['limits', { zone: undefined, daily: undefined, limits: config.limits }],
      ...groups.map((name): [string, Overrides] => [`group ${name}`, config.groups[name]!]),
      ...(own ? [[`account ${account}`, own] satisfies [string, Overrides]] : []),
    ];
    let zone = config.zone;
    let settings = new Map<string, Setting>();
    for (const [from, overrides] of scopes) {
      zone = overrides.zone ?? zone;
      settings = new Map([...settings].map(([name, setting]) => [name, atHomeIn(overrides, setting)]));
      for (const [name, limit] of Object.entries(overrides.limits)) {
        if (limit === NO_LIMIT) settings.delete(name);
        else settings.set(name, { ...(laterOver(settings.get(name) ?? { window: DAILY }, limit) as Setting), from });
      }
    }
    return {
      zone,
      limits: [...settings].flatMap(([name, setting]) => this.#toLimit(name, setting, zone) ?? []),
      ownLimit: {
        ladder: this.#ladders.get(STANDARD_LADDER)!,
        enterRatio: DEFAULT_ENTER_RATIO,
        leaveRatio: DEFAULT_LEAVE_RATIO,
      },
      exemptions: [
        ...(this.#exemptAccounts.get(account) ?? []),
        ...groups.flatMap((name) => this.#exemptGroups.get(name) ?? []),
      ],
      dwellMs: config.dwell,
      forgetAfterMs: config.forgetAfter,
    };
  }

  #toLimit(name: string, setting: Setting, zone: string): Limit | null {
    const { from, used, unit = 's', resource = 'cpu', window, ladder } = setting;
    // One group has taken the limit away, and a later one says only what would differ.
    if (used === undefined) return null;
    const enterRatio = setting.enterRatio ?? DEFAULT_ENTER_RATIO;
    return {
      name,
      from,
      used,
      unit,
      resource,
      window: window.kind === 'daily' ? { ...window, zone: window.zone ?? zone } : window,
      ladder: this.#ladders.get(ladder ?? STANDARD_LADDER)!,
      enterRatio,
      // Two groups that are in order each for itself need not be so together.
      leaveRatio: Math.min(setting.leaveRatio ?? DEFAULT_LEAVE_RATIO, enterRatio),
    };
  }
}

/** A limit on its way through the scopes. */
type Setting = Omit<LimitSettings, 'window'> & { window: WindowSetting; from: string };
const DAILY: WindowSetting = { kind: 'daily', minuteOfDay: 0, zone: null };

/** The group's or account's zone and reset time, for what was said before it. */
function atHomeIn({ zone, daily }: Overrides, setting: Setting): Setting {
  const { window } = setting;
  if (window.kind !== 'daily') return setting;
  return { ...setting, window: { ...window, zone: zone ?? window.zone, minuteOfDay: daily ?? window.minuteOfDay } };
}

function toLadder(name: string, { levels, lookback, forgive, grace }: LadderSettings): Ladder {
  return {
    name,
    levels: levels.map(({ for: lengthMs, ...hobble }) => ({ hobble, lengthMs: lengthMs ?? null })),
    lookbackMs: lookback,
    forgiveMs: forgive,
    graceMs: grace,
  };
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/**
 * The brake: never more than a set share of a host's users, by their processes, is in the tarpit at once. Past it, it is
 * an order that is wrong, or a policy, or a key, and not so many people. Pure counting; the engine asks it before anything
 * of a new target is stopped, and after every pass, and holds the newest targets.
 *
 * The share is the mean over all users of the part of their processes that is hobbled. Where many have a uid each, it is
 * the share of users; where all work under one, the share of processes. Each user counts the same however many processes
 * he has: else a bomb of forks would take up the share, and free itself by it or everybody after it. Users are those whom
 * this host's rules let be hobbled at all.
 */

export interface BrakeSettings {
  /** The share that may be in the tarpit; 1: all of them. */
  share: number;
  /** So many targets may always be in: of two users, one is half. */
  atLeast: number;
}

/** Off. */
export const NO_BRAKE: BrakeSettings = { share: 1, atLeast: 1 };

/** Sums of parts are never quite whole. */
const ROUNDING = 1e-6;

interface User {
  /** His processes as of the last pass. */
  total: number;
  /** Those of them that loops own. */
  owned: number;
}

export class Brake {
  readonly #settings: BrakeSettings;
  #users = new Map<number, User>();
  /** Users with processes, and the sum of the parts of them that are hobbled. */
  #count = 0;
  #hobbled = 0;

  constructor(settings: BrakeSettings) {
    this.#settings = settings;
  }

  /** The share that is hobbled; 0 where there is nobody. */
  get hobbledRatio(): number {
    return this.#count === 0 ? 0 : this.#hobbled / this.#count;
  }

  /** After a pass: the uid of each process that could be hobbled, and of each that a loop owns. */
  survey(all: Iterable<number>, owned: Iterable<number>): void {
    this.#users = new Map();
    this.#count = this.#hobbled = 0;
    for (const uid of all) this.#userOf(uid).total++;
    for (const uid of owned) this.#userOf(uid).owned++;
    for (const user of this.#users.values()) this.#add(user, 1);
  }

  /** A loop has taken a process of this user (1), or has let it go (-1). */
  changed(uid: number, by: 1 | -1): void {
    const user = this.#userOf(uid);
    this.#add(user, -1);
    user.owned = Math.max(0, user.owned + by);
    this.#add(user, 1);
  }

  /** Why some target must not be hobbled, where more than the share are; `targets`: how many have processes that are. */
  whyOver(targets: () => number): string | undefined {
    const { share, atLeast } = this.#settings;
    if (this.#hobbled <= share * this.#count + ROUNDING || targets() <= atLeast) return undefined;
    return `the brake: more than ${Math.round(share * 1_000) / 10} % of the users here would be in the tarpit (worker.brake)`;
  }

  #userOf(uid: number): User {
    let user = this.#users.get(uid);
    if (!user) {
      user = { total: 0, owned: 0 };
      this.#users.set(uid, user);
    }
    return user;
  }

  #add({ total, owned }: User, sign: 1 | -1): void {
    // Births since the pass: he has at least those that are owned.
    const all = Math.max(total, owned);
    if (all === 0) return;
    this.#count += sign;
    this.#hobbled += (sign * owned) / all;
  }
}

/** Which groups an account belongs to. Pure. Members are names, or beginnings of names followed by `*`. */

export class Membership {
  /** In the order of the config; a later group's settings win over an earlier one's. */
  readonly #order: readonly string[];
  readonly #byName = new Map<string, Set<string>>();
  readonly #byBeginning: { beginning: string; group: string }[] = [];

  constructor(groups: readonly (readonly [group: string, members: readonly string[]])[]) {
    this.#order = groups.map(([group]) => group);
    for (const [group, members] of groups) {
      for (const member of members) {
        if (member.endsWith('*')) {
          this.#byBeginning.push({ beginning: member.slice(0, -1), group });
          continue;
        }
        const own = this.#byName.get(member);
        if (own) own.add(group);
        else this.#byName.set(member, new Set([group]));
      }
    }
  }

  groupsOf(account: string): readonly string[] {
    const named = this.#byName.get(account);
    const begun = this.#byBeginning.filter(({ beginning }) => account.startsWith(beginning));
    if (begun.length === 0 && (named === undefined || named.size === 1)) return named ? [...named] : [];
    const groups = new Set([...(named ?? []), ...begun.map(({ group }) => group)]);
    return this.#order.filter((group) => groups.has(group));
  }
}

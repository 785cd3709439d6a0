/**
 * Gathers what many jobs want of Redis at the same time into one call, since a call costs both sides more than what is in
 * it. What comes in one turn of the event loop goes out at its end, and what comes while a call is under way goes with
 * the next one: who is alone waits for nobody. It holds nothing back, tries nothing twice, and keeps the order in which
 * things came.
 */
export class Gather<Item, Result> {
  readonly #send: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #most: number;
  #waiting: Waiting<Item, Result>[] = [];
  #isUnderWay = false;

  /** `send` answers for each item, in their order; when it rejects, all that it was given reject. At most `most` at once. */
  constructor(most: number, send: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.#most = most;
    this.#send = send;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#isUnderWay) return;
      this.#isUnderWay = true;
      setImmediate(() => void this.#sendAll());
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most);
      try {
        const results = await this.#send(batch.map(({ item }) => item));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isUnderWay = false;
  }
}

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * What the bench has started or made and has to undo: processes, cgroups, directories. Undone in reverse order, at the
 * end of the scope it was made in, and all of it at once when the bench is told to stop. One step that fails holds up no
 * other; it is said.
 */
import { messageOf } from '../shared/errors.ts';

interface Step {
  what: string;
  run: () => unknown;
}

export class Undo {
  readonly #steps: Step[] = [];
  readonly #say: (text: string) => void;
  /** One at a time: a scope that ends while all is undone must not run on its own, nor `all` be done before it is. */
  #turn: Promise<void> = Promise.resolve();

  constructor(say: (text: string) => void = (text) => console.error(text)) {
    this.#say = say;
  }

  /** Promises to run this later. `what` names it where it fails. */
  add(what: string, run: () => unknown): void {
    this.#steps.push({ what, run });
  }

  /** Runs `work` and then undoes what it has added, however it ends. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const depth = this.#steps.length;
    try {
      return await work();
    } finally {
      await this.#downTo(depth);
    }
  }

  /** Undoes everything. Never rejects. */
  all(): Promise<void> {
    return this.#downTo(0);
  }

  #downTo(depth: number): Promise<void> {
    this.#turn = this.#turn.then(() => this.#undoDownTo(depth));
    return this.#turn;
  }

  async #undoDownTo(depth: number): Promise<void> {
    while (this.#steps.length > depth) {
      const { what, run } = this.#steps.pop()!;
      try {
        await run();
      } catch (error) {
        this.#say(`could not undo ${what}: ${messageOf(error)}`);
      }
    }
  }
}

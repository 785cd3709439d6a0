/** Who is to be looked at when: a heap by time, for those of whom time alone changes something. Pure bookkeeping. */

interface Wake<T> {
  atMs: number;
  /** Among equal times, first come first served, so that a replay is the same each time. */
  order: number;
  who: T;
}

export class WakeQueue<T> {
  readonly #heap: Wake<T>[] = [];
  #order = 0;

  /** When the next one is due, milliseconds since 1970; infinite: none is. */
  get nextAtMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, who: T): void {
    const heap = this.#heap;
    heap.push({ atMs, order: this.#order++, who });
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index]!, heap[parent]!)) return;
      [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
      index = parent;
    }
  }

  /** Takes out the next one. */
  take(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first?.who;
    heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      let least = index;
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && isBefore(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === index) return first.who;
      [heap[index], heap[least]] = [heap[least]!, heap[index]!];
      index = least;
    }
  }
}

function isBefore<T>(a: Wake<T>, b: Wake<T>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

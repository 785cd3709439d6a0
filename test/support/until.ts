/**
 * Waiting in tests: on a condition, with a deadline, and a message that says what did not happen. The alternative to
 * sleeping for luck, which is either too short or too long.
 */

export interface UntilOptions {
  deadlineMs: number;
  /** What is waited for, to complete "did not happen within 500 ms: …". May be worked out when it failed. */
  what: string | (() => string);
}

/** Between two looks, milliseconds: short beside the 10 ms run phase. */
const LOOK_EVERY_MS = 2;

/**
 * Looks at `condition` until it is truthy and returns what it gave. One that throws or rejects counts as "not yet";
 * its last error is told when the deadline passes.
 */
export async function until<T>(condition: () => T | Promise<T>, { deadlineMs, what }: UntilOptions): Promise<T> {
  const startMs = performance.now();
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() - startMs > deadlineMs) {
      const story = typeof what === 'function' ? what() : what;
      const seen = last instanceof Error ? `; last error: ${last.message}` : '';
      throw new Error(`did not happen within ${deadlineMs} ms: ${story}${seen}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

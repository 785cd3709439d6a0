/**
 * A real Redis for histories: what test/support/redis.ts can do, and what becomes of its data besides: lost, taken back to
 * an older snapshot, full. Always a child of ours, because its files are changed behind its back.
 */
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connectTest, startRedis, type TestRedis } from '../redis.ts';

export class RealRedis {
  readonly server: TestRedis;
  readonly #aof: string;
  readonly #snapshot: string;

  static async open(): Promise<RealRedis> {
    return new RealRedis(await startRedis({ child: true }));
  }

  private constructor(server: TestRedis) {
    this.server = server;
    const directory = dirname(new URL(server.url).pathname);
    this.#aof = join(directory, 'appendonlydir');
    this.#snapshot = join(directory, 'snapshot');
  }

  /** Killed, and started as if it had never written anything down. */
  async lose(): Promise<void> {
    await this.server.kill();
    rmSync(this.#aof, { recursive: true, force: true });
    await this.server.restart();
  }

  /** What it has acknowledged is in its files, if not on the disk; a torn end is cut off when it is read. */
  snapshot(): void {
    rmSync(this.#snapshot, { recursive: true, force: true });
    cpSync(this.#aof, this.#snapshot, { recursive: true });
  }

  async restore(): Promise<void> {
    await this.server.kill();
    rmSync(this.#aof, { recursive: true, force: true });
    cpSync(this.#snapshot, this.#aof, { recursive: true });
    await this.server.restart();
  }

  /** Every write is refused from here on, until there is room again. */
  async setFull(isFull: boolean): Promise<void> {
    const redis = connectTest(this.server);
    try {
      await redis.config('SET', 'maxmemory', isFull ? '1' : '0');
    } finally {
      redis.disconnect();
    }
  }
}

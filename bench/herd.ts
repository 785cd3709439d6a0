/** Processes to hobble, started for one round and ended after it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Herd {
  pids: number[];
  end(): Promise<void>;
}

/** Starts `count` processes that sleep or spin, by the compiled herd program. */
export async function startHerd(program: string, count: number, work: 'sleep' | 'spin'): Promise<Herd> {
  const child: ChildProcess = spawn(program, [String(count), work], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pids: number[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    pids.push(Number(line));
    if (pids.length === count) break;
  }
  if (pids.length !== count) throw new Error(`herd: expected ${count} processes, got ${pids.length}`);
  return {
    pids,
    end: async () => {
      child.stdin!.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

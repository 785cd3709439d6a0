/** An interactive shell in a real pseudo-terminal: type into it, and see what it shows. */
import { fileURLToPath } from 'node:url';
import type { ProcessId } from '../../shared/target.ts';
import { register, startProcess, until } from './processes.ts';

const DRIVER = fileURLToPath(new URL('./terminal.py', import.meta.url));

export interface Terminal {
  shell: ProcessId;
  type(text: string): void;
  /** Everything shown so far. */
  shown(): string;
  /** Types a command and waits for its output. */
  answers(command: string, answer: string, deadlineMs?: number): Promise<void>;
}

export async function openTerminal(): Promise<Terminal> {
  const driver = await startProcess('python3', [DRIVER], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PS1: '$ ' },
  });
  let output = '';
  driver.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await until(() => output.includes('\n'), { deadlineMs: 5_000, what: 'the pid of the shell' });
  const shell = register(Number.parseInt(output, 10), 'bash in a terminal');
  const type = (text: string) => driver.child.stdin!.write(text);
  return {
    shell,
    type,
    shown: () => output,
    answers: async (command, answer, deadlineMs = 10_000) => {
      const from = output.length;
      type(`${command}\n`);
      // The echo of the command must not count as its answer.
      await until(() => output.slice(from).replaceAll(command, '').includes(answer), {
        deadlineMs,
        what: () => `${answer} after ${command}; shown: ${JSON.stringify(output.slice(-400))}`,
      });
    },
  };
}

/** Asks for a password: twice and unseen on a terminal, else the first line of standard input. Never prints it. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { HobblerError } from '../shared/errors.ts';

/** Throws invalid-input when nothing came, or the two did not agree. */
export async function readPassword(): Promise<string> {
  if (!process.stdin.isTTY) return firstLine();
  const first = await ask('Password: ');
  if (first !== (await ask('Once more: '))) throw new HobblerError('invalid-input', 'the two passwords differ');
  return first;
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) return line;
  throw new HobblerError('invalid-input', 'no password came', { where: 'standard input', expected: 'one line' });
}

function ask(question: string): Promise<string> {
  process.stderr.write(question);
  // readline echoes to its output: this one shows nothing.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      lines.close();
      reject(new HobblerError('invalid-input', 'given up'));
    });
    lines.question('', (answer) => {
      lines.close();
      process.stderr.write('\n');
      resolve(answer);
    });
  });
}

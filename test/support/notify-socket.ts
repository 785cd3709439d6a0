/**
 * systemd's end of sd_notify(3): a Unix datagram socket that writes down every message with the pid of its sender, as
 * the kernel says it. Played by a few lines of Python, since Node has no such sockets.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProcess } from './processes.ts';
import { until } from './until.ts';

const LISTEN = `
import json, os, socket, struct, sys
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + path[1:] if path[0] == "@" else path)
print("null", flush=True)
while True:
    message, ancillary, flags, sender = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", ancillary[0][2])[0]
    print(json.dumps({"pid": pid, "text": message.decode()}), flush=True)
`;

export interface NotifyMessage {
  /** Of the process that sent it. */
  pid: number;
  text: string;
}

export interface NotifySocket {
  /** What NOTIFY_SOCKET says. */
  path: string;
  /** All that came, oldest first. */
  messages: NotifyMessage[];
  /** How many messages hold this assignment, such as WATCHDOG=1. */
  count(assignment: string): number;
  stop(): Promise<void>;
}

/** `abstract`: a name with `@` that lies in no file system. */
export async function openNotifySocket(kind: 'path' | 'abstract' = 'path'): Promise<NotifySocket> {
  const directory = mkdtempSync(join(tmpdir(), 'hobbler-notify-'));
  const path = kind === 'path' ? join(directory, 'notify') : `@${directory}/notify`;
  const { child } = await startProcess('python3', ['-c', LISTEN, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const messages: NotifyMessage[] = [];
  let text = '';
  let isOpen = false;
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as NotifyMessage | null;
      if (message === null) isOpen = true;
      else messages.push(message);
    }
  });
  await until(() => isOpen, { deadlineMs: 10_000, what: 'the socket to be open' });
  return {
    path,
    messages,
    count: (assignment) => messages.filter((message) => message.text.split('\n').includes(assignment)).length,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

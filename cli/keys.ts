/** `keys` and `passwd`: the secrets of a fleet. A private key is written to a file of mode 0600 and never printed. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { Option } from 'commander';
import { stringify } from 'yaml';
import type { Finish } from '../cli.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { generateKeys, type Role, roles } from '../shared/signature.ts';
import type { Cli } from './context.ts';
import { EXIT } from './exit.ts';
import { readPassword } from './password-prompt.ts';

interface KeysOptions {
  role: Role;
  id?: string;
  out?: string;
}

export function addKeyCommands(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('keys')
    .description('make an Ed25519 key pair that signs orders')
    .addOption(
      new Option('--role <role>', 'who signs with it: a producer (policy) or operators (admin and this CLI)')
        .choices([...roles])
        .makeOptionMandatory(),
    )
    .option('--id <id>', 'the name of the key (default: ROLE-1)')
    .option('--out <file>', 'where the private key goes; must not exist (default: ID.pem here)')
    .addHelpText(
      'after',
      `\nExample:
  hobbler keys --role producer --out /etc/hobbler/producer-1.pem
The private key stays where orders are given; the part that is printed goes into the config of every worker.`,
    )
    .action((options: KeysOptions) => {
      makeKeys(cli, options);
      finish(EXIT.ok);
    });

  program
    .command('passwd')
    .description("make the hash of an admin's password, for the config file")
    .addHelpText(
      'after',
      `\nAsks on a terminal; else takes the first line of standard input. The hash is all that is printed:
  admin:
    users:
      - { name: me, role: operator, password: '…' }`,
    )
    .action(async () => {
      const { hashPassword } = await import('../admin/password.ts');
      cli.out(await hashPassword(await readPassword()));
      finish(EXIT.ok);
    });
}

function makeKeys(cli: Cli, { role, id = `${role}-1`, out = `${id}.pem` }: KeysOptions): void {
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(id)) {
    throw new HobblerError('invalid-input', 'not a key id', { where: '--id', expected: 'A-Z a-z 0-9 _ . -', got: id });
  }
  const { privateKeyPem, publicKey } = generateKeys();
  try {
    writeFileSync(out, privateKeyPem, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new HobblerError('invalid-input', `cannot be written (${messageOf(error)})`, {
      where: '--out',
      hint: 'a key that exists is never overwritten; give another file',
    });
  }
  cli.out(
    [
      `# The private key is in ${out}. Where orders are given:`,
      `#   HOBBLER_SIGNING_KEY_FILE=${out} HOBBLER_SIGNING_KEY_ID=${id}`,
      "# In the config file of every worker, beside the keys that are there (never only part of a fleet's keys):",
      stringify({ worker: { keys: [{ id, role, publicKey }] } }, { lineWidth: 0 }).trimEnd(),
    ].join('\n'),
  );
}

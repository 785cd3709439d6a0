/**
 * The command line of hobbler. It wires: each command is a file in cli/. It alone turns errors into a line on stderr and
 * an exit code (cli/exit.ts), and lets the process end.
 */
import { Command, CommanderError } from 'commander';
import { addAclCommand } from './cli/acl.ts';
import { type Cli, createCli } from './cli/context.ts';
import { addDemoCommand } from './cli/demo.ts';
import { addDoctorCommand } from './cli/doctor.ts';
import { describeError, EXIT, EXIT_HELP, exitCodeOf } from './cli/exit.ts';
import { addHoldCommands } from './cli/hold.ts';
import { addKeyCommands } from './cli/keys.ts';
import { addOrderCommands } from './cli/orders.ts';
import { addPinCommands } from './cli/pins.ts';
import { addPolicyCommands } from './cli/policy.ts';
import { addReadingsCommand } from './cli/readings.ts';
import { addReleaseCommand } from './cli/release.ts';
import { addRunCommand } from './cli/run.ts';
import { addServiceCommands } from './cli/services.ts';
import { addStatusCommand } from './cli/status.ts';
import { addTopCommand } from './cli/top.ts';
import { HOBBLER_VERSION } from './shared/version.ts';

/** Sets the exit code of a command that came to its end. */
export type Finish = (exitCode: number) => void;

const OVERVIEW = `
Targets:
  user:alice   uid:1001   pid:4242@START   cgroup:/user.slice/user-1001.slice
  START is the start time in ticks; for a process of this machine, pid:4242 is completed.

See it work:            hobbler demo
Slow one command down:  hobbler run -- make -j8
Is this host ready:     hobbler doctor
Undo everything here:   hobbler release-all

${EXIT_HELP}

Environment: HOBBLER_REDIS_URL (or REDIS_URL), HOBBLER_CONFIG, HOBBLER_STATE_DIR, HOBBLER_HOST, HOBBLER_LOG_LEVEL,
HOBBLER_SIGNING_KEY or _KEY_FILE with _KEY_ID, HOBBLER_REDIS_TLS_CA, _CERT and _KEY, NO_COLOR.`;

function createProgram(cli: Cli, finish: Finish): Command {
  const program = new Command('hobbler')
    .description('Slows down the processes of users who are over their limits, on every host, and lets them go again.')
    .version(HOBBLER_VERSION)
    .option('--redis <url>', 'redis://, rediss:// or unix:///PATH (a password is safer in HOBBLER_REDIS_URL)')
    .option('--config <file>', 'config file (default: /etc/hobbler/hobbler.yaml if it is there)')
    .option('--state-dir <dir>', 'journal, lock and guard of this host (default: /run/hobbler for root)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .addHelpText('after', OVERVIEW)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'hobbler: ')) })
    .showHelpAfterError('(add --help for what there is)');

  program.commandsGroup('Services:');
  addServiceCommands(program, cli, finish);
  program.commandsGroup('Orders:');
  addOrderCommands(program, cli, finish);
  addStatusCommand(program, cli, finish);
  addTopCommand(program, cli, finish);
  addHoldCommands(program, cli, finish);
  program.commandsGroup('Policy:');
  addReadingsCommand(program, cli, finish);
  addPinCommands(program, cli, finish);
  addPolicyCommands(program, cli, finish);
  program.commandsGroup('This machine:');
  addRunCommand(program, cli, finish);
  addReleaseCommand(program, cli, finish);
  addDoctorCommand(program, cli, finish);
  addDemoCommand(program, cli, finish);
  program.commandsGroup('Setting up:');
  addKeyCommands(program, cli, finish);
  addAclCommand(program, cli, finish);
  return program;
}

/** Runs one command line (without node and script). Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(createCli(args), (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    process.stderr.write(`${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

// bin/hobbler.js starts this under another Node over a channel; a closed one means that it was killed.
if (process.channel) {
  process.on('disconnect', () => {
    if (!process.emit('SIGTERM', 'SIGTERM')) process.exit(EXIT.failed);
  });
  process.channel.unref();
}
// `hobbler status | head` closes our stdout: no reason for a stack trace.
process.stdout.on('error', () => process.exit(EXIT.ok));

process.exitCode = await main(process.argv.slice(2));
// Whatever a library left open must not keep a finished command from ending.
process.exit();

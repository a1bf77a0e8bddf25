#!/usr/bin/env node
// The `tandem` command: reads the command line, runs one command, ends with its exit code
// (exit.ts).
import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { KeyFileError } from '../config/io/key.ts';
import { CONFIG_FILE } from '../config/io/load.ts';
import { RUN_DIR, STATE_DIR } from '../feed/files.ts';
import { DURATION_SYNTAX, type Ms, parseDuration } from '../units/duration.ts';
import { packageVersion } from '../units/io/version.ts';
import { checkFile, keygen } from './check.ts';
import { type DaemonArguments, director, pulse } from './daemons.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { processTerminal, type Terminal } from './io/terminal.ts';
import { handover, hold, release } from './role.ts';
import { showPlan, status, sync, why } from './status.ts';

const KEY_FILE = '/etc/tandem/pair.key';
const DECISIONS_MAX = 32;
const WAIT_S_MAX = 86_400;
/** Time for the last words to leave. */
const LINGER_MS = 1_000;

type End = (code: ExitCode) => void;

/** Runs `tandem` with `args` (without node and script); resolves to its exit code. */
async function runCli(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = commands(terminal, ended => {
    code = ended;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // commander has printed its own message; --help and --version end this way too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof CliError || error instanceof KeyFileError)) throw error;
    terminal.err(`tandem: ${error.message}\n`);
    return error instanceof CliError ? error.exitCode : EXIT.no;
  }
}

function commands(terminal: Terminal, end: End): Command {
  const program = new Command('tandem')
    .description('High-availability router pair for FTP: heartbeat, virtual IPs, IPVS and real FTP checks')
    .version(packageVersion())
    .configureOutput({ writeOut: text => terminal.out(text), writeErr: text => terminal.err(text) })
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError('(tandem --help tells what is possible)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 not so (mistakes, refused, failed), 2 usage, 3 daemon not reachable, 4 status: degraded, 5 status: failed, 78 a daemon cannot use its config or key.',
    );
  daemonCommands(program, terminal, end);
  fileCommands(program, terminal, end);
  readCommands(program, terminal, end);
  roleCommands(program, terminal, end);
  return program;
}

function daemonCommands(program: Command, terminal: Terminal, end: End): void {
  const daemon = (name: string, about: string, run: typeof pulse) =>
    program
      .command(name)
      .description(about)
      .option('--config <file>', 'the config, the same on both routers', CONFIG_FILE)
      .option('--node <name>', 'this router in the config (default: the host name, or its first label)')
      .option('--run-dir <dir>', 'where the sockets are', RUN_DIR)
      .option('--state-dir <dir>', 'what outlives a restart', STATE_DIR)
      .action(async (given: DaemonArguments) => end(await run(terminal, given, hostname())));
  daemon('pulse', 'run the heartbeat daemon in the foreground', pulse).option(
    '--realtime',
    'in the real-time class (SCHED_RR 50), where the kernel allows it',
  );
  daemon('director', 'run the director in the foreground', director);
}

function fileCommands(program: Command, terminal: Terminal, end: End): void {
  program
    .command('check')
    .description('tell all mistakes of a config at once, each with its place and what to write instead')
    .argument('[file]', 'the config', CONFIG_FILE)
    .option('--json', 'as JSON')
    .action((file: string, options: { json?: boolean }) => end(checkFile(terminal, file, options)));
  program
    .command('keygen')
    .description("make the pair's key")
    .argument('[file]', 'where to', KEY_FILE)
    .option('--force', 'replace a key that is there')
    .action((file: string, options: { force?: boolean }) => end(keygen(terminal, file, options)));
}

function readCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'status')
    .description('show both routers, links, VIPs, services and servers')
    .option('--json', 'as JSON (docs/reference/status.schema.json)')
    .option('--watch', 'again every second, until Ctrl-C')
    .action(async (options: { runDir: string; json?: boolean; watch?: boolean }) =>
      end(await status(terminal, options)),
    );
  socketCommand(program, 'sync')
    .description('show the connection sync: links, counters, last resync, store, what the kernel does')
    .option('--json', 'as JSON')
    .action(async (options: { runDir: string; json?: boolean }) => end(await sync(terminal, options)));
  socketCommand(program, 'why')
    .description('show the last role decisions with their evidence')
    .option('--state-dir <dir>', 'where to look when pulse does not answer', STATE_DIR)
    .option('--json', 'as JSON')
    .option('-n, --last <count>', `how many, at most ${DECISIONS_MAX}`, readCount, 10)
    .action(async (options: { runDir: string; stateDir: string; json?: boolean; last: number }) =>
      end(await why(terminal, options)),
    );
  socketCommand(program, 'plan')
    .description('show what the director would change in the kernel now')
    .option('--json', 'as JSON')
    .action(async (options: { runDir: string; json?: boolean }) => end(await showPlan(terminal, options)));
}

function roleCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'handover')
    .description('hand the VIPs over to the other router, and wait for the outcome')
    .option('--cold', 'even if its tables are cold: running transfers and sessions break')
    .option('--wait <seconds>', 'how long to wait for a cold router to become warm', readSeconds, 20)
    .action(async (options: { runDir: string; cold?: boolean; wait: number }) =>
      end(await handover(terminal, { ...options, cold: options.cold === true })),
    );
  socketCommand(program, 'hold')
    .description('never let this router become active, until release')
    .option('--for <duration>', `release by itself after this (${DURATION_SYNTAX})`, readDuration)
    .action(async (options: { runDir: string; for?: Ms }) => end(await hold(terminal, options.runDir, options.for)));
  socketCommand(program, 'release')
    .description('end a hold')
    .action(async ({ runDir }: { runDir: string }) => end(await release(terminal, runDir)));
}

function socketCommand(program: Command, name: string): Command {
  return program.command(name).option('--run-dir <dir>', 'where the sockets are', RUN_DIR);
}

function readDuration(text: string): Ms {
  const duration = parseDuration(text);
  if (duration === undefined || duration === 0) throw new InvalidArgumentError(`Write ${DURATION_SYNTAX}.`);
  return duration;
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= WAIT_S_MAX) return seconds;
  throw new InvalidArgumentError(`Write a number of seconds from 0 to ${WAIT_S_MAX}.`);
}

function readCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= DECISIONS_MAX) return count;
  throw new InvalidArgumentError(`Write a whole number from 1 to ${DECISIONS_MAX}.`);
}

/** Whether this file is the program, also through the link that the installation makes. */
function isProgram(): boolean {
  const script = process.argv[1];
  return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url);
}

if (isProgram()) {
  const code = await runCli(process.argv.slice(2), processTerminal());
  process.exitCode = code;
  // A daemon that failed at its start may have left timers and sockets behind: the process ends all
  // the same.
  if (code !== EXIT.ok) setTimeout(() => process.exit(code), LINGER_MS).unref();
}

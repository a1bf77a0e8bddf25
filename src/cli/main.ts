#!/usr/bin/env node
// The `tandem` command: reads the command line, runs one command, ends with its exit code
// (exit.ts). A command's own files are imported when it runs, so that none waits for what another
// one needs.
import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { RUN_DIR, RUNNER_SOCKET, STATE_DIR } from '../feed/files.ts';
import { OLD_KINDS, type OldKind } from '../import/old-kind.ts';
import { DAEMONS } from '../real-server/ftp-daemons.ts';
import { DURATION_SYNTAX, type Ms, parseDuration } from '../units/duration.ts';
import { ignoreUserSignals } from '../units/io/user-signals.ts';
import { packageVersion } from '../units/io/version.ts';
import type { Shell } from './completion/completion.ts';
import type { DirectorArguments, RunnerArguments } from './daemons.ts';
import type { DoctorArguments } from './doctor.ts';
import type { DrainArguments } from './drain.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import type { HistoryArguments } from './history.ts';
import type { ImportArguments } from './import.ts';
import { processTerminal, type Terminal } from './io/terminal.ts';
import { ROTATION_STEPS, type RotationStep } from './key-rotation.ts';
import type { ReloadArguments } from './reload-daemons.ts';
import type { RotateKeyArguments } from './rotate-key.ts';
import type { ServerConfigArguments } from './server-config.ts';
import type { HooksArguments } from './show-hooks.ts';
import type { SessionsArguments } from './show-sessions.ts';
import type { BundleArguments } from './support-bundle.ts';
import type { UpgradeArguments } from './upgrade.ts';

/** Where the config is when nobody says otherwise. */
const CONFIG_FILE = '/etc/tandem/tandem.yaml';
const KEY_FILE = '/etc/tandem/pair.key';
const DECISIONS_MAX = 32;
const MANY_MAX = 10_000;
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
    const said = await asCliError(error);
    if (said === undefined) throw error;
    terminal.err(`tandem: ${said.message}\n`);
    return said.exitCode;
  }
}

async function asCliError(error: unknown): Promise<CliError | undefined> {
  if (error instanceof CliError) return error;
  const { KeyFileError } = await import('../config/io/key.ts');
  return error instanceof KeyFileError ? new CliError(error.message, { exitCode: EXIT.no, cause: error }) : undefined;
}

/** All that can be written on the command line; nothing runs before it is parsed. */
export function commands(terminal: Terminal, end: End): Command {
  const program = new Command('tandem')
    .description('High-availability router pair for FTP: heartbeat, virtual IPs, IPVS and real FTP checks')
    .version(packageVersion())
    .configureOutput({ writeOut: text => terminal.out(text), writeErr: text => terminal.err(text) })
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError('(tandem --help tells what is possible)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 not so (mistakes, refused, failed), 2 usage, 3 daemon not reachable, 4 status: degraded, doctor: warnings, 5 status: failed, doctor: problems, 6 import: something was lost or means something else, 7 drain --wait: sessions were left, 8 replay: decided otherwise, 78 a daemon cannot use its config or key.',
    );
  daemonCommands(program, terminal, end);
  fileCommands(program, terminal, end);
  initCommand(program, terminal, end);
  importCommand(program, terminal, end);
  readCommands(program, terminal, end);
  hookCommands(program, terminal, end);
  pastCommands(program, terminal, end);
  doctorCommands(program, terminal, end);
  roleCommands(program, terminal, end);
  drainCommands(program, terminal, end);
  keyCommand(program, terminal, end);
  completionCommand(program, terminal, end);
  return program;
}

function daemonCommands(program: Command, terminal: Terminal, end: End): void {
  const daemon = (name: 'pulse' | 'director', about: string) =>
    program
      .command(name)
      .description(about)
      .option('--config <file>', 'the config, the same on both routers', CONFIG_FILE)
      .option('--node <name>', 'this router in the config (default: the host name, or its first label)')
      .option('--run-dir <dir>', 'where the sockets are', RUN_DIR)
      .option('--state-dir <dir>', 'what outlives a restart', STATE_DIR)
      .addHelpText('after', `\nExample: tandem ${name} --config /etc/tandem/tandem.yaml --node router-a`)
      .action(async (given: DirectorArguments) =>
        end(await (await import('./daemons.ts'))[name](terminal, given, hostname)),
      );
  daemon('pulse', 'run the heartbeat daemon in the foreground').option(
    '--realtime',
    'in the real-time class (SCHED_RR 50), where the kernel allows it',
  );
  daemon('director', 'run the director in the foreground').option(
    '--runner-socket <file>',
    'where the runner listens',
    RUNNER_SOCKET,
  );
  program
    .command('runner')
    .description('run the scripts of the config for the director, in the foreground; not as root')
    .option('--config <file>', 'the config, the same on both routers', CONFIG_FILE)
    .option('--node <name>', 'this router in the config (default: the host name, or its first label)')
    .option('--socket <file>', 'where to listen (default: the socket that systemd hands over)')
    .addHelpText(
      'after',
      '\nExample: setpriv --reuid tandem-runner --regid tandem-runner --clear-groups --no-new-privs \\\n  tandem runner --socket /run/user/runner.sock',
    )
    .action(async (given: RunnerArguments) => end(await (await import('./daemons.ts')).runner(given, hostname)));
}

function fileCommands(program: Command, terminal: Terminal, end: End): void {
  program
    .command('check')
    .description('tell all mistakes of a config at once, each with its place and what to write instead')
    .argument('[file]', 'the config', CONFIG_FILE)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem check /etc/tandem/tandem.yaml')
    .action(async (file: string, options: { json?: boolean }) =>
      end((await import('./check.ts')).checkFile(terminal, file, options)),
    );
  program
    .command('keygen')
    .description("make the pair's key")
    .argument('[file]', 'where to', KEY_FILE)
    .option('--force', 'replace a key that is there')
    .addHelpText('after', '\nExample: tandem keygen && scp -p /etc/tandem/pair.key router-b:/etc/tandem/')
    .action(async (file: string, options: { force?: boolean }) =>
      end((await import('./check.ts')).keygen(terminal, file, options)),
    );
  program
    .command('server-config')
    .description('print what the real servers of a service must have: FTP daemon, routes, with DR and TUN the VIP')
    .argument('<service>', 'a service of the config')
    .addOption(new Option('--for <daemon>', 'their FTP daemon, of an FTP service').choices(DAEMONS))
    .option('--server <name>', 'one of them (default: what all of them have in common)')
    .option('--config <file>', 'the config of the pair', CONFIG_FILE)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem server-config ftp --for vsftpd --server ftp1')
    .action(async (service: string, options: ServerConfigArguments) =>
      end((await import('./server-config.ts')).printServerConfig(terminal, service, options)),
    );
}

/** What `init` asks for; src/config/first-config.ts has the questions by these names. */
const INIT_OPTIONS = [
  ['routers', 'host names of the two routers: router-a,router-b'],
  ['client-interface', "their interface on the clients' LAN: eth0"],
  ['client-addresses', 'their own addresses there: 192.0.2.2/24,192.0.2.3/24'],
  ['vip', 'the virtual IP: 192.0.2.100'],
  ['target', 'a host there that always answers: 192.0.2.1'],
  ['forwarding', 'nat, dr or tun (default: nat)'],
  ['servers', 'the FTP servers: 198.51.100.11,198.51.100.12'],
  ['servers-interface', "with nat, the routers' interface on the servers' LAN: eth1"],
  ['servers-addresses', 'with nat, their own addresses there: 198.51.100.2/24,198.51.100.3/24'],
  ['gateway', "with nat, the servers' default gateway, which moves with the VIP: 198.51.100.1"],
  ['passive-ports', 'passive ports of the servers (default: 10000-20000)'],
] as const;

function initCommand(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('init')
    .description('write a first config with one FTP service; asks for what no option says')
    .argument('[file]', 'where to; - is stdout', CONFIG_FILE)
    .option('--force', 'replace a file that is there');
  for (const [name, about] of INIT_OPTIONS) command.addOption(new Option(`--${name} <value>`, about));
  command
    .addHelpText(
      'after',
      '\nExit codes: 0 written, 1 the answers do not fit together or the file is there already, 2 usage.' +
        '\n\nExample: tandem init - --routers a,b --client-interface eth0 --client-addresses 192.0.2.2/24,192.0.2.3/24' +
        ' --vip 192.0.2.100 --forwarding dr --servers 192.0.2.11,192.0.2.12',
    )
    .action(async (file: string, options: Record<string, unknown>) => {
      const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
      const said = INIT_OPTIONS.map(([name]) => [name, options[camel(name)]] as const);
      const answers = Object.fromEntries(
        said.filter((one): one is readonly [(typeof one)[0], string] => typeof one[1] === 'string'),
      );
      const [{ init }, { askOnTerminal }] = await Promise.all([import('./init.ts'), import('./io/ask.ts')]);
      const asker = askOnTerminal();
      try {
        end(await init(terminal, file, { force: options.force === true, answers }, asker));
      } finally {
        asker?.close();
      }
    });
}

function importCommand(program: Command, terminal: Terminal, end: End): void {
  program
    .command('import')
    .description(
      'print a Tandem config made of one of Piranha, keepalived or ldirectord, with comments on all that is not carried over',
    )
    .addArgument(new Argument('<kind>', 'what the file is').choices(OLD_KINDS))
    .argument('<file>', "the old config, this router's")
    .argument('[peer-file]', "the other router's copy of it: what differs is told")
    .option('--node <name>', "this router's name (default: the host name)")
    .option('--peer <name>', "the other router's name")
    .option('--addresses <file>', 'what `ip -json addr` printed on this router (default: asks this machine)')
    .option('--peer-addresses <file>', 'what `ip -json addr` printed on the other router')
    .option('--json', 'as JSON: notes with their places, what is to be filled in, the config')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is carried over, 6 something was lost or means something else, 1 a file cannot be read, 2 usage.' +
        '\n\nExample: tandem import keepalived.conf /etc/keepalived/keepalived.conf --peer router-b > tandem.yaml',
    )
    .action(async (kind: OldKind, file: string, peerFile: string | undefined, options: ImportArguments) =>
      end(await (await import('./import.ts')).printImport(terminal, kind, { file, peerFile }, options)),
    );
}

function readCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'status')
    .description('show both routers, links, VIPs, services and servers')
    .option('--json', 'as JSON (docs/reference/status.schema.json)')
    .option('--watch', 'again every second, until Ctrl-C')
    .addHelpText('after', '\nExample: tandem status --watch')
    .action(async (options: { runDir: string; json?: boolean; watch?: boolean }) =>
      end(await (await import('./status.ts')).status(terminal, options)),
    );
  socketCommand(program, 'sync')
    .description('show the connection sync: links, counters, last resync, store, what the kernel does')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem sync --json')
    .action(async (options: { runDir: string; json?: boolean }) =>
      end(await (await import('./status.ts')).sync(terminal, options)),
    );
  socketCommand(program, 'sessions')
    .description('show who is connected: control and data connections by client, mode, server, state, since when')
    .option('--client <address>', 'only this client')
    .option('--service <name>', 'only this service')
    .option('--server <name>', 'only this real server (also by address)')
    .option('--all', 'also connections that end or have ended')
    .option('--json', 'as JSON (docs/reference/sessions.schema.json)')
    .addHelpText(
      'after',
      '\nOn either router: the active one by its own kernel, the standby by what is synced.\n\nExample: tandem sessions --server ftp1\n         tandem sessions --client 203.0.113.7 --json',
    )
    .action(async (options: SessionsArguments) =>
      end(await (await import('./show-sessions.ts')).sessions(terminal, options)),
    );
  socketCommand(program, 'plan')
    .description('show what the director would change in the kernel now')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem plan')
    .action(async (options: { runDir: string; json?: boolean }) =>
      end(await (await import('./status.ts')).showPlan(terminal, options)),
    );
}

function pastCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'why')
    .description('say why the roles are as they are: the last changes, each in a few sentences')
    .option('--state-dir <dir>', 'where to look when pulse does not answer', STATE_DIR)
    .option('--verbose', 'each decision with its raw evidence')
    .option('--json', 'the same as JSON')
    .option('-n, --last <count>', `how many, at most ${DECISIONS_MAX}`, readCount, 10)
    .addHelpText(
      'after',
      '\nExit codes: 0 told, 2 usage, 3 pulse does not answer and left nothing.\n\nExample: tandem why --last 3',
    )
    .action(async (options: { runDir: string; stateDir: string; json?: boolean; verbose?: boolean; last: number }) =>
      end(await (await import('./status.ts')).why(terminal, options)),
    );
  socketCommand(program, 'history')
    .description('list the role changes of this router over days: when, who, what, why, how long clients were without')
    .option('--state-dir <dir>', 'where the director has written them down', STATE_DIR)
    .option('-n, --last <count>', 'how many at most', readMany, 20)
    .option('--since <when>', `only later ones: 2026-11-22, 2026-11-22T16:00Z, or how long ago (${DURATION_SYNTAX})`)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 listed, 2 usage, 3 pulse does not answer and the history cannot be read.' +
        '\n\nExample: tandem history --since 7d',
    )
    .action(async (options: HistoryArguments) => end(await (await import('./history.ts')).history(terminal, options)));
  program
    .command('replay')
    .description(
      'run a journal (/var/lib/tandem/journal) through the election again, offline: does it decide the same?',
    )
    .argument('<file>', 'a journal, as the director keeps one of each decision; .gz or not')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 the same decisions, 8 others, 1 the file is no whole journal, or of another version, 2 usage.' +
        '\n\nExample: tandem replay "$(ls /var/lib/tandem/journal/*.gz | tail -1)"',
    )
    .action(async (file: string, options: { json?: boolean }) =>
      end((await import('./replay.ts')).replay(terminal, file, options)),
    );
}

function hookCommands(program: Command, terminal: Terminal, end: End): void {
  const hooks = socketCommand(program, 'hooks')
    .description('show what is done when something happens: what waits, what got through, what was lost')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 all work, 4 one loses messages, 3 the director does not answer.' +
        '\n\nExample: tandem hooks && tandem hooks test oncall',
    )
    .action(async (options: HooksArguments) =>
      end(await (await import('./show-hooks.ts')).showHooks(terminal, options)),
    );
  socketCommand(hooks, 'test')
    .description('have a hook send a test message now, once, past what waits, and say what became of it; root only')
    .argument('<name>', 'the hook, as the config names it')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 it got through, 1 it did not, 3 the director does not answer.' +
        '\n\nExample: tandem hooks test oncall',
    )
    .action(async (name: string, own: HooksArguments, command: Command) =>
      end(await (await import('./show-hooks.ts')).testHook(terminal, name, { ...own, ...command.optsWithGlobals() })),
    );
}

function doctorCommands(program: Command, terminal: Terminal, end: End): void {
  const about = (name: string) =>
    socketCommand(program, name)
      .option('--config <file>', 'the config', CONFIG_FILE)
      .option('--node <name>', 'this router in the config (default: the host name, or its first label)');
  about('doctor')
    .description(
      'look at this router and say what to mend: each finding with the command that does it; changes nothing',
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing to mend, 3 nothing found but not all could be looked at (not root?), 4 warnings, 5 problems.' +
        '\n\nExample: tandem doctor || tandem doctor --json | jq -r ".findings[] | select(.severity == \\"problem\\") | .fix"',
    )
    .action(async (options: DoctorArguments) => end(await (await import('./doctor.ts')).doctor(terminal, options)));
  about('support-bundle')
    .description('write one tar.gz (mode 0600) to send to who helps: config, status, findings, journal; no secrets')
    .argument('[file]', 'where to (default: tandem-support-ROUTER-TIME.tar.gz here)')
    .option('--state-dir <dir>', 'where to look when pulse does not answer', STATE_DIR)
    .addHelpText(
      'after',
      '\nExit codes: 0 written, 1 not written.\n\nExample: tandem support-bundle /root/tandem.tar.gz',
    )
    .action(async (file: string | undefined, options: BundleArguments) =>
      end(await (await import('./support-bundle.ts')).supportBundle(terminal, file, options)),
    );
}

function roleCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'reload')
    .description('have both daemons read the config again: shows what changes, then does it; a mistake changes nothing')
    .option('--dry-run', 'only show what would change, in the config and in the kernel')
    .option('--pair', 'both routers, each its own file; refused unless the two say the same')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem reload --dry-run && tandem reload')
    .action(async (options: ReloadArguments) =>
      end(await (await import('./reload-daemons.ts')).reload(terminal, options)),
    );
  socketCommand(program, 'handover')
    .description('hand the VIPs over to the other router, and wait for the outcome')
    .option('--cold', 'even if its tables are cold: running transfers and sessions break')
    .option('--wait <seconds>', 'how long to wait for a router that is cold or lacks its rules', readSeconds, 20)
    .addHelpText('after', '\nExample: tandem handover --wait 60')
    .action(async (options: { runDir: string; cold?: boolean; wait: number }) =>
      end(await (await import('./role.ts')).handover(terminal, { ...options, cold: options.cold === true })),
    );
  socketCommand(program, 'upgrade')
    .description('restart both daemons of a standby in the version that is installed, and wait until it is ready')
    .option('--handover', 'also of an active router, which hands over first: for the second one of the pair')
    .option('--wait <seconds>', 'how long to wait for a cold peer, and for the return of this router', readSeconds, 120)
    .option('--config <file>', 'the config, which is checked before', CONFIG_FILE)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample: tandem upgrade, on the standby; then on the other router: tandem upgrade --handover',
    )
    .action(async (options: UpgradeArguments) => end(await (await import('./upgrade.ts')).upgrade(terminal, options)));
  socketCommand(program, 'hold')
    .description('never let this router become active, until release')
    .option('--for <duration>', `release by itself after this (${DURATION_SYNTAX})`, readDuration)
    .addHelpText('after', '\nExample: tandem hold --for 30m')
    .action(async (options: { runDir: string; for?: Ms }) =>
      end(await (await import('./role.ts')).hold(terminal, options.runDir, options.for)),
    );
  socketCommand(program, 'release')
    .description('end a hold')
    .addHelpText('after', '\nExample: tandem release')
    .action(async ({ runDir }: { runDir: string }) => end(await (await import('./role.ts')).release(terminal, runDir)));
}

function keyCommand(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'rotate-key')
    .description("change the pair's key without a gap: shows where both routers stand, or goes one step on")
    .addArgument(
      new Argument('[step]', 'start: make a new key; next: the next step here; abort').choices(ROTATION_STEPS),
    )
    .option('--config <file>', 'the config', CONFIG_FILE)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nA step that the other router is not ready for is refused, and changes nothing. Each step says what comes next, and where.' +
        '\n\nExit codes: 0 done or shown, 1 refused, 2 usage, 3 pulse does not answer.' +
        '\n\nExample: tandem rotate-key start && scp -p /etc/tandem/pair.key router-b:/etc/tandem/pair.key',
    )
    .action(async (step: RotationStep | undefined, options: RotateKeyArguments) =>
      end(await (await import('./rotate-key.ts')).rotateKey(terminal, step, options)),
    );
}

function drainCommands(program: Command, terminal: Terminal, end: End): void {
  socketCommand(program, 'drain')
    .description('let no new clients come to a server, and its sessions run to their end or to a deadline')
    .argument('[target]', 'SERVER in all its services, SERVICE/SERVER, or SERVICE: all its servers')
    .option(
      '--router',
      'this router instead: hand over to the other one, then never become active; alone or with --force',
    )
    .option('--deadline <duration>', `what runs then is cut (${DURATION_SYNTAX}; default: ipvs.drain)`, readDuration)
    .option('--reason <text>', 'why, for those who look at the status')
    .option('--wait', 'until no session is left')
    .option('--timeout <duration>', `wait no longer than this (${DURATION_SYNTAX})`, readDuration)
    .option('--force', 'also where nobody is left for new clients; with --router also to a cold peer')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample: tandem drain ftp1 --deadline 2h --reason "new disk" --wait && ssh ftp1 reboot\nA name that is a service and a server: SERVICE/ or /SERVER. With --wait it ends with 0 when no session is left, 7 when some were at the deadline or at --timeout; Ctrl-C ends the wait, not the drain.',
    )
    .action(async (target: string | undefined, options: DrainArguments) =>
      end(await (await import('./drain.ts')).drain(terminal, target, options)),
    );
  socketCommand(program, 'enable')
    .description('let new clients come to a drained server again')
    .argument('[target]', 'SERVER, SERVICE/SERVER or SERVICE, as with drain')
    .option('--router', 'this router instead: it may become active again')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: tandem enable ftp1')
    .action(async (target: string | undefined, options: DrainArguments) =>
      end(await (await import('./drain.ts')).enable(terminal, target, options)),
    );
}

function completionCommand(program: Command, terminal: Terminal, end: End): void {
  program
    .command('completion')
    .description('print the script by which a shell completes these commands')
    .addArgument(new Argument('<shell>', 'whose').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nThe packages and scripts/install put it where the shells look; else:' +
        '\n\nExample: source <(tandem completion bash)',
    )
    .action(async (shell: Shell) =>
      end((await import('./completion/completion.ts')).printCompletion(terminal, program, shell)),
    );
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

function readMany(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MANY_MAX) return count;
  throw new InvalidArgumentError(`Write a whole number from 1 to ${MANY_MAX}.`);
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
  ignoreUserSignals();
  const code = await runCli(process.argv.slice(2), processTerminal());
  process.exitCode = code;
  // A daemon that failed at its start may have left timers and sockets behind: the process ends all
  // the same.
  if (code !== EXIT.ok) setTimeout(() => process.exit(code), LINGER_MS).unref();
}

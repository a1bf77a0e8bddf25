// `tandem pulse`, `tandem director` and `tandem runner`: finds this router's name, then runs the
// daemon in the foreground. The daemons are imported only when they are asked for: `tandem status`
// must not load them.
import { KeyFileError } from '../config/io/key.ts';
import { loadConfig } from '../config/io/load.ts';
import { mistakeLine } from '../config/mistakes.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { awaitOwnName } from './io/own-name.ts';
import type { Terminal } from './io/terminal.ts';
import { routerOf } from './router-name.ts';

interface DaemonOptions {
  readonly configFile: string;
  readonly node: string;
  readonly runDir: string;
  readonly stateDir: string;
}

interface DaemonArguments {
  readonly config: string;
  readonly node?: string;
  readonly runDir: string;
  readonly stateDir: string;
  readonly realtime?: boolean;
}

export async function pulse(terminal: Terminal, given: DaemonArguments, hostname: () => string): Promise<ExitCode> {
  const options = await resolve(terminal, given, hostname);
  const { runPulse } = await import('../pulse/main.ts');
  await readably(runPulse({ ...options, realtime: given.realtime === true }));
  return EXIT.ok;
}

export interface DirectorArguments extends DaemonArguments {
  readonly runnerSocket: string;
}

export async function director(
  terminal: Terminal,
  given: DirectorArguments,
  hostname: () => string,
): Promise<ExitCode> {
  const options = await resolve(terminal, given, hostname);
  const { runDirector } = await import('../director/main.ts');
  await readably(runDirector({ ...options, runnerSocket: given.runnerSocket }));
  return EXIT.ok;
}

export interface RunnerArguments {
  readonly config: string;
  readonly node?: string;
  readonly socket?: string;
}

/** It reads the config when it is asked for something, and starts without one that can be used. */
export async function runner({ config, node, socket }: RunnerArguments, hostname: () => string): Promise<ExitCode> {
  const nodeOf = (routers: readonly string[]) =>
    node === undefined ? routerOf(hostname(), routers) : routers.find(name => name === node);
  const { runRunner } = await import('../runner/main.ts');
  await readably(runRunner({ configFile: config, nodeOf, socketPath: socket }));
  return EXIT.ok;
}

/**
 * What the world does wrong at a daemon's start (a socket in use, a directory missing) is told
 * without a stack trace.
 */
async function readably(running: Promise<void>): Promise<void> {
  try {
    await running;
  } catch (error) {
    if (error instanceof KeyFileError) throw new CliError(error.message, { exitCode: EXIT.config, cause: error });
    if (!(error instanceof Error) || error.name !== 'Error') throw error;
    throw new CliError(error.message, { exitCode: EXIT.no, cause: error });
  }
}

/**
 * The daemon's options. Tells every mistake of the config before it throws, so that the journal
 * shows them readably. Waits for a host name that comes late.
 */
async function resolve(terminal: Terminal, given: DaemonArguments, hostname: () => string): Promise<DaemonOptions> {
  const { config: configFile, runDir, stateDir } = given;
  const loaded = loadConfig(configFile);
  if (!loaded.ok) {
    for (const mistake of loaded.mistakes) terminal.err(`${mistakeLine(configFile, mistake)}\n`);
    const message = `${configFile} cannot be used; mend it, and try it with: tandem check ${configFile}`;
    throw new CliError(message, { exitCode: EXIT.config });
  }
  const routers = Object.keys(loaded.config.routers);
  const waits = (name: string) =>
    terminal.err(
      `the host name "${name}" is none of the routers ${routers.join(', ')}: waiting 25 s for one that is; set it, or use --node\n`,
    );
  const node =
    given.node === undefined
      ? await awaitOwnName(name => routerOf(name, routers), waits, hostname)
      : routers.find(name => name === given.node);
  if (node === undefined) {
    const who = given.node === undefined ? `this host, "${hostname()}"` : `"${given.node}"`;
    const message = `${who} is not a router of ${configFile} (${routers.join(', ')}); use --node, or name the router so`;
    throw new CliError(message, { exitCode: EXIT.no });
  }
  return { configFile, node, runDir, stateDir };
}

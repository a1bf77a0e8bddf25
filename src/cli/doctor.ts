// `tandem doctor`: looks at this router and says what to mend. What is found is judged by
// src/doctor; here are the files and the daemons' sockets.
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { KeyFileError, loadKeys } from '../config/io/key.ts';
import { type LoadedConfig, loadConfig, mistakesOn } from '../config/io/load.ts';
import { secretFindings } from '../config/io/secrets.ts';
import { mistakeLine } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import { diagnose } from '../doctor/diagnosis.ts';
import type { ConfigFacts, DaemonLook, HostFacts, WrongFile } from '../doctor/host-facts.ts';
import { countFindings, type HostFinding } from '../doctor/host-finding.ts';
import { lookAtHost } from '../doctor/io/host-look.ts';
import { tryPassivePorts } from '../doctor/io/passive-look.ts';
import { passiveTries } from '../doctor/passive-tries.ts';
import { packageVersion } from '../units/io/version.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { snapshot, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { renderDoctor } from './render-doctor.ts';
import { routerOf } from './router-name.ts';

export interface DoctorArguments {
  readonly config: string;
  readonly node?: string;
  readonly runDir: string;
  readonly json?: boolean;
}

interface Examination {
  readonly node: string;
  readonly found: readonly HostFinding[];
}

/** Ends with 0: nothing to mend; 4: warnings; 5: problems; 3: not all could be looked at. */
export async function doctor(terminal: Terminal, given: DoctorArguments): Promise<ExitCode> {
  const examination = await examine(given);
  const { node, found } = examination;
  terminal.out(given.json ? doctorJson(examination) : renderDoctor(found, node, { colour: terminal.colour }));
  const { problem, warning, unseen } = countFindings(found);
  if (problem > 0) return EXIT.failed;
  if (warning > 0) return EXIT.degraded;
  return unseen > 0 ? EXIT.unreachable : EXIT.ok;
}

export function doctorJson({ node, found }: Examination): string {
  const findings = found.map(({ id, severity, sentence, fix }) => ({ id, severity, sentence, fix }));
  return `${JSON.stringify({ schema: 'tandem-doctor/1', node, ...countFindings(found), findings }, null, 2)}\n`;
}

export async function examine({ config: file, node: given, runDir }: DoctorArguments): Promise<Examination> {
  const loaded = loadConfig(file, secretFindings);
  const routers = loaded.ok ? Object.keys(loaded.config.routers) : [];
  const node = given ?? routerOf(hostname(), routers) ?? hostname();
  const config = loaded.ok && mistakesOn(loaded, file, node).length === 0 ? loaded.config : undefined;
  const [host, pulse, director] = await Promise.all([
    lookAtHost({ config, node, runDir }),
    asked(() => snapshot(runDir)),
    asked(() => statusOf(runDir)),
  ]);
  const tries: ReturnType<typeof passiveTries> =
    config === undefined
      ? { ok: false, problem: 'there is no config', unseen: false }
      : passiveTries({
          config,
          node,
          pulse: pulse.ok ? pulse.value : null,
          report: director.ok ? director.value : null,
        });
  const passive = tries.ok ? { ok: true as const, value: await tryPassivePorts(tries.value) } : tries;
  const files = lookAtFiles(loaded, file, node, config);
  const digest = loaded.ok ? loaded.digest : '';
  const facts: HostFacts = { ...host, files, digest, version: packageVersion(), pulse, director, passive };
  return { node, found: diagnose(facts) };
}

/** What the socket's own function throws says what to do. */
async function asked<T>(ask: () => Promise<T>): Promise<DaemonLook<T>> {
  try {
    return { ok: true, value: await ask() };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
    return { ok: false, problem: error.message, denied: code === 'EACCES' || code === 'EPERM' };
  }
}

function lookAtFiles(loaded: LoadedConfig, file: string, node: string, config: Config | undefined): ConfigFacts {
  const said = loaded.ok ? loaded.warnings : loaded.mistakes;
  return {
    file,
    errors: mistakesOn(loaded, file, node),
    warnings: said.filter(({ severity }) => severity !== 'error').map(one => mistakeLine(file, one)),
    denied: !loaded.ok && (loaded.unreadable === 'EACCES' || loaded.unreadable === 'EPERM'),
    writable: writableByOthers(file),
    key: config === undefined ? 'unknown' : lookAtKey(config.heartbeat.key_file),
  };
}

const WRITABLE_BY_OTHERS = 0o022;

function writableByOthers(file: string): ConfigFacts['writable'] {
  try {
    const { uid, mode } = statSync(file);
    return { ok: true, value: uid !== 0 || (mode & WRITABLE_BY_OTHERS) !== 0 };
  } catch (error) {
    return { ok: false, problem: (error as Error).message };
  }
}

function lookAtKey(file: string): WrongFile | 'well' {
  try {
    loadKeys(file);
    return 'well';
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    const { problem, remedy, cause } = error;
    return { file, problem, remedy, denied: (cause as NodeJS.ErrnoException | undefined)?.code === 'EACCES' };
  }
}

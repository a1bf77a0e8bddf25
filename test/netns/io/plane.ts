// Real directors beside the two real pulses of routers.ts, with services in their config: nftables is the machine's own. Where its
// kernel has no IPVS, the rules never count as in, which bars no owner that serves already: let the pair settle first. Io.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfigOptions, HOST_TIMES, labConfig } from '../../lab/pair/config.ts';
import type { Router } from '../../lab/pair/topology.ts';
import { CLI, follow, type PulseProcess, type Routers } from './routers.ts';

export interface DirectorOptions extends Partial<ConfigOptions> {
  /** Changes the config's text. */
  readonly edit?: (text: string) => string;
  /** Where a runner listens. */
  readonly runnerSocket?: string;
  /** The command line of another build than this one. */
  readonly cli?: string;
}

/** Starts a director in the router's namespace; it ends with the topology. */
export function startDirector(routers: Routers, router: Router, options: DirectorOptions = {}): PulseProcess {
  const { directory, topology } = routers;
  const { edit = text => text, cli = CLI, runnerSocket, ...config } = options;
  const text = labConfig({ keyFile: join(directory, 'pair.key'), ...HOST_TIMES, ...config });
  const file = directorConfig(routers, router);
  writeFileSync(file, edit(text));
  const [runDir, stateDir] = [join(directory, router, 'run'), join(directory, router, 'state')];
  for (const path of [runDir, stateDir]) mkdirSync(path, { recursive: true });
  const runner = runnerSocket === undefined ? [] : ['--runner-socket', runnerSocket];
  const where = ['--config', file, '--node', router, '--run-dir', runDir, '--state-dir', stateDir, ...runner];
  const child = topology.start(router, process.execPath, [cli, 'director', ...where], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return follow(child);
}

/** The config file of a router's director. */
export function directorConfig({ directory }: Routers, router: Router): string {
  return join(directory, `director-${router}.yaml`);
}

/** Events of one code in a process' log. */
export function eventsOf(process: PulseProcess | undefined, code: string): Record<string, unknown>[] {
  return process?.log.filter(line => line.code === code) ?? [];
}

/** The director's table on a router, as nft lists it; '' when it is not there. */
export async function tableOf(routers: Routers, router: Router, table = 'inet tandem'): Promise<string> {
  return await routers.topology.exec(router, 'nft', ['-s', 'list', 'table', ...table.split(' ')]).then(
    // A set is listed in the order of the kernel's hash, another one each time it is made.
    ({ stdout }) => stdout.replace(/\{ ([^{}\n]*) \}/g, (_, set: string) => `{ ${set.split(', ').sort().join(', ')} }`),
    () => '',
  );
}

/** What the director's status socket says. */
export interface Status {
  readonly problems: readonly string[];
  readonly pulse: { readonly role: string } | null;
  readonly kernel: { readonly lastAuditAt: string | null; readonly found: Readonly<Record<string, string>> };
}

export async function statusOf(routers: Routers, router: Router): Promise<Status> {
  const socket = join(routers.directory, router, 'run', 'status.sock');
  const { stdout } = await routers.topology.exec(router, 'curl', [
    '-s',
    '--unix-socket',
    socket,
    'http://tandem/status',
  ]);
  return JSON.parse(stdout) as Status;
}

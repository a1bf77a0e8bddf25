// The scripts that the config names, each with what it is called with: by the runner, which knows
// no others, and by the director, which asks for them by name. Pure.
import { createHash } from 'node:crypto';
import type { Ms } from '../units/duration.ts';
import type { Config } from './schema.ts';
import { checkedPorts } from './service-ports.ts';
import { OWN_VARIABLES } from './variables.ts';

/** Which script of the config is meant. Nobody ever sends more than this. */
export type ScriptName =
  /** Of fitness.checks. */
  | { readonly type: 'fitness'; readonly check: string }
  /** check.script of a service, for one of its real servers. */
  | { readonly type: 'server'; readonly service: string; readonly server: string };

/** For people. */
export function scriptLabel(name: ScriptName): string {
  return name.type === 'fitness' ? name.check : `${name.service}/${name.server}`;
}

export interface Script {
  /** Path and arguments, as execve(2) takes them: no shell is between. */
  readonly command: readonly [string, ...string[]];
  /** All of it: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: Ms;
}

/** What every program has that the runner starts. */
export const PROGRAM_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
} as const;

type Named = Pick<Config, 'fitness' | 'services'>;

/** The script, as the router `node` runs it; undefined: the config has none of that name. */
export function scriptOf(config: Named, node: string, name: ScriptName): Script | undefined {
  const found = name.type === 'fitness' ? fitnessScript(config, name.check) : serverScript(config, name);
  const [program, ...args] = found?.script ?? [];
  if (found === undefined || program === undefined) return undefined;
  const own = Object.entries({ ROUTER: node, CHECK: scriptLabel(name), ...found.about });
  const ours = Object.fromEntries(own.map(([key, value]) => [`${OWN_VARIABLES}${key}`, value]));
  const environment = { ...PROGRAM_ENVIRONMENT, ...found.environment, ...ours };
  return { command: [program, ...args], environment, timeoutMs: found.timeoutMs };
}

interface Found {
  readonly script: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: Ms;
  /** What it is told, without the beginning of our variables. */
  readonly about: Readonly<Record<string, string>>;
}

function fitnessScript({ fitness }: Named, check: string): Found | undefined {
  const found = ownOf(fitness.checks, check);
  return found && { script: found.script, environment: found.environment, timeoutMs: found.timeout, about: {} };
}

function serverScript({ services }: Named, name: { service: string; server: string }): Found | undefined {
  const service = ownOf(services, name.service);
  const server = service && ownOf(service.servers, name.server);
  if (service === undefined || server === undefined || service.check.script === undefined) return undefined;
  const { script, script_environment: environment, timeout: timeoutMs } = service.check;
  const where = { ADDRESS: server.address, PORT: String(checkedPorts(service)[0] ?? ''), VIP: service.vip };
  return { script, environment, timeoutMs, about: { SERVICE: name.service, SERVER: name.server, ...where } };
}

function ownOf<T>(named: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(named, name) ? named[name] : undefined;
}

/** Stands for all of a script, to tell whether two configs mean the same by its name. */
export function scriptDigest({ command, environment, timeoutMs }: Script): string {
  const sorted = Object.entries(environment).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([command, sorted, timeoutMs]))
    .digest('hex')
    .slice(0, 16);
}

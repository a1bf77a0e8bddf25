// Reads the config for the director, at start and again on SIGHUP or POST /reload: whole and valid, or the old one stays. Takes
// what loadConfig returned; touches only the log and the parts it is given.
import { validate } from 'node-cron';
import { type LoadedConfig, loadConfig } from '../config/io/load.ts';
import { nodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { Nannies } from '../nanny/io/nannies.ts';
import type { ControlAnswer } from './io/control.ts';
import type { Director } from './loop.ts';

export interface Loaded {
  readonly ok: true;
  readonly config: Config;
  readonly digest: string;
}

export interface Refused {
  readonly ok: false;
  /** Each as file:line:column: what is wrong; what to write. */
  readonly mistakes: readonly string[];
  readonly message: string;
}

const AUDIT_EVERY_30_S = '*/30 * * * * *';

/** The audit's cron expression; the default one if the config's is not one (its rules should have refused it). */
export function auditSchedule(config: Config): string {
  return validate(config.ipvs.audit) ? config.ipvs.audit : AUDIT_EVERY_30_S;
}

/** Judges a loaded config for this router and says in the log (if given) what became of it. */
export function readConfig(loaded: LoadedConfig, file: string, node: string, log: Log | undefined): Loaded | Refused {
  const mistakes = loaded.ok ? mistakesHere(loaded.config, file, node) : mistakesIn(loaded, file);
  if (!loaded.ok || mistakes.length > 0) {
    const first = mistakes[0] ?? `${file}: cannot be used`;
    log?.event('CONFIG_REFUSED', { file, mistakes: mistakes.length, first });
    return { ok: false, mistakes, message: `the config has mistakes and is not used:\n${mistakes.join('\n')}` };
  }
  const { config, digest, warnings } = loaded;
  for (const { line, column, path, problem, remedy } of warnings) {
    log?.event('CONFIG_WARNING', { file, line, column, path, problem, remedy });
  }
  log?.event('CONFIG_LOADED', { file, digest, warnings: warnings.length });
  return { ok: true, config, digest };
}

function mistakesIn(loaded: LoadedConfig & { readonly ok: false }, file: string): string[] {
  return loaded.mistakes
    .filter(mistake => mistake.severity === 'error')
    .map(({ line, column, path, problem, remedy }) => `${file}:${line}:${column}: ${path}: ${problem}; ${remedy}`);
}

function mistakesHere(config: Config, file: string, node: string): string[] {
  const mistakes: string[] = [];
  try {
    nodeView(config, node);
  } catch (error) {
    mistakes.push(`${file}:1:1: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!validate(config.ipvs.audit)) {
    mistakes.push(
      `${file}:1:1: ipvs.audit: "${config.ipvs.audit}" is not a cron expression; write one like "${AUDIT_EVERY_30_S}"`,
    );
  }
  return mistakes;
}

export interface ReloadParts {
  readonly configFile: string;
  readonly node: string;
  readonly director: Director;
  readonly nannies: Pick<Nannies, 'update'>;
  readonly log: Log;
}

/** Reads the file again; on any mistake all stays as it is. Answers when the kernel has followed. */
export async function reload({ configFile, node, director, nannies, log }: ReloadParts): Promise<ControlAnswer> {
  const next = readConfig(loadConfig(configFile), configFile, node, log);
  if (!next.ok) return { status: 422, body: { reloaded: false, mistakes: next.mistakes } };
  director.setConfig(next.config, next.digest);
  nannies.update(next.config);
  await director.audit('reload');
  return { status: 200, body: { reloaded: true, digest: next.digest, kernel: director.report().kernel } };
}

// Reads the config for the director, at start and again on SIGHUP or POST /reload: whole and valid,
// or the old one stays. Not pure: reads the file, and tells the parts it is given.
import { type LoadedConfig, loadConfig, mistakesOn } from '../../config/io/load.ts';
import type { Config } from '../../config/schema.ts';
import type { Log } from '../../log/log.ts';
import type { Nannies } from '../../nanny/io/nannies.ts';
import type { Director } from '../loop.ts';
import type { ControlAnswer } from './control.ts';

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

/** Judges a loaded config for this router and says in the log (if given) what became of it. */
export function readConfig(loaded: LoadedConfig, file: string, node: string, log: Log | undefined): Loaded | Refused {
  const mistakes = mistakesOn(loaded, file, node);
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

interface ReloadParts {
  readonly configFile: string;
  readonly node: string;
  readonly director: Director;
  readonly nannies: Pick<Nannies, 'update'>;
  readonly log: Log;
}

/**
 * Reads the file again; on any mistake all stays as it is. Answers when the kernel has followed.
 */
export async function reload({ configFile, node, director, nannies, log }: ReloadParts): Promise<ControlAnswer> {
  const next = readConfig(loadConfig(configFile), configFile, node, log);
  if (!next.ok) return { status: 422, body: { reloaded: false, mistakes: next.mistakes } };
  await director.setConfig(next.config, next.digest);
  nannies.update(next.config);
  await director.audit('reload');
  return { status: 200, body: { reloaded: true, digest: next.digest, kernel: director.report().kernel } };
}

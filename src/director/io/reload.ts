// Reads the config for the director, at start and again for a reload: whole and valid, or the old
// one stays. A reload by `tandem reload` has pulse read it, too, and can be looked at before. Not
// pure: reads the file, and tells the parts it is given.
import { configChanges } from '../../config/changes.ts';
import { type LoadedConfig, loadConfig, mistakesOn } from '../../config/io/load.ts';
import { secretFindings } from '../../config/io/secrets.ts';
import { mistakeLine } from '../../config/mistakes.ts';
import type { Config } from '../../config/schema.ts';
import { PULSE_NOT_ASKED, type PulseWord, type ReloadOutcome, type ReloadPlan } from '../../feed/reload-answer.ts';
import type { Hooks } from '../../hooks/io/hooks.ts';
import type { Log } from '../../log/log.ts';
import type { Nannies } from '../../nanny/io/nannies.ts';
import type { Director } from '../loop.ts';
import type { FitnessChecks } from './fitness-checks.ts';
import { inTurn } from './in-turn.ts';
import { oneAtATime } from './one-at-a-time.ts';

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
  readonly fitness: Pick<FitnessChecks, 'update'>;
  readonly hooks: Pick<Hooks, 'update'>;
  /** Has pulse on this router read the file, or look at it: see askPulse. */
  readonly askPulse: (dryRun: boolean, digest: string) => Promise<PulseWord>;
  readonly log: Log;
  /** Around each reload of the director. */
  readonly began: () => void;
  readonly ended: () => void;
}

interface ReloadAsked {
  /** Who wants it, for the log. */
  readonly by: string;
  /** Of the file that is meant; null: whatever it says now. */
  readonly digest: string | null;
  /** Nobody waits for it any more, when its turn comes. */
  readonly isTooLate?: () => boolean;
}

export interface Reloads {
  /** SIGHUP: the director alone, since pulse has a signal of its own. */
  signalled(): void;
  /**
   * Both daemons. On any mistake, or when the file is not the one that is meant, all stays as it
   * is. Resolves when the kernel has followed and pulse has read the file.
   */
  reload(asked: ReloadAsked): Promise<ReloadOutcome>;
  /** What a reload would change; changes nothing. */
  plan(): Promise<ReloadPlan>;
  /** Refuses what comes from now on; resolves when the director is reloaded no more. */
  close(): Promise<void>;
}

export function createReloads(parts: ReloadParts): Reloads {
  let closing = false;
  const turns = inTurn();
  const own = (asked: ReloadAsked) =>
    turns.run(async () => {
      if (closing) return unchanged(parts.director, { problem: 'the director is stopping' });
      if (asked.isTooLate?.())
        return unchanged(parts.director, { problem: 'others were served before, until too late' });
      parts.began();
      const outcome = await reloadDirector(parts, asked);
      if (!closing) parts.ended();
      return outcome;
    });
  // However many signals come at once, one reload follows the one that runs.
  const signals = oneAtATime(() => own({ by: 'SIGHUP', digest: null }).then(() => undefined));
  return {
    signalled: () => void signals.run(),
    reload: async asked => {
      const outcome = await own(asked);
      if (!outcome.reloaded) return outcome;
      return { ...outcome, pulse: await parts.askPulse(false, outcome.digest) };
    },
    plan: () => planReload(parts),
    close: async () => {
      closing = true;
      await signals.close(undefined);
      await turns.idle();
    },
  };
}

async function planReload({ configFile: file, node, director, askPulse }: ReloadParts): Promise<ReloadPlan> {
  const loaded = loadConfig(file, secretFindings);
  const next = readConfig(loaded, file, node, undefined);
  const before = director.digest();
  const about = { node, file, warnings: loaded.ok ? loaded.warnings.map(mistake => mistakeLine(file, mistake)) : [] };
  if (!next.ok) {
    const kernel = { changes: [], rules: [], problems: [] };
    const mistakes = [...next.mistakes];
    return { ...about, digest: { before, after: null }, mistakes, changes: [], kernel, pulse: PULSE_NOT_ASKED };
  }
  const [kernel, pulse] = await Promise.all([director.plan(next.config), askPulse(true, next.digest)]);
  const changes = configChanges(director.config(), next.config);
  return { ...about, digest: { before, after: next.digest }, mistakes: [], changes, kernel, pulse };
}

async function reloadDirector(parts: ReloadParts, { by, digest }: ReloadAsked): Promise<ReloadOutcome> {
  const { configFile, node, director, nannies, fitness, hooks, log } = parts;
  const loaded = loadConfig(configFile);
  if (loaded.ok && digest !== null && loaded.digest !== digest) {
    const problem = `${configFile} has changed meanwhile: its digest is ${loaded.digest}, not ${digest}; look again: tandem reload --dry-run`;
    return unchanged(director, { problem });
  }
  const next = readConfig(loaded, configFile, node, log);
  if (!next.ok) return unchanged(director, { mistakes: next.mistakes });
  const [before, old] = [director.digest(), director.config()];
  await director.setConfig(next.config, next.digest);
  nannies.update(next.config);
  fitness.update(next.config);
  hooks.update(next.config);
  await director.audit('reload');
  const outcome = { ...unchanged(director, {}), reloaded: true };
  const changes = configChanges(old, next.config).length;
  log.event('CONFIG_RELOADED', { by, before, digest: next.digest, changes, rulesIn: outcome.kernel.rulesIn });
  return outcome;
}

interface Reason {
  readonly mistakes?: readonly string[];
  readonly problem?: string;
}

function unchanged(director: Director, { mistakes = [], problem = '' }: Reason): ReloadOutcome {
  const { rulesIn, errors } = director.report().kernel;
  const kernel = { rulesIn, errors };
  const digest = director.digest();
  return { reloaded: false, digest, mistakes: [...mistakes], problem, kernel, pulse: PULSE_NOT_ASKED };
}

// What a cross-field rule says: where, how bad, what is wrong and what to write instead. `basis`
// names the other fields the rule looked at, so that a finding is not shown when one of them is
// itself a mistake (see document.ts). Pure.
import { closest, distance } from 'fastest-levenshtein';
import { validate } from 'node-cron';
import type { Schedule } from '../../units/schedule.ts';
import type { Config } from '../schema.ts';

export type Path = readonly (string | number)[];
export type FindingSeverity = 'error' | 'warning';

export interface Finding {
  readonly severity: FindingSeverity;
  /** The field the finding is shown at. */
  readonly path: Path;
  /** Other fields that it rests on. */
  readonly basis: readonly Path[];
  /** What is wrong, a clause without a full stop. */
  readonly problem: string;
  /** What to write instead, a clause without a full stop. */
  readonly remedy: string;
}

/** A rule that needs more than one field. */
export interface Rule {
  /** What it wants, in Markdown: docs/reference/CONFIG.md lists them. */
  readonly says: string;
  readonly check: (config: Config) => Finding[];
}

export function error(path: Path, problem: string, remedy: string, basis: readonly Path[] = []): Finding {
  return { severity: 'error', path, basis, problem, remedy };
}

export function warning(path: Path, problem: string, remedy: string, basis: readonly Path[] = []): Finding {
  return { severity: 'warning', path, basis, problem, remedy };
}

/**
 * The known name that `name` most likely stands for: at most two edits, or a third of its length,
 * away.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || name.length > 100) return undefined;
  const candidate = closest(name, known as string[]);
  const edits = distance(name, candidate);
  return edits < name.length && edits <= Math.max(2, Math.floor(name.length / 3)) ? candidate : undefined;
}

/** "a", "a or b", "a, b or c"; "none" for an empty list. */
export function choice(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? 'none';
  return `${names.slice(0, -1).join(', ')} or ${names[names.length - 1]}`;
}

/** A finding for a name that refers to nothing. */
export function unknownName(path: Path, what: string, name: string, known: readonly string[], basis: Path): Finding {
  const near = nearest(name, known);
  const remedy = near === undefined ? `write ${choice(known)}, or add it` : `did you mean "${near}"?`;
  return error(path, `there is no ${what} "${name}"`, remedy, [[...basis, name]]);
}

/** Longest cron expression that is looked at, in characters. */
const CRON_LENGTH_MAX = 200;

/** A finding for a schedule that is neither a duration nor a cron expression. */
export function scheduleProblem(path: Path, schedule: Schedule): Finding[] {
  if (schedule.type === 'every' || validCron(schedule.expression)) return [];
  const remedy =
    'write a duration like 30s, or five or six fields like "0 30 3 * * *" (second, minute, hour, day, month, weekday)';
  return [error(path, `"${schedule.expression.slice(0, 60)}" is neither a duration nor a cron expression`, remedy)];
}

/** The grammar is node-cron's, because node-cron says when such a time has come (src/schedule). */
function validCron(expression: string): boolean {
  return expression.length <= CRON_LENGTH_MAX && validate(expression);
}

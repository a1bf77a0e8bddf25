// Limits on the time of a check and of its stages, beside what ends the check: one that is never
// reached never counts. Pure.
import { formatDuration, type Ms } from '../../units/duration.ts';
import type { Timed, TimeLimits } from '../check-stages.ts';
import { error, type Finding, type Path } from './finding.ts';

const FIELDS = ['slow_warn', 'slow_fail'] as const;
type Field = (typeof FIELDS)[number];

type Limited = Readonly<Record<Field, TimeLimits>>;

/** What ends a check, or counts against it, where a limit is not below. */
interface End {
  readonly name: string;
  readonly valueMs: Ms | undefined;
  readonly path: Path;
}

/** `endOf`: what ends the stage, or the whole check. */
export function unreachedLimits(
  check: Limited,
  at: (field: Field) => Path,
  timed: readonly Timed[],
  endOf: (timed: Timed) => End,
): Finding[] {
  return FIELDS.flatMap(field =>
    timed.flatMap(one => {
      const fail: End = { name: 'slow_fail', valueMs: check.slow_fail[one], path: at('slow_fail') };
      const ends = field === 'slow_warn' ? [fail, endOf(one)] : [endOf(one)];
      return ends.flatMap(end => unreached(check[field][one], at(field), one, end));
    }),
  );
}

function unreached(
  value: Ms | undefined,
  path: Path,
  timed: Timed,
  { name, valueMs: bound, path: basis }: End,
): Finding[] {
  if (value === undefined || bound === undefined || value < bound) return [];
  const field = `check.${String(path.at(-1))}`;
  const what = timed === 'whole' ? field : `${field}.${timed}`;
  const problem = `${what} ${formatDuration(value)} is never reached: ${name} is ${formatDuration(bound)}`;
  return [error([...path, timed], problem, `write less than ${formatDuration(bound)}`, [basis])];
}

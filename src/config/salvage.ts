// What is left of a config with schema mistakes, so that the cross-field rules can still be checked
// and all mistakes be told at once. Wrong fields are replaced by stand-ins or dropped, and
// remembered: a rule that rests on one says nothing. Pure.
import { isMap, type SchemaMistake, schemaMistakes, valueAt } from './mistakes.ts';
import type { Finding, Path } from './rules/finding.ts';
import { type Config, configSchema } from './schema.ts';

/**
 * Required fields and a value that fits; `*` is any name. What is not listed is dropped instead.
 */
const STAND_INS: readonly (readonly [path: string, value: unknown])[] = [
  ['pair', 'x'],
  ['routers', {}],
  ['lans', {}],
  ['lans.*.interface', {}],
  ['lans.*.addresses', {}],
  ['heartbeat', { links: ['x'] }],
  ['heartbeat.links', ['x']],
  ['services.*.vip', '0.0.0.0'],
  ['services.*.mark', 1],
  ['services.*.ports', 1],
  ['services.*.servers', {}],
];
const KIND = ['services', '*', 'kind'] as const;
/** Each round mends all that zod can see; nested mistakes may need another. */
const ROUNDS_MAX = 8;

interface Salvaged {
  readonly config: Config;
  /** Fields whose values are not the file's. */
  readonly gone: readonly Path[];
}

/** A config as close to `value` as the schema allows; undefined when nothing useful is left. */
export function salvage(value: unknown): Salvaged | undefined {
  if (!isMap(value) || Array.isArray(value)) return undefined;
  const copy: unknown = structuredClone(value);
  const gone: Path[] = [];
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const parsed = configSchema.safeParse(copy);
    if (parsed.success) return { config: parsed.data, gone };
    for (const mistake of schemaMistakes(parsed.error.issues, copy)) mend(copy, mistake, gone);
  }
  return undefined;
}

/** Whether a finding rests on a field that was not as the file has it. */
export function restsOn(finding: Finding, gone: readonly Path[]): boolean {
  const places = [finding.path, ...finding.basis];
  return gone.some(path => places.some(place => related(path, place)));
}

function related(a: Path, b: Path): boolean {
  return a.slice(0, b.length).every((step, index) => step === b[index]);
}

function mend(copy: unknown, mistake: SchemaMistake, gone: Path[]): void {
  const parent = mistake.path.slice(0, -1);
  if (mistake.at === 'key') {
    remove(copy, mistake.path);
    // An unknown key that stands for a known one makes that one's value uncertain; a bad name,
    // every reference to it.
    if (mistake.meant !== undefined) gone.push([...parent, mistake.meant]);
    else if (!mistake.problem.startsWith('unknown key')) gone.push(parent);
    return;
  }
  // Of a service of no known kind no field means anything.
  if (matches(KIND, mistake.path)) {
    gone.push(parent);
    remove(copy, parent);
    return;
  }
  // An entry taken out of a list would shift the others away from their places: give up the whole
  // list.
  const list = mistake.path.findIndex((_, index) => Array.isArray(valueAt(copy, mistake.path.slice(0, index))));
  const path = list < 0 ? mistake.path : mistake.path.slice(0, list);
  gone.push(path);
  const standIn = STAND_INS.find(([pattern]) => matches(pattern.split('.'), path));
  const holder = valueAt(copy, path.slice(0, -1));
  const key = path[path.length - 1];
  if (standIn && key !== undefined && isMap(holder)) holder[key] = structuredClone(standIn[1]);
  // A missing field without a stand-in takes the map it belongs to with it.
  else if (valueAt(copy, path) === undefined) remove(copy, path.slice(0, -1));
  else remove(copy, path);
}

function matches(pattern: readonly string[], path: Path): boolean {
  return pattern.length === path.length && pattern.every((step, index) => step === '*' || step === path[index]);
}

function remove(copy: unknown, path: Path): void {
  const holder = valueAt(copy, path.slice(0, -1));
  const key = path[path.length - 1];
  if (key !== undefined && isMap(holder)) delete holder[key];
}

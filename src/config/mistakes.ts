// Turns what zod says of a config into findings: what is wrong and what to write instead, in the
// words of the file. Pure. Places in the file are added in document.ts.
import type { z } from 'zod';
import { configJsonSchema, fieldsAt, type JsonSchema, keysAt } from './json-schema.ts';
import { choice, type FindingSeverity, nearest, type Path } from './rules/finding.ts';

/** One thing wrong in a config file, for people and for --json. */
export interface Mistake {
  readonly severity: FindingSeverity;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** The field, with dots: "heartbeat.links.0"; empty for the whole file. */
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

/**
 * A mistake that still lacks its place. `at` says whether the key or the value of `path` is meant.
 */
export interface SchemaMistake {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly problem: string;
  readonly remedy: string;
  /** The known key that an unknown one probably stands for. */
  readonly meant?: string;
  /** A required field that is not there. */
  readonly missing?: true;
}

type Issue = z.core.$ZodIssue;

/** Longest excerpt of the file in a message, in characters. */
const SHOWN_LENGTH_MAX = 60;

/** `file:line:column: error: what is wrong; what to write instead`, as compilers do it. */
export function mistakeLine(file: string, mistake: Mistake): string {
  const place = `${file}:${mistake.line}:${mistake.column}`;
  return `${place}: ${mistake.severity}: ${mistake.problem}; ${mistake.remedy}`;
}

/** What `issues` say of the parsed file `value`. */
export function schemaMistakes(issues: readonly Issue[], value: unknown): SchemaMistake[] {
  const schema = configJsonSchema();
  return issues.flatMap(issue => explain(issue, [], value, schema));
}

/** The value at `path`; undefined when there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, step) => (isMap(at) && Object.hasOwn(at, step) ? at[step] : undefined), value);
}

export function isMap(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

function explain(issue: Issue, base: Path, value: unknown, schema: JsonSchema): SchemaMistake[] {
  const path = [...base, ...issue.path.map(step => (typeof step === 'number' ? step : String(step)))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(path, key, value, schema));
  if (issue.code === 'invalid_union') {
    const fitting = issue.errors.find(branch => branch.some(inner => !isWrongType(inner)));
    if (fitting) return fitting.flatMap(inner => explain(inner, path, value, schema));
  }
  const found = valueAt(value, path);
  const [problem, remedy] = problemOf(issue, path, found, description(schema, path, value));
  const at = issue.code === 'invalid_key' ? 'key' : 'value';
  return [{ path, at, problem, remedy, ...(found === undefined ? { missing: true } : {}) }];
}

/**
 * Whether a branch of a union is simply another kind of value, rather than the one that was meant.
 */
function isWrongType(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0;
}

/** Fields of earlier versions: why they are gone, and what to do. */
const REMOVED: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  'sync.lan': ['it is gone, connection state goes over every heartbeat link, encrypted', 'delete it'],
  'sync.sync_id': [
    'it is gone, the stream is bound to the pair by its name and key',
    'delete it; sync.port is its TCP port',
  ],
};

function unknownKey(path: Path, key: string, value: unknown, schema: JsonSchema): SchemaMistake {
  const removed = REMOVED[[...path, key].join('.')];
  if (removed) {
    const [why, remedy] = removed;
    return { path: [...path, key], at: 'key', problem: `unknown key ${show(key)}: ${why}`, remedy };
  }
  if (path[0] === 'services' && path.length === 2 && (key === 'ports' || key === 'server_port')) {
    const problem = `unknown key ${show(key)}: a service without kind is FTP`;
    return { path: [...path, key], at: 'key', problem, remedy: 'write kind: tcp or udp, or delete it' };
  }
  const known = keysAt(schema, path, value);
  const meant = nearest(key, known);
  const remedy = meant === undefined ? `delete it; known here: ${known.join(', ')}` : `did you mean "${meant}"?`;
  const problem = `unknown key ${show(key)}`;
  return { path: [...path, key], at: 'key', problem, remedy, ...(meant === undefined ? {} : { meant }) };
}

function problemOf(issue: Issue, path: Path, value: unknown, about: string): [problem: string, remedy: string] {
  const name = show(path[path.length - 1] ?? 'the file');
  if (value === undefined) return [`${name} is missing`, `add ${path[path.length - 1] ?? 'it'}: ${about}`];
  if (value === null) return [`${name} has no value`, `write ${about}, or delete the line`];
  const split = /^(.*); ((?:write|name) .*)$/s.exec(issue.message);
  if (split) return [split[1] as string, split[2] as string];
  const own = /^(?:write|name) /.test(issue.message) ? issue.message : undefined;
  switch (issue.code) {
    case 'invalid_type':
      return [`${show(value)} is ${kind(value)}`, own ?? `write ${expected(issue.expected, about)}`];
    case 'invalid_value':
      return [`${show(value)} is not a choice for ${name}`, choices(issue.values.map(String), value)];
    case 'invalid_union': {
      // The tag that says which kind of map it is.
      const kinds = 'options' in issue ? (issue.options ?? []) : [];
      const known = kinds.filter(option => typeof option === 'string');
      if (known.length > 0) return [`${show(value)} is not a choice for ${name}`, choices(known, value)];
      return [`${show(value)} is not allowed for ${name}`, own ?? `write ${about}`];
    }
    case 'invalid_key':
      return [`${name} is not allowed as a name`, issue.issues[0]?.message ?? 'write another name'];
    case 'too_small':
      return [`${size(value)} too ${Array.isArray(value) ? 'few' : 'small'}`, own ?? `write at least ${issue.minimum}`];
    case 'too_big':
      return [`${size(value)} too ${Array.isArray(value) ? 'many' : 'large'}`, own ?? `write at most ${issue.maximum}`];
    default:
      return [`${show(value)} is not allowed for ${name}`, own ?? `write ${about}`];
  }
}

function size(value: unknown): string {
  if (Array.isArray(value)) return `${value.length} entries are`;
  return typeof value === 'string' ? `a text of ${value.length} characters is` : `${show(value)} is`;
}

/** What ipvsadm, keepalived, ldirectord and Piranha call our forwarding methods and checks. */
const WORDS_OF_OTHERS: ReadonlyMap<string, string> = new Map([
  ['masq', 'nat'],
  ['masquerading', 'nat'],
  ['gate', 'dr'],
  ['gatewaying', 'dr'],
  ['direct', 'dr'],
  ['ipip', 'tun'],
  ['tunnel', 'tun'],
  ['tcp_check', 'connect'],
  ['tcp', 'connect'],
  ['http_get', 'http'],
  ['ssl_get', 'http'],
  ['https', 'http'],
  ['ping_check', 'icmp'],
  ['ping', 'icmp'],
  ['udp_check', 'datagram'],
  ['udp', 'datagram'],
  ['negotiate', 'send_expect'],
]);

function meantBy(word: string, values: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  return (
    [lower, WORDS_OF_OTHERS.get(lower)].find(one => one !== undefined && values.includes(one)) ?? nearest(word, values)
  );
}

function choices(values: readonly string[], value: unknown): string {
  const meant = typeof value === 'string' ? meantBy(value, values) : undefined;
  return meant === undefined ? `write ${choice(values)}` : `did you mean "${meant}"? (${choice(values)})`;
}

function expected(type: string, about: string): string {
  if (type === 'boolean') return 'true or false';
  if (type === 'array') return `a list: [a, b] (${about})`;
  if (type === 'object' || type === 'record') return `its fields indented below it (${about})`;
  if (type === 'string') return `a text, in quotes if need be (${about})`;
  return about;
}

/** What the field holds, as it reads after "write": its description with a small first letter. */
function description(schema: JsonSchema, path: Path, value: unknown): string {
  const [field] = fieldsAt(schema, path, value);
  const text = field?.description ?? 'what docs/reference/CONFIG.md says';
  return /^[A-Z][a-z ]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

function kind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isMap(value)) return 'a map';
  return typeof value === 'string' ? 'a text' : `a ${typeof value === 'boolean' ? 'yes-or-no value' : typeof value}`;
}

/** An excerpt of the file, printable and short. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX - 1)}…` : text;
}

// What changes from one config to the next, in the operator's words: services and servers that come
// or go by their names, everything else field by field as the file has it, durations as durations.
// Defaults count: a field that was left out and is written now with its default is no change. Pure.
import { formatDuration, type Ms } from '../units/duration.ts';
import { configJsonSchema, fieldsAt, type JsonSchema } from './json-schema.ts';
import { isMap } from './mistakes.ts';
import type { Path } from './rules/finding.ts';
import type { Config, ServiceConfig } from './schema.ts';

export interface ConfigChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** The field or the thing, with dots: "services.ftp.servers.ftp3". */
  readonly path: string;
  /** What becomes of it, for people. */
  readonly words: string;
}

/** In the order of the file's sections. */
export function configChanges(before: Config, after: Config): ConfigChange[] {
  const schema = configJsonSchema();
  const sections = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof Config)[];
  return sections.flatMap(section =>
    section === 'services'
      ? serviceChanges(before.services, after.services, after, schema)
      : fieldChanges([section], before[section], after[section], schema),
  );
}

type Named<T> = Readonly<Record<string, T>>;

function serviceChanges(
  before: Named<ServiceConfig>,
  after: Named<ServiceConfig>,
  config: Config,
  schema: JsonSchema,
): ConfigChange[] {
  return namesOf(before, after).flatMap(name => {
    const [was, is] = [before[name], after[name]];
    const path: Path = ['services', name];
    if (was === undefined && is !== undefined) return [added(path, serviceWords(is))];
    if (is === undefined || was === undefined) {
      return [removed(path, `takes no new clients; its connections finish, within ${drainOf(config)}`)];
    }
    const { servers: wasServers, ...wasRest } = was;
    const { servers: isServers, ...isRest } = is;
    return [
      ...fieldChanges(path, wasRest, isRest, schema),
      ...serverChanges([...path, 'servers'], wasServers, isServers, config, schema),
    ];
  });
}

function serviceWords({ vip, mark, servers }: ServiceConfig): string {
  const names = Object.keys(servers);
  return `VIP ${vip}, mark ${mark}, ${names.length === 0 ? 'no servers' : `servers ${names.join(', ')}`}`;
}

function serverChanges(
  at: Path,
  before: ServiceConfig['servers'],
  after: ServiceConfig['servers'],
  config: Config,
  schema: JsonSchema,
): ConfigChange[] {
  return namesOf(before, after).flatMap(name => {
    const [was, is] = [before[name], after[name]];
    const path: Path = [...at, name];
    if (was === undefined && is !== undefined) {
      return [added(path, `${is.address}, weight ${is.weight} once it passes its checks`)];
    }
    if (is === undefined || was === undefined) {
      const address = was === undefined ? '' : `${was.address}, `;
      return [removed(path, `${address}no new clients; its connections finish, within ${drainOf(config)}`)];
    }
    return fieldChanges(path, was, is, schema);
  });
}

const drainOf = ({ ipvs }: Config): string => `${formatDuration(ipvs.drain)} (ipvs.drain)`;

const added = (path: Path, words: string): ConfigChange => ({ kind: 'added', path: path.join('.'), words });
const removed = (path: Path, words: string): ConfigChange => ({ kind: 'removed', path: path.join('.'), words });

/**
 * Maps are compared field by field; lists, and what the code holds as an object of its own, whole.
 */
function fieldChanges(path: Path, before: unknown, after: unknown, schema: JsonSchema): ConfigChange[] {
  if (JSON.stringify(sorted(before)) === JSON.stringify(sorted(after))) return [];
  if (isFields(path, before, schema) && isFields(path, after, schema)) {
    return namesOf(before, after).flatMap(name => fieldChanges([...path, name], before[name], after[name], schema));
  }
  if (before === undefined) return [added(path, shown(path, after, schema))];
  if (after === undefined) return [removed(path, `was ${shown(path, before, schema)}`)];
  const words = `${shown(path, before, schema)} -> ${shown(path, after, schema)}`;
  return [{ kind: 'changed', path: path.join('.'), words }];
}

/** A map in the file, too: not a range, an endpoint or a schedule, which are text there. */
function isFields(path: Path, value: unknown, schema: JsonSchema): value is Record<string, unknown> {
  if (!isMap(value) || Array.isArray(value)) return false;
  return !fieldsAt(schema, path).some(({ type }) => type === 'string');
}

function shown(path: Path, value: unknown, schema: JsonSchema): string {
  if (Array.isArray(value)) return `[${value.map((item, i) => shown([...path, i], item, schema)).join(', ')}]`;
  if (typeof value === 'number') {
    const isDuration = fieldsAt(schema, path).some(({ title }) => title?.startsWith('duration') === true);
    return isDuration ? formatDuration(value as Ms) : String(value);
  }
  if (typeof value === 'string') return value;
  if (!isMap(value)) return String(value);
  const text = textOf(value);
  if (text !== undefined) return text;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{ ${fields.map(([name, field]) => `${name}: ${shown([...path, name], field, schema)}`).join(', ')} }`;
}

/** What is a text in the file and an object in the code. */
function textOf(value: Readonly<Record<string, unknown>>): string | undefined {
  const { first, last, host, port, type, everyMs, expression } = value;
  if (typeof first === 'number' && typeof last === 'number') return `${first}-${last}`;
  if (type === 'every') return formatDuration(everyMs as Ms);
  if (type === 'cron') return JSON.stringify(expression);
  const isEndpoint = Object.keys(value).length === 2 && typeof host === 'string' && typeof port === 'number';
  return isEndpoint ? `${host}:${port}` : undefined;
}

function namesOf(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])];
}

/** The order of names says nothing, that of a list does. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  );
}

// docs/reference/CONFIG.md from the schema: every field with its type, default, bounds and sentence. Pure; written by scripts/docs.
import { SECRET_FILES } from '../../../src/config/io/secrets.ts';
import { alternatives, configJsonSchema, type JsonSchema } from '../../../src/config/json-schema.ts';
import { RULES } from '../../../src/config/rules.ts';

export interface ConfigRow {
  readonly field: string;
  readonly type: string;
  readonly standard: string;
  readonly bounds: string;
  readonly meaning: string;
}

/** One map with fixed fields. */
export interface ConfigSection {
  /** Where it is; empty for the file itself. */
  readonly path: string;
  /** " (kind: tcp)", where this is one of several kinds. */
  readonly kind: string;
  readonly about: string;
  readonly rows: readonly ConfigRow[];
}

/** The reference page, in Markdown. */
export function configReference(): string {
  return [
    '# Config reference',
    '',
    'Made from src/config/schema.ts by `scripts/docs`: do not edit. One YAML file, identical on both routers; a commented',
    'example is conf/tandem.yaml, and `tandem check FILE` tells every mistake with its line. NAME stands for a name you',
    'choose. A duration is a number with its unit, `ms`, `s`, `m`, `h` or `d`: `50ms`, `2s`, `10m`.',
    '',
    ...configSections().flatMap(markdown),
    '## Rules between fields',
    '',
    '`tandem check` tests them all; an error keeps the daemons from using the file, a warning does not.',
    '',
    ...configRules().map(says => `- ${says}`),
    '',
  ].join('\n');
}

function markdown({ path, kind, about, rows }: ConfigSection): string[] {
  return [
    path === '' ? '## The file' : `## \`${path}\`${kind}`,
    '',
    about,
    '',
    '| field | type | default | bounds | meaning |',
    '|---|---|---|---|---|',
    ...rows.map(
      row => `| \`${row.field}\` | ${[row.type, row.standard, row.bounds, row.meaning].map(cell).join(' | ')} |`,
    ),
    '',
  ];
}

/** All that a config file may hold, section after section. */
export function configSections(): ConfigSection[] {
  return sectionsOf('', configJsonSchema());
}

/** Every rule in its own words, as src/config/rules/ has them. */
export function configRules(): string[] {
  return [...RULES, SECRET_FILES].map(({ says }) => says);
}

/** One section for a map with fixed fields, then those of the maps below it. */
function sectionsOf(path: string, node: JsonSchema): ConfigSection[] {
  const fields = Object.entries((node.properties ?? {}) as Record<string, JsonSchema>);
  const required = new Set(node.required);
  const rows = fields.flatMap(([name, field]) =>
    rowsOf(path === '' ? name : `${path}.${name}`, field, required.has(name)),
  );
  const below = fields.flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const maps = mapsOf(field);
    if (maps.length > 0) return kindsOf(at, maps);
    const entry = entryOf(field);
    return entry === undefined ? [] : kindsOf(`${at}.NAME`, mapsOf(entry));
  });
  return [{ path, kind: '', about: `${node.description ?? ''}.`, rows }, ...below];
}

/** Alternatives with fixed fields. */
function mapsOf(node: JsonSchema): JsonSchema[] {
  return alternatives(node).filter(option => option.properties);
}

/**
 * Kinds of maps, each told by a field of its own, as services are by `kind`: a section for each;
 * what a further kind has in common with the one before is not told again.
 */
function kindsOf(path: string, maps: readonly JsonSchema[]): ConfigSection[] {
  const kinds = maps.map(map => ({ kind: kindOf(map), sections: sectionsOf(path, map) }));
  const told = new Set<string>();
  return kinds.flatMap(({ kind, sections }) =>
    sections.flatMap(section => {
      const text = JSON.stringify(section);
      const sharing = kinds.filter(other => other.sections.some(one => JSON.stringify(one) === text));
      if (told.has(text)) return [];
      told.add(text);
      return [sharing.length === kinds.length ? section : { ...section, kind: `${section.kind}${kind}` }];
    }),
  );
}

function kindOf({ properties }: JsonSchema): string {
  const tag = Object.entries((properties ?? {}) as Record<string, JsonSchema>).find(([, { const: is }]) => is);
  return tag === undefined ? '' : ` (${tag[0]}: ${String(tag[1].const)})`;
}

function rowsOf(field: string, node: JsonSchema, required: boolean): ConfigRow[] {
  const bounds = boundsOf(node);
  const meaning = (node.description ?? '').replace(BOUNDS_IN_WORDS, '');
  const standard =
    node.default === undefined ? (required ? '**required**' : 'none') : `\`${JSON.stringify(node.default)}\``;
  const row: ConfigRow = { field, type: typeOf(node), standard, bounds, meaning };
  const entry = entryOf(node);
  if (!entry || mapsOf(entry).length > 0 || !entry.description) return [row];
  const below: ConfigRow = {
    field: `${field}.NAME`,
    type: typeOf(entry),
    standard: '**required**',
    bounds: boundsOf(entry),
    meaning: entry.description,
  };
  return [row, below];
}

/** The schema's sentences end in their bounds, for editors; the table has a column for them. */
const BOUNDS_IN_WORDS = / \(([^()]+ to [^()]+)\)$/;

function boundsOf(node: JsonSchema): string {
  const inWords = BOUNDS_IN_WORDS.exec(node.description ?? '')?.[1];
  if (inWords !== undefined) return inWords;
  if (node.maxItems !== undefined) return `${node.minItems ?? 0} to ${node.maxItems} entries`;
  if (node.maxLength !== undefined) return `${node.minLength ?? 0} to ${node.maxLength} characters`;
  return node.pattern?.includes('{0,30}') ? '1 to 31 of a-z 0-9 -' : '';
}

function typeOf(node: JsonSchema): string {
  if (node.title !== undefined) return node.title;
  const types = alternatives(node).map(option => {
    if (option.enum) return option.enum.map(value => `\`${String(value)}\``).join(', ');
    if (option.title !== undefined) return option.title;
    if (option.const !== undefined) return `\`${String(option.const)}\``;
    if (option.type === 'array') return `list of ${typeOf(option.items as JsonSchema)}`;
    const entry = entryOf(option);
    if (entry) return mapsOf(entry).length > 0 ? 'map by name' : `map by name of ${typeOf(entry)}`;
    if (option.type === 'object') return 'map';
    if (option.type === 'integer') return 'whole number';
    return option.type === 'boolean' ? '`true`, `false`' : 'text';
  });
  return [...new Set(types)].join(' or ');
}

/** What a map with free names holds under each; undefined for other nodes. */
function entryOf(node: JsonSchema): JsonSchema | undefined {
  const entry = node.additionalProperties;
  return typeof entry === 'object' ? (entry as JsonSchema) : undefined;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

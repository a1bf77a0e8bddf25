// docs/reference/CONFIG.md from the schema: every field with its type, default, bounds and sentence. Pure; written by scripts/docs.
import { SECRET_FILES } from '../../../src/config/io/secrets.ts';
import { alternatives, configJsonSchema, type JsonSchema } from '../../../src/config/json-schema.ts';
import { RULES } from '../../../src/config/rules.ts';

interface Row {
  readonly field: string;
  readonly type: string;
  readonly standard: string;
  readonly bounds: string;
  readonly meaning: string;
}

/** The reference page, in Markdown. */
export function configReference(): string {
  const root = configJsonSchema();
  const sections = sectionsOf('', root);
  return [
    '# Config reference',
    '',
    'Made from src/config/schema.ts by `scripts/docs`: do not edit. One YAML file, identical on both routers; a commented',
    'example is conf/tandem.yaml, and `tandem check FILE` tells every mistake with its line. NAME stands for a name you',
    'choose. A duration is a number with its unit, `ms`, `s`, `m`, `h` or `d`: `50ms`, `2s`, `10m`.',
    '',
    ...sections,
    ...rules(),
    '',
  ].join('\n');
}

/** One section for a map with fixed fields, then those of the maps below it. */
function sectionsOf(path: string, node: JsonSchema): string[] {
  const fields = Object.entries((node.properties ?? {}) as Record<string, JsonSchema>);
  const required = new Set(node.required);
  const rows = fields.flatMap(([name, field]) =>
    rowsOf(path === '' ? name : `${path}.${name}`, field, required.has(name)),
  );
  const own = [
    path === '' ? '## The file' : `## \`${path}\``,
    '',
    `${node.description ?? ''}.`,
    '',
    '| field | type | default | bounds | meaning |',
    '|---|---|---|---|---|',
    ...rows.map(row => `| \`${row.field}\` | ${row.type} | ${row.standard} | ${row.bounds} | ${row.meaning} |`),
    '',
  ];
  const below = fields.flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const map = alternatives(field).find(option => option.properties);
    if (map) return sectionsOf(at, map);
    const entry = entryOf(field);
    return entry?.properties ? sectionsOf(`${at}.NAME`, entry) : [];
  });
  return [...own, ...below];
}

function rowsOf(field: string, node: JsonSchema, required: boolean): Row[] {
  const bounds = boundsOf(node);
  const meaning = (node.description ?? '').replace(BOUNDS_IN_WORDS, '');
  const standard =
    node.default === undefined ? (required ? '**required**' : 'none') : `\`${JSON.stringify(node.default)}\``;
  const row: Row = { field, type: typeOf(node), standard, bounds, meaning: cell(meaning) };
  const entry = entryOf(node);
  if (!entry || entry.properties || !entry.description) return [row];
  const below: Row = {
    field: `${field}.NAME`,
    type: typeOf(entry),
    standard: '**required**',
    bounds: boundsOf(entry),
    meaning: cell(entry.description),
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
  const types = alternatives(node).map(option => {
    if (option.enum) return option.enum.map(value => `\`${String(value)}\``).join(', ');
    if (option.title !== undefined) return option.title;
    if (option.const !== undefined) return `\`${String(option.const)}\``;
    if (option.type === 'array') return `list of ${typeOf(option.items as JsonSchema)}`;
    const entry = entryOf(option);
    if (entry) return entry.properties ? 'map by name' : `map by name of ${typeOf(entry)}`;
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

/** Every rule in its own words, as src/config/rules/ has them. */
function rules(): string[] {
  return [
    '## Rules between fields',
    '',
    '`tandem check` tests them all; an error keeps the daemons from using the file, a warning does not.',
    '',
    ...[...RULES, SECRET_FILES].map(({ says }) => `- ${says}`),
  ];
}

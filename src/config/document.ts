// Reads the text of a config file: YAML with positions, then the schema, then the rules; gives the
// config or every mistake with its line and column. Pure; YAML 1.2 core schema by the `yaml`
// library.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Mistake, type SchemaMistake, schemaMistakes, show } from './mistakes.ts';
import type { Finding, FindingSeverity, Path } from './rules/finding.ts';
import { checkRules } from './rules.ts';
import { restsOn, salvage } from './salvage.ts';
import { type Config, configSchema } from './schema.ts';

type ParsedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Mistake[] }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** Rules that pure code cannot check, such as those about other files. */
export type MoreRules = (config: Config) => readonly Finding[];

/** Most mistakes that are told at once. */
export const MISTAKES_MAX = 200;
/** Aliases may not blow a small file up ("billion laughs"). */
const ALIAS_COUNT_MAX = 100;
/** Deepest nesting of brackets that is given to the YAML parser, which recurses. */
const NESTING_MAX = 64;

/**
 * The config in `text`, or all mistakes in it (errors and warnings, in the order of the file).
 * Never throws.
 */
export function parseConfig(text: string, more: MoreRules = () => []): ParsedConfig {
  const lines = new LineCounter();
  try {
    if (isTooDeep(text)) throw new RangeError(`brackets are nested more than ${NESTING_MAX} deep`);
    const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'error' });
    const told = yamlMistakes(doc, lines);
    if (doc.errors.length > 0) return { ok: false, mistakes: told };
    told.push(...nodeMistakes(doc, lines));
    if (told.some(mistake => mistake.remedy === PLAINLY)) return { ok: false, mistakes: told };
    const value: unknown = doc.toJS({ maxAliasCount: ALIAS_COUNT_MAX });
    if (value !== null && value !== undefined) return judge(doc, lines, value, told, more);
    return { ok: false, mistakes: [atTop('the file is empty', 'start from conf/tandem.yaml')] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      mistakes: [atTop(`the file is not usable: ${reason}`, 'write it plainly, as conf/tandem.yaml does')],
    };
  }
}

function atTop(problem: string, remedy: string): Mistake {
  return { severity: 'error', line: 1, column: 1, path: '', problem, remedy };
}

function judge(
  doc: Document.Parsed,
  lines: LineCounter,
  value: unknown,
  yaml: readonly Mistake[],
  more: MoreRules,
): ParsedConfig {
  const place = placer(doc, lines);
  const parsed = configSchema.safeParse(value);
  const schema = parsed.success ? [] : schemaMistakes(parsed.error.issues, value).slice(0, MISTAKES_MAX + 1);
  const hopeless = schema.length > MISTAKES_MAX;
  const kept = parsed.success ? { config: parsed.data, gone: [] } : hopeless ? undefined : salvage(value);
  const rules = kept ? [...checkRules(kept.config), ...more(kept.config)] : [];
  const findings = rules.filter(finding => !kept || !restsOn(finding, kept.gone));
  const mistakes = inOrder([
    ...yaml,
    ...schema
      .filter(mistake => !isMisspelt(mistake, schema))
      .map(mistake => place('error', mistake))
      .filter(mistake => !yaml.some(other => other.remedy === FILLED && isSamePlace(mistake, other))),
    ...findings.map(finding => place(finding.severity, { ...finding, at: 'value' })),
  ]);
  if (parsed.success && mistakes.every(mistake => mistake.severity === 'warning')) {
    return { ok: true, config: parsed.data, warnings: mistakes };
  }
  return { ok: false, mistakes };
}

/** Whether a missing field is there under a misspelt name, which is told already. */
function isMisspelt({ path, missing }: SchemaMistake, all: readonly SchemaMistake[]): boolean {
  const written = (other: SchemaMistake) => [...other.path.slice(0, -1), other.meant].join('.');
  return missing === true && all.some(other => other.meant !== undefined && written(other) === path.join('.'));
}

function isSamePlace(one: Mistake, other: Mistake): boolean {
  return one.line === other.line && one.column === other.column;
}

function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  const sorted = [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
  if (sorted.length <= MISTAKES_MAX) return sorted;
  const kept = sorted.slice(0, MISTAKES_MAX);
  const last = kept[MISTAKES_MAX - 1] as Mistake;
  const problem = 'there are more mistakes, which are not shown';
  return [...kept, { ...last, severity: 'error', path: '', problem, remedy: 'mend these first' }];
}

function yamlMistakes(doc: Document.Parsed, lines: LineCounter): Mistake[] {
  const told = (severity: FindingSeverity) => (error: { pos: [number, number]; message: string; code: string }) => {
    const { line, col } = lines.linePos(error.pos[0]);
    const problem = `YAML: ${error.message.replaceAll('\n', ' ')}`;
    const remedy = YAML_REMEDIES[error.code] ?? 'see conf/tandem.yaml for the form';
    return { severity, line: Math.max(line, 1), column: Math.max(col, 1), path: '', problem, remedy };
  };
  return [...doc.errors.map(told('error')), ...doc.warnings.map(told('warning'))].slice(0, MISTAKES_MAX);
}

const YAML_REMEDIES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with blanks',
  BAD_INDENT: 'align it with its neighbours',
  MISSING_CHAR: 'close the quotes or brackets, or write a blank after ":"',
  MULTIPLE_DOCS: 'keep one document in the file',
};

/**
 * What the YAML library lets pass: values that are still to be filled in, aliases of nothing or of
 * themselves, typed tags, keys that are not plain names, and keys written twice. It could find the
 * last (`uniqueKeys`), but compares every key with every other: minutes on a hostile file.
 */
function nodeMistakes(doc: Document.Parsed, lines: LineCounter): Mistake[] {
  const told: Mistake[] = [];
  const tell = (node: Node | null, problem: string, remedy: string): void => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0);
    if (told.length >= MISTAKES_MAX) return;
    told.push({ severity: 'error', line: Math.max(line, 1), column: Math.max(col, 1), path: '', problem, remedy });
  };
  const anchors = new Set<string>();
  visit(doc, {
    Alias: (_, alias, ancestors) => {
      const { source } = alias;
      if (!anchors.has(source)) tell(alias, `there is no "&${source}" above`, PLAINLY);
      else if (ancestors.some(node => isCollection(node) && node.anchor === source)) {
        tell(alias, `"*${source}" refers to what it is part of`, PLAINLY);
      }
    },
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.add(node.anchor);
      if (node.tag !== undefined && !PLAIN_TAGS.test(node.tag))
        tell(node, `tag ${show(node.tag)} is not for here`, PLAINLY);
      if (isMap(node)) wrongKeys(node, lines, tell);
      if (isScalar(node) && String(node.value).startsWith(FILL_IN))
        tell(node, `${show(node.value)} is still to be filled in`, FILLED);
    },
  });
  return told;
}

/** Marks mistakes after which the values cannot be relied on. */
const PLAINLY = 'write the value itself';
/** How a value begins that `tandem import` could not know; the rest of it says which it is. */
export const FILL_IN = 'FILL-IN';
const FILLED = 'write the value that it asks for';
const PLAIN_TAGS = /^tag:yaml\.org,2002:(map|seq|str|int|float|bool|null)$/;

function wrongKeys(
  map: YAMLMap,
  lines: LineCounter,
  tell: (node: Node | null, ...words: [string, string]) => void,
): void {
  const seen = new Map<string, Node>();
  for (const { key } of map.items as Pair<Node | null>[]) {
    const name = isScalar(key) ? String(key.value) : undefined;
    if (key === null || name === undefined || name === '__proto__') {
      tell(key, `a key must be a plain name, not ${name ?? 'a list, a map or an alias'}`, 'write a name');
      continue;
    }
    const first = seen.get(name);
    if (first) {
      const { line } = lines.linePos(first.range?.[0] ?? 0);
      tell(key, `key ${show(name)} is already written on line ${line}`, 'write each key once');
    } else seen.set(name, key);
  }
}

type Placer = (
  severity: FindingSeverity,
  mistake: Pick<SchemaMistake, 'path' | 'at' | 'problem' | 'remedy'>,
) => Mistake;

function placer(doc: Document.Parsed, lines: LineCounter): Placer {
  return (severity, { path, at, problem, remedy }) => {
    const { line, col } = lines.linePos(offsetOf(doc, path, at));
    return { severity, line: Math.max(line, 1), column: Math.max(col, 1), path: path.join('.'), problem, remedy };
  };
}

/** Where `path` stands in the text; what is missing stands at the key of the map that lacks it. */
function offsetOf(doc: Document.Parsed, path: Path, at: 'key' | 'value'): number {
  let node: Node | null = doc.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    const holder: Node | null = isAlias(node) ? (node.resolve(doc) ?? null) : node;
    const last = index === path.length - 1;
    if (isMap(holder)) {
      const pair: Pair | undefined = holder.items.findLast(
        item => isScalar(item.key) && String(item.key.value) === step,
      );
      if (!pair) return offset;
      const [key, value] = [pair.key as Node, pair.value as Node | null];
      const empty = isScalar(value) && value.value === null;
      offset = (last && at === 'value' && !empty ? value?.range?.[0] : undefined) ?? key.range?.[0] ?? offset;
      node = value;
    } else if (isSeq(holder) && typeof step === 'number') {
      node = (holder.items[step] as Node | undefined) ?? null;
      offset = node?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

/**
 * A cheap upper bound of flow nesting: brackets in texts and comments count too, which no real
 * config comes near.
 */
function isTooDeep(text: string): boolean {
  let depth = 0;
  // Comments nest nothing: those of an import quote lines that open a block.
  for (const character of text.replace(/(^|[\n\r])[ \t]*#[^\n\r]*/g, '$1')) {
    if (character === '[' || character === '{') depth++;
    else if ((character === ']' || character === '}') && depth > 0) depth--;
    if (depth > NESTING_MAX) return true;
  }
  return false;
}

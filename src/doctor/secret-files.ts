// Which secret files a config names, whatever is wrong with it: by the nodes of its YAML, since of
// two equal keys only the last is a value, and by its text where it is no YAML. Pure.
import { type Document, isPair, isScalar, isSeq, type Node, type Pair, visit } from 'yaml';
import { configJsonSchema, fieldsAt } from '../config/json-schema.ts';

/** Each is read; a pair has a few. */
const FILES_MAX = 4_096;
/** Every field that names a secret file ends so. */
const FIELD = /(?:^|_)(?:password|key|send|url|header)_file$/;

/** Those that a config means without a word. */
export function defaultSecretFiles(): string[] {
  return fieldsAt(configJsonSchema(), ['heartbeat', 'key_file'], {})
    .map(field => field.default)
    .filter(file => typeof file === 'string');
}

export function secretFilesOf(document: Document): string[] {
  const found = new Set<string>();
  visit(document, {
    Pair(_, { key, value }) {
      const named =
        isScalar(key) && FIELD.test(String(key.value)) ? scalarOf(value as Node | null, document) : undefined;
      if (named !== undefined) found.add(named);
    },
  });
  return [...found].slice(0, FILES_MAX);
}

function scalarOf(node: Node | null, document: Document): string | undefined {
  const target = node !== null && 'resolve' in node ? node.resolve(document) : node;
  return isScalar(target) && typeof target.value === 'string' ? target.value : undefined;
}

/** What may be meant: a path in quotes, up to a blank or bracket, or to the end of the line. */
export function secretFilesInText(text: string): string[] {
  const found = new Set<string>();
  for (const [, rest = ''] of text.matchAll(/(?:password|key|send|url|header)_file["']?\s*:\s*([^\r\n]{1,4096})/g)) {
    for (const form of [/^"([^"]*)"/, /^'([^']*)'/, /^([^\s,}\]]+)/, /^(.*?)\s*(?:[,}\]].*|\s#.*)?$/]) {
      const file = form.exec(rest)?.[1];
      if (file) found.add(file);
    }
  }
  return [...found].slice(0, FILES_MAX);
}

/** A value that a later one with the same key hides. */
interface Hidden {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** In the document's order; a hidden value in a hidden one, too. */
export function hiddenValues(document: Document): Hidden[] {
  const found: Hidden[] = [];
  visit(document, {
    Map(_, { items }, ancestors) {
      const last = new Map(items.map((pair, index) => [keyOf(pair), index]));
      if (last.size === items.length) return;
      const at = pathOf(ancestors as readonly unknown[]);
      items.forEach((pair, index) => {
        const key = keyOf(pair);
        if (last.get(key) === index) return;
        const node = pair.value as Node | null;
        found.push({ path: [...at, key], value: node?.toJS(document, { maxAliasCount: 100 }) });
      });
    },
  });
  return found;
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : String(key);
}

/** Maps stand in pairs; a place in a list is any place in it. */
function pathOf(ancestors: readonly unknown[]): (string | number)[] {
  return ancestors.flatMap((node): (string | number)[] => {
    if (isPair(node)) return [keyOf(node)];
    return isSeq(node) ? [0] : [];
  });
}

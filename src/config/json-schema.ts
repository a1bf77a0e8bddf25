// The config schema as a JSON Schema document, for editors, for the reference page and for the
// remedies in mistakes. Pure.
import { z } from 'zod';
import type { Path } from './rules/finding.ts';
import { configSchema } from './schema.ts';

/** One node of a JSON Schema document (draft 2020-12). */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** docs/reference/config.schema.json: what a config file may hold, with defaults and bounds. */
export function configJsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      // zod leaves out empty defaults ([] and {}), which are defaults like any other to the reader.
      const { def } = zodSchema._zod;
      if (def.type === 'default') jsonSchema.default = (def as z.core.$ZodDefaultDef).defaultValue;
    },
  }) as JsonSchema;
}

/**
 * The schema nodes that describe the field at `path` of the file `value`: several where the schema
 * allows alternatives, none if unknown.
 */
export function fieldsAt(root: JsonSchema, path: Path, value?: unknown): JsonSchema[] {
  let nodes = [root];
  let at = value;
  for (const step of path) {
    nodes = nodes
      .flatMap(node => meant(node, at))
      .flatMap(node => {
        const next = typeof step === 'number' ? node.items : (node.properties?.[step] ?? node.additionalProperties);
        return typeof next === 'object' && !Array.isArray(next) ? [next as JsonSchema] : [];
      });
    at = fieldOf(at, step);
  }
  return nodes;
}

/** A node itself, or each of its alternatives. */
export function alternatives(node: JsonSchema): JsonSchema[] {
  return ((node.anyOf ?? node.oneOf) as JsonSchema[] | undefined) ?? [node];
}

/** The same, of kinds of maps only the one that `value` is of; all where it is of none. */
function meant(node: JsonSchema, value: unknown): JsonSchema[] {
  const all = alternatives(node);
  if (node.oneOf === undefined) return all;
  const isOf = (option: JsonSchema) => {
    const tags = Object.entries((option.properties ?? {}) as Record<string, JsonSchema>);
    return tags.every(([name, tag]) => tag.const === undefined || tag.const === (fieldOf(value, name) ?? tag.default));
  };
  const found = all.filter(isOf);
  return found.length > 0 ? found : all;
}

function fieldOf(value: unknown, name: string | number): unknown {
  const isMap = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isMap ? (value as Record<string | number, unknown>)[name] : undefined;
}

/**
 * The keys the schema knows at `path` of `value`, in its order; empty for a map with free names.
 */
export function keysAt(root: JsonSchema, path: Path, value?: unknown): string[] {
  const at = path.reduce(fieldOf, value);
  return fieldsAt(root, path, value)
    .flatMap(node => meant(node, at))
    .flatMap(node => [...Object.keys(node.properties ?? {}), ...namesOf(node)]);
}

/** Of a map whose names are given, all of them optional. */
function namesOf({ propertyNames: names }: JsonSchema): string[] {
  return typeof names === 'object' ? (names.enum ?? []).map(String) : [];
}

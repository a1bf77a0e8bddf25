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
 * The schema nodes that describe the field at `path`: several where the schema allows alternatives,
 * none if unknown.
 */
export function fieldsAt(root: JsonSchema, path: Path): JsonSchema[] {
  let nodes = [root];
  for (const step of path) {
    nodes = nodes.flatMap(alternatives).flatMap(node => {
      const next = typeof step === 'number' ? node.items : (node.properties?.[step] ?? node.additionalProperties);
      return typeof next === 'object' && !Array.isArray(next) ? [next as JsonSchema] : [];
    });
  }
  return nodes;
}

/** A node itself, or each of its alternatives. */
export function alternatives(node: JsonSchema): JsonSchema[] {
  return (node.anyOf as JsonSchema[] | undefined) ?? [node];
}

/** The keys the schema knows at `path`, in its order; empty for a map with free names. */
export function keysAt(root: JsonSchema, path: Path): string[] {
  return fieldsAt(root, path)
    .flatMap(alternatives)
    .flatMap(node => Object.keys(node.properties ?? {}));
}

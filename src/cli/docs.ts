// The generated pages of docs/, by path. Pure; written and compared by io/docs.ts.
import { configJsonSchema } from '../config/json-schema.ts';
import { configReference } from '../config/reference.ts';
import { EVENTS } from '../log/catalogue.ts';
import { eventReference } from '../log/reference.ts';
import { statusJsonSchema } from '../status/json-schema.ts';

/** Path in the repository → text. */
export function generatedPages(): Readonly<Record<string, string>> {
  return {
    'docs/reference/config.schema.json': json(configJsonSchema()),
    'docs/reference/CONFIG.md': configReference(),
    'docs/reference/status.schema.json': json(statusJsonSchema()),
    'docs/reference/EVENTS.md': eventReference(EVENTS),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

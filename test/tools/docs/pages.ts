// The generated pages of docs/, by path. Pure; written and compared by main.ts.
import { configJsonSchema } from '../../../src/config/json-schema.ts';
import { EVENTS } from '../../../src/log/catalogue.ts';
import { configReference } from './config-page.ts';
import { eventReference } from './events-page.ts';
import { sessionsJsonSchema } from './sessions-schema.ts';
import { statusJsonSchema } from './status-schema.ts';

/** Path in the repository → text. */
export function generatedPages(): Readonly<Record<string, string>> {
  return {
    'docs/reference/config.schema.json': json(configJsonSchema()),
    'docs/reference/CONFIG.md': configReference(),
    'docs/reference/status.schema.json': json(statusJsonSchema()),
    'docs/reference/sessions.schema.json': json(sessionsJsonSchema()),
    'docs/reference/EVENTS.md': eventReference(EVENTS),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

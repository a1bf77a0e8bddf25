// docs/reference/sessions.schema.json: the published schema of `tandem sessions --json`. Pure; written by scripts/docs.
import { z } from 'zod';
import { sessionsReportSchema } from '../../../src/status/sessions-report.ts';

/** JSON Schema (draft 2020-12) of the report of sessions. */
export function sessionsJsonSchema(): z.core.JSONSchema.BaseSchema {
  return {
    title: 'Tandem sessions',
    description: 'What `tandem sessions --json` prints',
    ...z.toJSONSchema(sessionsReportSchema, { io: 'output' }),
  };
}

// docs/reference/status.schema.json: the published schema of GET /status. Pure; written by scripts/docs.
import { z } from 'zod';
import { statusReportSchema } from '../../../src/status/status-report.ts';

/** JSON Schema (draft 2020-12) of the status report. */
export function statusJsonSchema(): z.core.JSONSchema.BaseSchema {
  return {
    title: 'Tandem status report',
    description: 'What GET /status on /run/tandem/status.sock answers, and `tandem status --json` prints',
    ...z.toJSONSchema(statusReportSchema, { io: 'output' }),
  };
}

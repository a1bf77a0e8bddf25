// Every event that Tandem logs: stable code, severity, sentence, fields, remedy.
// docs/reference/EVENTS.md is generated from it (scripts/docs). Codes never change their meaning;
// alerts are built on them. Pure.
import { CONFIG_EVENTS } from './events/config-events.ts';
import { DIRECTOR_EVENTS } from './events/director-events.ts';
import { HOOK_EVENTS } from './events/hook-events.ts';
import { LOG_EVENTS } from './events/log-events.ts';
import { NANNY_EVENTS } from './events/nanny-events.ts';
import { PULSE_EVENTS } from './events/pulse-events.ts';
import { RUNNER_EVENTS } from './events/runner-events.ts';
import { SYNC_EVENTS } from './events/sync-events.ts';

export const EVENTS = {
  ...CONFIG_EVENTS,
  ...DIRECTOR_EVENTS,
  ...HOOK_EVENTS,
  ...LOG_EVENTS,
  ...NANNY_EVENTS,
  ...PULSE_EVENTS,
  ...RUNNER_EVENTS,
  ...SYNC_EVENTS,
} as const;
export type EventCode = keyof typeof EVENTS;

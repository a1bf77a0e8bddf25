// Events of the pulse side. Pure.
import type { EventEntry } from '../event.ts';

export const PULSE_EVENTS = {} as const satisfies Record<string, EventEntry>;

// Events of the director side. Pure.
import type { EventEntry } from '../event.ts';

export const DIRECTOR_EVENTS = {} as const satisfies Record<string, EventEntry>;

// Events of the config side. Pure.
import type { EventEntry } from '../event.ts';

export const CONFIG_EVENTS = {} as const satisfies Record<string, EventEntry>;

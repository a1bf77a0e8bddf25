// Events of the nanny side. Pure.
import type { EventEntry } from '../event.ts';

export const NANNY_EVENTS = {} as const satisfies Record<string, EventEntry>;

// What vipd last complained of, for people: refusals and errors stay in the status for a minute,
// since a claim that the kernel refuses is over in milliseconds and looks like a quiet standby
// afterwards. Pure.
import type { Fields } from '../log/event.ts';
import { type At, between } from '../units/duration.ts';
import { TOLD_MS } from './timing.ts';

export interface VipdTrouble {
  readonly text: string;
  readonly at: At;
}

/** The trouble that an event tells of; undefined when it is another kind. */
export function troubleIn(code: string, fields: Fields): string | undefined {
  switch (code) {
    case 'VIPD_REFUSED':
      return `vipd refused to hold the addresses: ${String(fields.reason)}`;
    case 'VIPD_ERROR':
      return `vipd: ${String(fields.text)}`;
    default:
      return undefined;
  }
}

/** What is still to be told at `now`. */
export function troubleAt(trouble: VipdTrouble | undefined, now: At): string | null {
  return trouble !== undefined && between(trouble.at, now) <= TOLD_MS ? trouble.text : null;
}

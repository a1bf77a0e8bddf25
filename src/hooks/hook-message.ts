// What a hook is told of an event: one JSON object, the same for programs, pages and mail. Bounded
// in bytes whatever an event says. Pure.
import { DEDUP_LENGTH_MAX } from '../config/hook-word.ts';
import { EVENTS, type EventCode } from '../log/catalogue.ts';
import type { EventEntry, Fields, FieldValue, Severity } from '../log/event.ts';
import { pairKeyOf } from './pair-wide.ts';

/** An event as it happened on this router, in either daemon. */
export interface Happened {
  /** Wall time, ISO 8601. */
  readonly at: string;
  readonly process: string;
  readonly code: EventCode;
  readonly fields: Fields;
}

/** The JSON. Fields may be added to it, and none changes its meaning. */
export interface HookMessage {
  readonly schema: 'tandem-event/1';
  /** Of this message: the same in each further try. */
  readonly id: string;
  readonly time: string;
  readonly pair: string;
  /** The router that sends it. */
  readonly node: string;
  readonly process: string;
  readonly code: string;
  readonly severity: Severity;
  /** The same on both routers where both may notice the thing (`pairWide`). */
  readonly dedup: string;
  readonly pairWide: boolean;
  /** One line for people. */
  readonly text: string;
  /** What has happened, as docs/reference/EVENTS.md says it. */
  readonly message: string;
  /** What to do; null: nothing. */
  readonly remedy: string | null;
  /** Codes of events whose conditions it ends. */
  readonly ends: readonly string[];
  readonly fields: Fields;
}

/** Of the JSON, in bytes. */
export const HOOK_MESSAGE_BYTES_MAX = 16_384;
const TEXT_LENGTH_MAX = 500;
/** What a field is cut to where the whole is too long. */
const SHORT = 200;

interface Origin {
  readonly id: string;
  readonly pair: string;
  readonly node: string;
}

export function messageOf({ at, process, code, fields }: Happened, { id, pair, node }: Origin): HookMessage {
  const about: EventEntry = EVENTS[code];
  const pairKey = pairKeyOf(code, about, fields);
  const message: HookMessage = {
    schema: 'tandem-event/1',
    ...{ id, time: at, pair, node, process, code, severity: about.severity },
    dedup: [pair, ...(pairKey.isPairWide ? [] : [node]), pairKey.key].join('/').slice(0, DEDUP_LENGTH_MAX),
    pairWide: pairKey.isPairWide,
    text: `${node}: ${[code, ...shownFields(fields)].join(' ')}: ${about.says}`.slice(0, TEXT_LENGTH_MAX),
    message: about.says,
    remedy: about.remedy ?? null,
    ends: endedBy(code),
    fields,
  };
  if (isShort(message)) return message;
  const shorter = Object.entries(fields).map(([name, value]) => [name, cut(value)]);
  const cutMessage = { ...message, fields: Object.fromEntries(shorter) };
  return isShort(cutMessage) ? cutMessage : { ...message, fields: {} };
}

function isShort(message: HookMessage): boolean {
  return Buffer.byteLength(JSON.stringify(message)) <= HOOK_MESSAGE_BYTES_MAX;
}

function cut(value: FieldValue): FieldValue {
  return typeof value === 'string' && value.length > SHORT ? `${value.slice(0, SHORT)}…` : value;
}

/** Without measures, which the JSON has: text that names the thing. */
function shownFields(fields: Fields): string[] {
  return Object.entries(fields)
    .filter(([name, value]) => typeof value === 'string' && value !== '' && name !== 'output')
    .map(([name, value]) => `${name}=${/\s/.test(String(value)) ? JSON.stringify(value) : value}`);
}

/** Codes of the conditions that this one ends. */
export function endedBy(code: string): string[] {
  return Object.entries(EVENTS as Record<string, EventEntry>)
    .filter(([, entry]) => entry.endedBy === code)
    .map(([begins]) => begins);
}

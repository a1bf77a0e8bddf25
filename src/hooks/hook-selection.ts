// Which hook wants which event. Pure.
import { fitsEvent, fitsText, isForHooks, readEventPattern } from '../config/event-pattern.ts';
import type { HookConfig } from '../config/hook-schema.ts';
import { EVENTS } from '../log/catalogue.ts';
import { type EventEntry, type Fields, SEVERITIES } from '../log/event.ts';
import { endedBy } from './hook-message.ts';
import { isRoleStep } from './pair-wide.ts';

type Wishes = Pick<HookConfig, 'events' | 'severity' | 'except' | 'ends' | 'once_per_pair'>;

export function wants(hook: Wishes, code: string, fields: Fields): boolean {
  // A sum of repetitions is about the event that it sums up.
  if (!isForHooks(code) || !isForHooks(String(fields.repeated ?? ''))) return false;
  if (hook.except.some(text => fitsEvent(readEventPattern(text), code, fields))) return false;
  // The steps of a change of roles are told to those that ask for one.
  if (hook.once_per_pair && isRoleStep(code, fields))
    return hook.events.some(text => text.includes(' ') && fitsEvent(readEventPattern(text), code, fields));
  if (isSevere(hook, code) || hook.events.some(text => fitsEvent(readEventPattern(text), code, fields))) return true;
  return hook.ends && endedBy(code).some(begins => wantsBegin(hook, begins, fields));
}

function isSevere({ severity }: Wishes, code: string): boolean {
  const entry = (EVENTS as Record<string, EventEntry>)[code];
  if (severity === undefined || entry === undefined) return false;
  return SEVERITIES.indexOf(entry.severity) <= SEVERITIES.indexOf(severity);
}

/** Whether the begin is wanted, as far as the fields of its end tell. */
function wantsBegin(hook: Wishes, begins: string, endFields: Fields): boolean {
  if (!isForHooks(begins)) return false;
  if (isSevere(hook, begins)) return true;
  return hook.events.some(text => {
    const { code, fields } = readEventPattern(text);
    const known = fields.filter(([name]) => Object.hasOwn(endFields, name));
    return fitsText(code, begins) && fitsEvent({ code: '*', fields: known }, begins, endFields);
  });
}

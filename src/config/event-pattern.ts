// Which events a hook wants: a code, with * for any part of it, and fields that an event must have,
// such as "SERVER_*" or "ROLE_CHANGED to=active". Pure.
import type { Fields } from '../log/event.ts';

interface EventPattern {
  readonly code: string;
  /** Each must be there with such a value. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** How one is written. */
export const EVENT_PATTERN = /^[A-Z*][A-Z0-9_*]*(?: [A-Za-z][A-Za-z0-9]*=[^\s=]+){0,8}$/;

export function readEventPattern(text: string): EventPattern {
  const [code = '', ...fields] = text.split(' ');
  return { code, fields: fields.map(field => splitAt(field, field.indexOf('='))) };
}

function splitAt(text: string, at: number): readonly [string, string] {
  return [text.slice(0, at), text.slice(at + 1)];
}

export function fitsEvent({ code: wanted, fields: asked }: EventPattern, code: string, fields: Fields): boolean {
  return (
    fitsText(wanted, code) &&
    asked.every(([name, value]) => Object.hasOwn(fields, name) && fitsText(value, String(fields[name])))
  );
}

/** `wanted` with * for any text. In one pass: what is compared may be long and a stranger's. */
export function fitsText(wanted: string, text: string): boolean {
  const [first = '', ...rest] = wanted.split('*');
  if (rest.length === 0) return wanted === text;
  const last = rest.pop() as string;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

/**
 * Whether hooks are ever told of it. What they do themselves must not have them do more, and what
 * the runner says does not reach the director.
 */
export function isForHooks(code: string): boolean {
  return !/^(?:HOOK|RUNNER)_/.test(code);
}

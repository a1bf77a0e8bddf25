// Makes the one JSON line of an event: fixed fields first, every value bounded, never more than a
// fixed length; the priority prefix is sd-daemon(3). Pure.
import { type EventEntry, type Fields, type FieldValue, SEVERITIES, type Severity } from './event.ts';

const TEXT_LENGTH_MAX = 1_000;
const FIELDS_MAX = 32;
/** Longest line, in UTF-16 units; journald's own default limit is 48 KiB. */
const LINE_LENGTH_MAX = 16_384;
const RESERVED: ReadonlySet<string> = new Set(['ts', 'severity', 'code', 'process', 'node', 'says', 'remedy', 'level']);

/** A line before it is text. */
export interface LogEntry {
  /** Wall time, ISO 8601. */
  readonly ts: string;
  readonly severity: Severity;
  readonly code: string;
  readonly process: string;
  readonly node: string | null;
  readonly says: string;
  readonly remedy: string | undefined;
  readonly fields: Fields;
}

/** `<N>` as journald reads it: the syslog severity number. */
function priorityPrefix(severity: Severity): string {
  return `<${SEVERITIES.indexOf(severity)}>`;
}

/** The entry as one line with its line feed. */
export function formatLine(entry: LogEntry, prefixed: boolean): string {
  const { fields, ...base } = entry;
  const prefix = prefixed ? priorityPrefix(entry.severity) : '';
  const line = JSON.stringify({ ...base, ...boundedFields(fields, entry.node) });
  if (line.length <= LINE_LENGTH_MAX) return `${prefix}${line}\n`;
  return `${prefix}${JSON.stringify({ ...base, truncated: true })}\n`;
}

/** The entry of a catalogue code. */
export function entryOf(
  code: string,
  about: EventEntry,
  fields: Fields,
  origin: { readonly ts: string; readonly process: string; readonly node: string | null },
): LogEntry {
  const { ts, process, node } = origin;
  return { ts, severity: about.severity, code, process, node, says: about.says, remedy: about.remedy, fields };
}

/**
 * Fields that carry the name of a fixed one get an underscore; an event's own `node` that says the
 * same is left out.
 */
function boundedFields(fields: Fields, node: string | null): Record<string, FieldValue> {
  const bounded: Record<string, FieldValue> = {};
  for (const [name, value] of Object.entries(fields).slice(0, FIELDS_MAX)) {
    if (name === 'node' && value === node) continue;
    bounded[RESERVED.has(name) ? `${name}_` : name] = boundedValue(value);
  }
  return bounded;
}

function boundedValue(value: FieldValue): FieldValue {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'string' || value.length <= TEXT_LENGTH_MAX) return value;
  return `${value.slice(0, TEXT_LENGTH_MAX)}…`;
}

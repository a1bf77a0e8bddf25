// What an entry of the event catalogue looks like. Pure.

/** syslog severities, RFC 5424 section 6.2.1. */
export const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface EventEntry {
  readonly severity: Severity;
  /** One sentence: what happened. */
  readonly says: string;
  /** What the operator should do; absent when nothing. */
  readonly remedy?: string;
  /** Field name → what it holds, with its unit. */
  readonly fields: Readonly<Record<string, string>>;
  /** The code of the event that ends this condition, when it has an end. */
  readonly endedBy?: string;
  /**
   * Names of the fields that tell repetitions apart, for rate-limiting; absent: rate.ts goes by the
   * usual names.
   */
  readonly identity?: readonly string[];
}

export type FieldValue = string | number | boolean | null;
export type Fields = Readonly<Record<string, FieldValue>>;

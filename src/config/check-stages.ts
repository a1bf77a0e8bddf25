// The stages of a check of a real server, for the config and whoever checks. Pure.
import type { Ms } from '../units/duration.ts';

/**
 * Of an FTP check, in order; explicit TLS comes after the greeting, and `upload` begins the last
 * ones anew.
 */
const FTP_STAGES = [
  ...(['connect', 'tls', 'greeting', 'login', 'directory', 'passive', 'active'] as const),
  ...(['data-connect', 'transfer', 'complete', 'upload'] as const),
] as const;

/** Of a check of another service: `answer` is to what was sent, `body` is HTTP's, `echo` ICMP's. */
const PLAIN_STAGES = ['connect', 'tls', 'greeting', 'answer', 'body', 'echo'] as const;

/** `script`: check.script, after all others, of any service. */
export const STAGES = [...FTP_STAGES, 'answer', 'body', 'echo', 'script'] as const;
export type Stage = (typeof STAGES)[number];

/** What a time limit may be for: one stage, or the whole check of one port. */
export const FTP_TIMED = ['whole', ...FTP_STAGES] as const;
export const PLAIN_TIMED = ['whole', ...PLAIN_STAGES] as const;
export type Timed = 'whole' | Stage;
export type TimeLimits = Readonly<Partial<Record<Timed, Ms>>>;

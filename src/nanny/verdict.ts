// What a nanny says of a real server: shared by the nannies, the director and the status report.
// Pure.

/** Stages of a check, in order. */
export const STAGES = ['connect', 'greeting', 'login', 'passive', 'data-connect', 'transfer', 'complete'] as const;
export type Stage = (typeof STAGES)[number];

/**
 * What a failed check says of the server's life. `speaks`: it greeted, or hung up in order: it may
 * be busy, its sessions may live. `silent`: it took the connection and said nothing so far. `none`:
 * refused, no answer, reset, or not an FTP server.
 */
export type Life = 'speaks' | 'silent' | 'none';

/** One finished check. */
export type CheckResult =
  | { readonly ok: true; readonly tookMs: number; readonly bytes: number }
  | {
      readonly ok: false;
      readonly tookMs: number;
      readonly stage: Stage;
      readonly life: Life;
      /**
       * What went wrong, one sentence, e.g. "PASV announces 198.51.100.11, not the VIP
       * 192.0.2.100".
       */
      readonly problem: string;
      /**
       * The server's own last words (one line, printable, at most 200 characters); empty when it
       * said nothing.
       */
      readonly words: string;
    };

/** State of a server after rise and fall counts, and what that means for its clients. */
export interface Verdict {
  readonly service: string;
  readonly server: string;
  readonly state: 'unknown' | 'up' | 'down';
  /** Down, it still answers (see {@link Life}): no new clients, but those it has stay. */
  readonly alive: boolean;
  /** All servers of the service fail alike: this one keeps its weight, as if it were up. */
  readonly kept: boolean;
  readonly last: CheckResult | undefined;
  /** Wall time of the last check, ISO 8601. */
  readonly checkedAt: string | undefined;
}

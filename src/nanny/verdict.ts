// What a nanny says of a real server: shared by the nannies, the director and the status report.
// Pure.

import type { Stage } from '../config/check-stages.ts';

/**
 * What a failed check says of the server's life. `speaks`: it greeted or began to, or hung up in
 * order: it may be busy, its sessions may live. `silent`: it took the connection and said nothing
 * so far. `none`: refused, no answer, reset, or not an FTP server.
 */
export type Life = 'speaks' | 'silent' | 'none';

/** A sorry server's name in what is said of it; no name in the config has a `_`. */
export const SORRY = 'sorry_server';

/** Stands for a server's name in what is said of a service as a whole, checked through its VIP. */
export const PATH = 'vip_path';

/** The name of what is said of the VIP on one server, checked by way of that server. */
export function wayName(server: string): string {
  return `${server}_vip`;
}

/** What a check noted of the server's certificate. */
export interface Certificate {
  /** ISO 8601; empty when it cannot be read. */
  readonly validUntil: string;
  /** Negative once it has expired. */
  readonly daysLeft: number;
}

/**
 * How long each stage took that was begun, in whole ms; all together about the whole check. With
 * several control ports the longest of each.
 */
export type StageTimes = Readonly<Partial<Record<Stage, number>>>;

/** What every finished check has found out. */
interface Found {
  readonly tookMs: number;
  readonly stagesMs?: StageTimes;
  /** Absent: no TLS, or the check did not come to it. */
  readonly certificate?: Certificate | undefined;
}

interface Passed extends Found {
  readonly ok: true;
  /** Of the listing or the file. */
  readonly bytes: number;
}

export interface Failure extends Found {
  readonly ok: false;
  readonly stage: Stage;
  readonly life: Life;
  /**
   * It serves, but not as it must behind a VIP: what PASV announces, which ports it uses, what
   * certificate it has. `problem` says what to set.
   */
  readonly misconfigured?: boolean;
  /**
   * What went wrong, one sentence, e.g. "PASV announces 198.51.100.11, not 192.0.2.100".
   */
  readonly problem: string;
  /**
   * The server's own last words (one line, printable, at most 200 characters); empty when it said
   * nothing.
   */
  readonly words: string;
}

/** One finished check. */
export type CheckResult = Passed | Failure;

/** What lasts and is no verdict (conditions.ts). */
export interface Conditions {
  /** The certificate has not long to go. */
  readonly expiring: boolean;
  /** Checks take longer than check.slow_warn. */
  readonly slow: boolean;
}

/** State of a server after rise and fall counts, and what that means for its clients. */
export interface Verdict {
  readonly service: string;
  readonly server: string;
  /**
   * `misconfigured`: it serves, but not as it must behind a VIP, so that clients fail half-way (see
   * {@link Failure.misconfigured}). What its clients have goes on, as with one that is down and
   * alive.
   */
  readonly state: 'unknown' | 'up' | 'misconfigured' | 'down';
  /** Not up, it still answers (see {@link Life}): no new clients, but those it has stay. */
  readonly alive: boolean;
  /** All servers of the service fail alike: this one keeps its weight, as if it were up. */
  readonly kept: boolean;
  readonly last: CheckResult | undefined;
  readonly conditions: Conditions;
  /** Wall time of the last check, ISO 8601. */
  readonly checkedAt: string | undefined;
}

/** Enough checks have failed: it gets no new clients. */
export function isCondemned({ state }: Pick<Verdict, 'state'>): boolean {
  return state === 'down' || state === 'misconfigured';
}

// What a block of failovers in the lab leaves behind, for the judge: JSON. Pure. Times are wall times of the lab in ms unless a name
// says otherwise.
import type { TransferKind, TransferMode } from '../lab/ftp/ftp-client.ts';
import type { Router } from '../lab/pair/topology.ts';

/** `power`: nothing runs and nothing gets out any more; `killed`: every process, the kernel lives on; `handover`: by command. */
export const SOAK_FAULTS = ['power', 'killed', 'handover'] as const;
export type SoakFault = (typeof SOAK_FAULTS)[number];

export interface SoakTransfer {
  readonly kind: TransferKind;
  readonly mode: TransferMode;
  readonly server: string | null;
  readonly startedAt: number;
  /** When its first byte passed; null when none did. */
  readonly firstByteAt: number | null;
  readonly bytesBefore: number;
  readonly bytesInAll: number;
  /** First byte at or after the moment the taker held the VIP; null when none came. */
  readonly resumedAt: number | null;
  readonly stallMs: number;
  readonly whole: boolean;
  readonly error?: string;
}

export interface SoakSession {
  /** Mode and address of the client. */
  readonly who: string;
  readonly loggedInAt: number;
  /** What is wrong with it now; undefined: logged in still, on its server, and a file passes. */
  readonly mistake?: string;
}

export interface SoakFailover {
  readonly number: number;
  readonly fault: SoakFault;
  readonly at: number;
  readonly lost: Router;
  readonly taker: Router;
  /** When the taker decided, and when it held the VIP. */
  readonly decidedAt: number | null;
  readonly claimedAt: number | null;
  readonly transfers: readonly SoakTransfer[];
  readonly sessions: readonly SoakSession[];
}

export interface SoakBlock {
  readonly seed: number;
  readonly failovers: readonly SoakFailover[];
  readonly virtualMs: number;
  /** Why the block ended early. */
  readonly error?: string;
}

/** A line of a daemon's log. */
export interface SoakLogLine {
  readonly at: number;
  readonly code: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The lines of a log of JSON lines; others are left out. */
export function parseSoakLog(text: string): SoakLogLine[] {
  return text.split('\n').flatMap(line => {
    try {
      const fields = JSON.parse(line) as Record<string, unknown>;
      const at = Date.parse(String(fields.ts));
      return typeof fields.code === 'string' && Number.isFinite(at) ? [{ at, code: fields.code, fields }] : [];
    } catch {
      return [];
    }
  });
}

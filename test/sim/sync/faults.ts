// Which faults a history has, and what breaks something on purpose, to show that the invariants
// notice.

import type { SyncEffect } from '../../../src/sync/stream/effect.ts';
import type { Entry } from '../../../src/sync/table/entry.ts';

export interface Faults {
  readonly linkCuts?: boolean;
  readonly congestion?: boolean;
  readonly restarts?: boolean;
  readonly failovers?: boolean;
  readonly powerLoss?: boolean;
  readonly losses?: boolean;
  readonly drops?: boolean;
  readonly hostile?: boolean;
}

export const ALL_FAULTS: Faults = {
  linkCuts: true,
  congestion: true,
  restarts: true,
  failovers: true,
  powerLoss: true,
  losses: true,
  drops: true,
  hostile: true,
};

export interface Sabotage {
  /** Entries that the kernel takes of an injection; those it loses are not counted. */
  readonly losesInSilence: (entries: readonly Entry[]) => readonly Entry[];
  /** How long every injection takes. */
  readonly injectionMs: number;
  /** Stands between machine and loop. */
  readonly effects: (router: number, effects: SyncEffect[]) => SyncEffect[];
}

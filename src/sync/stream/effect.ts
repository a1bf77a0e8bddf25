// What goes into the sync machine (sync-machine.ts) and what comes out of it: all that the loop
// around it has to know. Pure (types).
import type { HookWord } from '../../config/hook-word.ts';
import type { ReloadWord } from '../../config/reload-word.ts';
import type { DrainWord } from '../../drain/drain-word.ts';
import type { SYNC_MACHINE_COUNTERS } from '../../log/counters.ts';
import type { SYNC_EVENTS } from '../../log/events/sync-events.ts';
import type { CheckWord } from '../../nanny/check-word.ts';
import type { SyncRole } from '../../status/sync-status.ts';
import type { Address } from '../../units/address.ts';
import type { Epoch } from '../../units/epoch.ts';
import type { Entry, ServerEntryCounts } from '../table/entry.ts';
import type { Scope } from '../table/scope.ts';

export type SyncInput =
  /**
   * From pulse's feed, on every change and at the start. `peerServing`: the peer is heard and owns
   * the VIPs (as a sink we then expect to hear of its director too).
   */
  | { readonly type: 'role'; readonly role: SyncRole; readonly epoch: Epoch; readonly peerServing: boolean }
  /** The config's services, at the start (before anything else) and after every reload. */
  | { readonly type: 'scope'; readonly scope: Scope }
  /** SyncKernelListener.entries(): only those in scope. */
  | { readonly type: 'entries'; readonly entries: readonly Entry[] }
  /** SyncKernelListener.lost(). */
  | { readonly type: 'lost'; readonly what: string }
  /** PeerLinksListener. `saysTakes`: the other end knows `takes`; absent: it does not. */
  | { readonly type: 'link-up'; readonly link: number; readonly saysTakes?: boolean }
  | { readonly type: 'link-down'; readonly link: number; readonly why: string }
  | { readonly type: 'frame'; readonly link: number; readonly frame: Buffer }
  /**
   * PeerLinks.send() said false for the `send` effect with this ticket. To be told at once, before
   * the next input.
   */
  | { readonly type: 'refused'; readonly ticket: number }
  /**
   * SyncKernel.inject() is done with the `inject` effect `id`; when it rejected: `dropped` = its
   * number of entries.
   */
  | { readonly type: 'injected'; readonly id: number; readonly dropped: number }
  /**
   * Answer to `read-table`: SyncKernel.readTable() and, if asked for, readActiveData(). null: it
   * could not be read.
   */
  | {
      readonly type: 'table';
      readonly id: number;
      readonly entries: readonly Entry[] | null;
      readonly activeData: readonly Entry[];
    }
  /** Answer to `read-counts`. null: they could not be read. */
  | { readonly type: 'counts'; readonly id: number; readonly counts: readonly ServerEntryCounts[] | null }
  /**
   * Entries of a store's snapshot with what is left of their time-outs; dead servers already left
   * out. Only when the peer has nothing.
   */
  | { readonly type: 'restored'; readonly entries: readonly Entry[] }
  /**
   * A real server takes clients again: what ties clients to it is put into the kernel once more.
   */
  | { readonly type: 'server-up'; readonly mark: number; readonly server: Address }
  /** What the nannies here say now of all servers. */
  | { readonly type: 'checks'; readonly words: readonly CheckWord[] }
  /** A word on a reload for the peer, which takes such words (canReload). */
  | { readonly type: 'reload'; readonly word: ReloadWord }
  /** What operators have decreed, as it is known here now. */
  | { readonly type: 'drains'; readonly words: readonly DrainWord[] }
  /** A hook here has sent a message that the peer's may have, too. */
  | { readonly type: 'hook-sent'; readonly word: HookWord }
  /** The director ends: the peer is told. */
  | { readonly type: 'stop'; readonly why: string }
  /** At the latest when wakeAt() says so. */
  | { readonly type: 'tick' };

export type SyncEffect =
  /** PeerLinks.send(); when that says false: input `refused` with the ticket, at once. */
  | { readonly type: 'send'; readonly link: number; readonly frame: Buffer; readonly ticket: number }
  /** SyncKernel.inject(), then input `injected`. Never more than one without its answer. */
  | { readonly type: 'inject'; readonly id: number; readonly entries: readonly Entry[] }
  /**
   * SyncKernel.readTable() (and readActiveData()), then input `table`. Never more than one without
   * its answer.
   */
  | { readonly type: 'read-table'; readonly id: number; readonly activeData: boolean }
  /** SyncKernel.readCounts(), then input `counts`. */
  | { readonly type: 'read-counts'; readonly id: number }
  /** For the log. */
  | { readonly type: 'event'; readonly code: SyncEventCode; readonly fields: SyncFields }
  /** What the peer's nannies say of some servers; it says all of it again from time to time. */
  | { readonly type: 'peer-checks'; readonly words: readonly CheckWord[] }
  /** The peer's word on a reload, its ask or its answer. */
  | { readonly type: 'peer-reload'; readonly word: ReloadWord }
  /** What operators have decreed, as the peer knows it: again and again all of it. */
  | { readonly type: 'peer-drains'; readonly words: readonly DrainWord[] }
  /** A hook of the peer has sent a message that one here may have, too. */
  | { readonly type: 'peer-hook-sent'; readonly word: HookWord }
  /** `warm` has changed: pulse and the status are to know. */
  | { readonly type: 'warm'; readonly warm: boolean; readonly reason: string };

export type SyncFields = Readonly<Record<string, string | number | boolean | null>>;

export type SyncEventCode = keyof typeof SYNC_EVENTS;
export type SyncCounter = keyof typeof SYNC_MACHINE_COUNTERS;

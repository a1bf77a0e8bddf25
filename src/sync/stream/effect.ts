// What goes into the sync machine (sync-machine.ts) and what comes out of it: all that the loop
// around it has to know. Pure (types).
import type { SYNC_MACHINE_COUNTERS } from '../../log/counters.ts';
import type { SYNC_EVENTS } from '../../log/events/sync-events.ts';
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
  /** PeerLinksListener. */
  | { readonly type: 'link-up'; readonly link: number }
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
  /** `warm` has changed: pulse and the status are to know. */
  | { readonly type: 'warm'; readonly warm: boolean; readonly reason: string };

export type SyncFields = Readonly<Record<string, string | number | boolean | null>>;

export type SyncEventCode = keyof typeof SYNC_EVENTS;
export type SyncCounter = keyof typeof SYNC_MACHINE_COUNTERS;

// Reads the store at the start of a director and decides, by src/sync/store/restore.ts, what comes
// back; damaged snapshots are set aside, and every refusal is told with its reason. In steps: the
// loop goes on. Not pure: the store.
import type { EventCode } from '../../../log/catalogue.ts';
import type { Fields } from '../../../log/event.ts';
import { type RefusedSessions, type Restore, type RestoreRules, restoreSteps } from '../restore.ts';
import { decodeSteps, type SavedFault, type SavedSessions } from '../saved-sessions.ts';
import type { SessionStore } from '../session-store.ts';
import { runPaced } from './steps.ts';

interface RestoringPorts {
  readonly store: SessionStore;
  readonly pair: string;
  /** sealKey() of each key of the pair. */
  readonly keys: readonly Buffer[];
  readonly onEvent: (code: EventCode, fields: Fields) => void;
}

type Restoring =
  /**
   * `from` undefined: there is no usable snapshot. STORE_RESTORED is for the caller, when the
   * kernel has the entries.
   */
  | { readonly ok: true; readonly restore: Restore }
  /** The store does not answer; worth another try. */
  | { readonly ok: false; readonly problem: string };

const DAMAGE: ReadonlySet<string> = new Set<SavedFault>(['not-a-snapshot', 'truncated', 'damaged']);

/** Never rejects. */
export async function readStore(ports: RestoringPorts, rules: RestoreRules): Promise<Restoring> {
  const { store, pair, keys, onEvent } = ports;
  try {
    const snapshots = await store.load();
    const decoded: SavedSessions[] = [];
    for (const snapshot of snapshots) decoded.push(await runPaced(decodeSteps(snapshot, { pair, keys })));
    const restore = await runPaced(restoreSteps(decoded, rules));
    for (const refused of restore.refused) await tell(ports, refused, snapshots, restore);
    return { ok: true, restore };
  } catch (error) {
    const problem = (error as Error).message;
    onEvent('STORE_PROBLEM', { store: store.type, doing: 'load', problem, retryMs: null });
    return { ok: false, problem };
  }
}

async function tell(
  { store, onEvent }: RestoringPorts,
  { index, why, header, problem }: RefusedSessions,
  snapshots: readonly Buffer[],
  restore: Restore,
): Promise<void> {
  if (DAMAGE.has(why)) {
    const where = await store.setAside(snapshots[index] as Buffer, why).catch((error: Error) => error.message);
    onEvent('STORE_DAMAGED', { store: store.type, why, setAside: where });
    return;
  }
  // Older ones than the one in use are refused as a matter of course.
  if (restore.from && index > restore.from.index) return;
  const savedAt = header ? new Date(header.savedAtMs).toISOString() : null;
  onEvent('STORE_REFUSED', { store: store.type, why, savedAt, savedBy: header?.node ?? null, problem });
}

/** The fields of STORE_RESTORED. */
export function restoredFields(
  store: SessionStore['type'],
  { from, templates, connections, skipped }: Restore,
): Fields {
  const { expired, outOfScope, serverDown } = skipped;
  return {
    store,
    templates,
    connections,
    savedAt: from ? new Date(from.header.savedAtMs).toISOString() : null,
    savedBy: from?.header.node ?? null,
    ageS: from ? Math.round(from.ageMs / 1_000) : null,
    expired,
    outOfScope,
    serverDown,
  };
}

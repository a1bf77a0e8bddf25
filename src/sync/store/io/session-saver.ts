// Saves snapshots of the table to a store, as ../session-saver.ts decides: one at a time, in the
// background, never holding up the loop. Not pure: timers, clocks.
import type { EventCode } from '../../../log/catalogue.ts';
import type { Fields } from '../../../log/event.ts';
import { startSchedule } from '../../../schedule/io/run-schedule.ts';
import type { StoreStatus } from '../../../status/sync-status.ts';
import type { At } from '../../../units/duration.ts';
import type { Schedule } from '../../../units/schedule.ts';
import { type EncodedSessions, encodeSteps, type SavedHeader, type SavedRow } from '../saved-sessions.ts';
import { begun, dueAt, ended, FINAL_SAVE, retryMs, type SaverState, saverFrom, ticked } from '../session-saver.ts';
import type { SessionStore } from '../session-store.ts';
import { StoreError } from '../store-error.ts';
import { runPaced } from './steps.ts';

/** How often is looked whether the table has changed. */
const LOOK_MS = 250;

interface SaverPorts {
  readonly store: SessionStore;
  /** sync.store.schedule. */
  readonly schedule: Schedule;
  /** Seals snapshots: sealKey() of the key that signs. */
  readonly key: () => Buffer;
  /** What the header says besides the time. */
  readonly about: () => Omit<SavedHeader, 'savedAtMs'>;
  /**
   * Goes through the table; it may change meanwhile. Templates first, so that they are kept when
   * there are too many rows.
   */
  readonly rows: () => Iterable<SavedRow>;
  /** Grows whenever an entry comes, goes or gets another server. */
  readonly version: () => number;
  /** Whether this router is the one to save now: mayPersist() of ../session-saver.ts. */
  readonly mayPersist: () => boolean;
  readonly onEvent: (code: EventCode, fields: Fields) => void;
  /** Monotonic. */
  readonly now: () => At;
  /** Wall time, ms since 1970. */
  readonly wallMs: () => number;
}

export interface SessionSaver {
  /**
   * From now on snapshots are saved: call it when what was to be restored is in the table, not
   * before.
   */
  begin(): void;
  /** The schedule asks for a save. */
  tick(): void;
  status(): Omit<StoreStatus, 'restored'>;
  readonly saved: number;
  readonly failed: number;
  /** Saves once more if the table has changed, at most for three seconds, then ends. */
  close(): Promise<void>;
}

export function createSessionSaver(ports: SaverPorts): SessionSaver {
  return new Saver(ports);
}

class Saver implements SessionSaver {
  readonly #ports: SaverPorts;
  #state: SaverState = saverFrom(0);
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopSchedule: (() => void) | undefined;
  #last: Pick<StoreStatus, 'savedAt' | 'templates' | 'connections'> = { savedAt: null, templates: 0, connections: 0 };
  #problem = '';
  #told = false;
  saved = 0;
  failed = 0;

  constructor(ports: SaverPorts) {
    this.#ports = ports;
  }

  begin(): void {
    if (this.#timer) return;
    this.#state = saverFrom(this.#ports.version());
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#stopSchedule = startSchedule(this.#ports.schedule, () => this.tick(), this.#ports);
  }

  tick(): void {
    if (this.#ports.mayPersist()) this.#state = ticked(this.#state);
    this.#look();
  }

  #look(): void {
    if (this.#saving !== undefined || !this.#timer || !this.#ports.mayPersist()) return;
    const now = this.#ports.now();
    const due = dueAt(this.#state, this.#ports.version(), now);
    if (due !== undefined && due <= now) this.#start(this.#state.ticked ? 'schedule' : 'change');
  }

  #start(reason: string): void {
    this.#saving = this.#save(reason).finally(() => {
      this.#saving = undefined;
    });
  }

  /** Never rejects. */
  async #save(reason: string): Promise<void> {
    const { store, about, rows, key, version, now, wallMs } = this.#ports;
    this.#state = begun(this.#state);
    const [beganAt, savedAtMs, of] = [now(), wallMs(), version()];
    let ok = false;
    try {
      const encoded = await runPaced(encodeSteps({ ...about(), savedAtMs }, rows(), key()));
      await store.save(encoded.buffer);
      ok = true;
      this.#succeeded(encoded, { savedAtMs, tookMs: Math.round(now() - beganAt), reason });
    } catch (error) {
      this.#failed(error as Error);
    }
    this.#state = ended(this.#state, { ok, version: of, beganAt, now: now() });
  }

  #succeeded(
    { templates, connections, buffer, omitted }: EncodedSessions,
    { savedAtMs, tookMs, reason }: { readonly savedAtMs: number; readonly tookMs: number; readonly reason: string },
  ): void {
    const { store, onEvent } = this.#ports;
    this.saved++;
    this.#last = { savedAt: new Date(savedAtMs).toISOString(), templates, connections };
    this.#problem = omitted === 0 ? '' : `${omitted} entries did not fit into the snapshot`;
    if (this.#told) onEvent('STORE_OK', { store: store.type });
    this.#told = false;
    onEvent('STORE_SAVED', { store: store.type, templates, connections, bytes: buffer.length, tookMs, reason });
  }

  #failed(error: Error): void {
    const { store, onEvent } = this.#ports;
    this.failed++;
    const before = this.#problem;
    this.#problem = error.message;
    // Around a takeover the old owner may come last once: that is what the comparison of epochs is
    // for.
    if (error instanceof StoreError && error.code === 'older-epoch' && this.#state.failures === 0) return;
    if (this.#told && before === error.message) return;
    this.#told = true;
    const fields = { doing: 'save', problem: error.message, retryMs: retryMs(this.#state.failures + 1) };
    onEvent('STORE_PROBLEM', { store: store.type, ...fields });
  }

  status(): Omit<StoreStatus, 'restored'> {
    return { type: this.#ports.store.type, ...this.#last, problem: this.#problem };
  }

  async close(): Promise<void> {
    const begun = this.#timer !== undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#stopSchedule?.();
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      limit = setTimeout(resolve, FINAL_SAVE);
    });
    await Promise.race([this.#finish(begun), late]);
    clearTimeout(limit);
  }

  async #finish(begun: boolean): Promise<void> {
    await this.#saving;
    const changed = this.#ports.version() !== this.#state.savedVersion || this.#state.ticked;
    if (begun && changed && this.#ports.mayPersist()) await this.#save('stop');
    await this.#ports.store.close();
  }
}

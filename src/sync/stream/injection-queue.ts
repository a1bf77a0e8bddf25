// The one way into this router's own kernel: jobs in their order, at most one batch without its
// answer, what the kernel dropped once more. Who gave a job is told when the kernel has taken it.
// Deterministic.
import type { At } from '../../units/duration.ts';
import type { Entry } from '../table/entry.ts';
import type { Outbox } from './outbox.ts';

/**
 * Entries in one batch: about what the kernel takes in 20 ms, so that live entries do not wait
 * behind a resync.
 */
const BATCH_ENTRIES_MAX = 2_000;
const ATTEMPTS_MAX = 10;
/**
 * Above this, whoever has more to do waits. The queue stays bounded by what came before: a frame, a
 * slice.
 */
const BACKLOG_MAX = 8_000;

/** `ok` false: the kernel did not take it, however often it was given. */
type Taken = (ok: boolean, now: At) => void;

interface Job {
  readonly entries: readonly Entry[];
  readonly taken: Taken;
}

interface Batch {
  readonly id: number;
  readonly jobs: readonly Job[];
  readonly entries: readonly Entry[];
  attempts: number;
}

export class InjectionQueue {
  readonly #out: Outbox;
  #queue: Job[] = [];
  #queued = 0;
  #flight: Batch | null = null;

  constructor(out: Outbox) {
    this.#out = out;
  }

  /** Entries that the kernel has not taken yet. */
  get backlog(): number {
    return this.#queued + (this.#flight?.entries.length ?? 0);
  }

  get full(): boolean {
    return this.backlog >= BACKLOG_MAX;
  }

  get idle(): boolean {
    return this.#flight === null && this.#queue.length === 0;
  }

  /** A job without entries is a mark: it is taken when all before it is. */
  push(entries: readonly Entry[], taken: Taken = () => {}): void {
    this.#queue.push({ entries, taken });
    this.#queued += entries.length;
  }

  /** Gives the kernel the next batch if it has answered the one before. */
  pump(now: At): void {
    while (this.#flight === null && this.#queue.length > 0) {
      const jobs = this.#nextJobs();
      const entries = jobs.flatMap(job => job.entries);
      if (entries.length > 0) this.#give({ id: this.#out.id(), jobs, entries, attempts: 1 });
      else for (const job of jobs) job.taken(true, now);
    }
  }

  /** False: no such batch was given. */
  injected(id: number, dropped: number, now: At): boolean {
    const batch = this.#flight;
    if (batch === null || batch.id !== id) return false;
    this.#flight = null;
    if (dropped > 0 && batch.attempts < ATTEMPTS_MAX) {
      this.#out.count('inject_dropped', dropped);
      // Which ones is not known: all again, which changes nothing for those that came through.
      this.#give({ ...batch, id: this.#out.id(), attempts: batch.attempts + 1 });
      return true;
    }
    const ok = dropped === 0;
    if (ok) this.#out.count('injected', batch.entries.length);
    else {
      this.#out.count('inject_failures');
      this.#out.event('SYNC_INJECT_FAILED', { entries: batch.entries.length, dropped, attempts: batch.attempts });
    }
    for (const job of batch.jobs) job.taken(ok, now);
    return true;
  }

  #give(batch: Batch): void {
    this.#flight = batch;
    this.#out.effect({ type: 'inject', id: batch.id, entries: batch.entries });
  }

  #nextJobs(): Job[] {
    let entries = 0;
    let jobs = 0;
    for (const job of this.#queue) {
      if (jobs > 0 && entries + job.entries.length > BATCH_ENTRIES_MAX) break;
      entries += job.entries.length;
      jobs++;
    }
    this.#queued -= entries;
    return this.#queue.splice(0, jobs);
  }
}

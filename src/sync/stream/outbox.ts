// What the parts of the sync machine give out during one step: effects, and counters beside them.
// Deterministic.
import { SYNC_MACHINE_COUNTERS } from '../../log/counters.ts';
import type { SyncCounter, SyncEffect, SyncEventCode, SyncFields } from './effect.ts';

/**
 * What a `send` effect was about, for the case that the link refuses it. `seq`: of a numbered
 * frame.
 */
interface Ticket {
  readonly link: number;
  readonly seq: number | null;
  readonly hello: boolean;
}

export class Outbox {
  #effects: SyncEffect[] = [];
  #tickets = new Map<number, Ticket>();
  #ticket = 0;
  #ids = 0;
  readonly counters: Record<SyncCounter, number>;

  constructor() {
    const names = Object.keys(SYNC_MACHINE_COUNTERS) as SyncCounter[];
    this.counters = Object.fromEntries(names.map(name => [name, 0])) as Record<SyncCounter, number>;
  }

  count(counter: SyncCounter, by = 1): void {
    this.counters[counter] += by;
  }

  effect(effect: SyncEffect): void {
    this.#effects.push(effect);
  }

  event(code: SyncEventCode, fields: SyncFields): void {
    this.#effects.push({ type: 'event', code, fields });
  }

  send(link: number, frame: Buffer, seq: number | null = null, hello = false): void {
    this.#tickets.set(++this.#ticket, { link, seq, hello });
    this.#effects.push({ type: 'send', link, frame, ticket: this.#ticket });
  }

  /** A new number for a question to the loop. */
  id(): number {
    return ++this.#ids;
  }

  refused(ticket: number): Ticket | undefined {
    const found = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    return found;
  }

  /**
   * Refusals are told at once: with the next input of another kind all sends before it are settled.
   */
  settle(): void {
    this.#tickets.clear();
  }

  take(): SyncEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

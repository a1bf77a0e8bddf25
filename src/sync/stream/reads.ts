// Questions to the loop for the kernel's table and counters: one at a time, each answer to the one
// who asked. Deterministic.
import type { At } from '../../units/duration.ts';
import type { Entry, ServerEntryCounts } from '../table/entry.ts';
import type { Outbox } from './outbox.ts';
import type { VerifyReads } from './verify.ts';

/** At most one each of source and sink, and one of each that was given up with its stream. */
const WAITING_MAX = 4;

type Question =
  | {
      readonly type: 'table';
      readonly activeData: boolean;
      readonly answer: (entries: readonly Entry[] | null, now: At) => void;
    }
  | { readonly type: 'counts'; readonly answer: (counts: readonly ServerEntryCounts[] | null, now: At) => void };

export class Reads implements VerifyReads {
  readonly #out: Outbox;
  #waiting: Question[] = [];
  #asked: { readonly id: number; readonly question: Question } | null = null;

  constructor(out: Outbox) {
    this.#out = out;
  }

  table(activeData: boolean, answer: (entries: readonly Entry[] | null, now: At) => void): void {
    this.#add({ type: 'table', activeData, answer });
  }

  counts(answer: (counts: readonly ServerEntryCounts[] | null, now: At) => void): void {
    this.#add({ type: 'counts', answer });
  }

  answered(id: number, entries: readonly Entry[] | null, now: At): boolean {
    const question = this.#take(id);
    if (question?.type === 'table') question.answer(entries, now);
    return question?.type === 'table';
  }

  countsAnswered(id: number, counts: readonly ServerEntryCounts[] | null, now: At): boolean {
    const question = this.#take(id);
    if (question?.type === 'counts') question.answer(counts, now);
    return question?.type === 'counts';
  }

  #add(question: Question): void {
    if (this.#waiting.length >= WAITING_MAX) this.#waiting.shift();
    this.#waiting.push(question);
    this.#ask();
  }

  #take(id: number): Question | undefined {
    if (this.#asked?.id !== id) return undefined;
    const { question } = this.#asked;
    this.#asked = null;
    this.#ask();
    return question;
  }

  #ask(): void {
    if (this.#asked !== null) return;
    const question = this.#waiting.shift();
    if (question === undefined) return;
    const id = this.#out.id();
    this.#asked = { id, question };
    if (question.type === 'counts') {
      this.#out.effect({ type: 'read-counts', id });
      return;
    }
    this.#out.count('table_reads');
    this.#out.effect({ type: 'read-table', id, activeData: question.activeData });
  }
}

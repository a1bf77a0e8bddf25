// What an import says about the old config: which line could not be carried over, or means
// something else now, and what to do. Pure.

import { withoutControls } from './controls.ts';
import type { Directive, Place } from './directive.ts';

/**
 * lost: Tandem does not do it, or nobody can tell what was meant. changed: it is carried over, and
 * means something else. unneeded: nothing is missing without it.
 */
export type NoteEffect = 'lost' | 'changed' | 'unneeded';

export interface Note {
  readonly effect: NoteEffect;
  /** Undefined: no line says it, a default did. */
  readonly place: Place | undefined;
  /** The line with secrets masked; '': none. */
  readonly quote: string;
  /** Why, and what to do instead: one or two clauses without a full stop. */
  readonly why: string;
  /** Where in the new config it belongs. */
  readonly path: readonly string[];
}

const NOTES_MAX = 3_000;

type Add = (at: Directive | Place | undefined, why: string, path?: readonly string[]) => void;

/** Who is told. */
export interface NoteTaker {
  readonly add: (effect: NoteEffect, ...rest: Parameters<Add>) => void;
  readonly lost: Add;
  readonly changed: Add;
  readonly unneeded: Add;
}

/** For what is read again and told already. */
export const SILENT: NoteTaker = { add() {}, lost() {}, changed() {}, unneeded() {} };

/** Collects the notes of one import; bounded. */
export class Notes implements NoteTaker {
  readonly all: Note[] = [];

  add(effect: NoteEffect, at: Directive | Place | undefined, why: string, path: readonly string[] = []): void {
    if (this.all.length > NOTES_MAX) return;
    if (this.all.length === NOTES_MAX) {
      this.all.push({
        effect: 'lost',
        place: undefined,
        quote: '',
        why: 'there is more, which is not listed',
        path: [],
      });
      return;
    }
    const [place, quote] = at === undefined ? [undefined, ''] : 'place' in at ? [at.place, at.quote] : [at, ''];
    const shown = place && { ...place, file: withoutControls(place.file) };
    this.all.push({ effect, place: shown, quote, why: withoutControls(why), path });
  }

  lost(at: Directive | Place | undefined, why: string, path?: readonly string[]): void {
    this.add('lost', at, why, path);
  }

  changed(at: Directive | Place | undefined, why: string, path?: readonly string[]): void {
    this.add('changed', at, why, path);
  }

  unneeded(at: Directive | Place | undefined, why: string, path?: readonly string[]): void {
    this.add('unneeded', at, why, path);
  }
}

/** Whether nothing was lost, and nothing means something else. */
export function isWhole(notes: readonly Note[]): boolean {
  return notes.every(note => note.effect === 'unneeded');
}

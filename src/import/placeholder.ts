// What an old config does not say, and what the new one has in its place: a text that `tandem
// check` refuses, with an example. Pure.
import { FILL_IN } from '../config/document.ts';

export interface Placeholder {
  readonly path: readonly (string | number)[];
  /** What is to be written there, such as "own address/prefix of router-a on LAN client". */
  readonly what: string;
  /** A value of the right form, which makes `tandem check` content; it is not a proposal. */
  readonly example: string | number;
}

/** A value that stands for one in the new config, until the paths are known. */
export class FillIn {
  readonly what: string;
  readonly example: string | number;

  constructor(what: string, example: string | number) {
    this.what = what;
    this.example = example;
  }

  /** What is written in its place. */
  get text(): string {
    return `${FILL_IN}: ${this.what}, like ${this.example}`;
  }
}

/** The new config as it is built: plain values, lists, maps and what is to be filled in. */
export type Draft =
  | string
  | number
  | boolean
  | FillIn
  | readonly Draft[]
  | { readonly [key: string]: Draft | undefined };

/** The draft with examples in the place of what is to be filled in: for a trial. */
export function withExamples(draft: Draft | undefined): unknown {
  return replaced(draft, fillIn => fillIn.example);
}

/** The draft as it is written. */
export function withTexts(draft: Draft | undefined): unknown {
  return replaced(draft, fillIn => fillIn.text);
}

function replaced(draft: Draft | undefined, value: (fillIn: FillIn) => unknown): unknown {
  if (draft instanceof FillIn) return value(draft);
  if (Array.isArray(draft)) return draft.map(item => replaced(item as Draft, value));
  if (typeof draft !== 'object') return draft;
  return Object.fromEntries(
    Object.entries(draft)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, replaced(item, value)]),
  );
}

export function placeholdersOf(draft: Draft | undefined, path: readonly (string | number)[] = []): Placeholder[] {
  if (draft instanceof FillIn) return [{ path, what: draft.what, example: draft.example }];
  if (typeof draft !== 'object') return [];
  if (Array.isArray(draft)) return draft.flatMap((item, index) => placeholdersOf(item as Draft, [...path, index]));
  return Object.entries(draft).flatMap(([key, item]) => placeholdersOf(item, [...path, key]));
}

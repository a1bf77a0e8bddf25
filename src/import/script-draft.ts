// A program of an old config as a `script` of the new one. Its arguments are not shown (people
// write passwords there), so a program that has some is to be filled in. Pure.
import { type Draft, FillIn } from './placeholder.ts';

/** What every script has to be, in Tandem and not in the old programs. */
export const RUNNER =
  'Tandem runs it as user tandem-runner without rights, where it ran as root or script_user: it and its directories must belong to root and be writable by nobody else, and not be below /tmp or in a home directory';

const PROGRAM = /^\/[\w./-]{1,200}$/;

/** `script` for the words of a line; undefined: they name nothing. */
export function scriptDraft(words: readonly string[], example: string): Draft | undefined {
  const parts = words.join(' ').trim().split(/\s+/).slice(0, 2);
  const [program = ''] = parts;
  if (program === '') return undefined;
  if (parts.length === 1 && PROGRAM.test(program)) return [program];
  const known = PROGRAM.test(program) ? program : 'the whole path of the program';
  return [new FillIn(`${known}, then its arguments as further items`, example)];
}

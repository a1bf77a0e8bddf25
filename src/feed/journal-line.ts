// A journal: what went into pulse's machine around a decision, as lines of JSON, which `tandem
// replay` runs through the machine again. pulse says it on its journal socket, the director writes
// it down as it comes. First line: who, when, and the machine as it was then; one line for each
// event; a last line with their number, so that one that was cut is known. Pure.
import { z } from 'zod';
import { decisionSchema } from './message.ts';

const JOURNAL_VERSION = 1;

/** Of both clocks; the sum of two is still a date (TimeClip in ECMA-262 ends at 8.64e15). */
const CLOCK_MS_MAX = 4e15;
const clockSchema = z.number().min(0).max(CLOCK_MS_MAX);

export const journalHeadSchema = z.object({
  type: z.literal('journal'),
  version: z.literal(JOURNAL_VERSION),
  /** Version of Tandem whose machine this is. */
  tandem: z.string(),
  node: z.string(),
  /** The same instant by both clocks, wall time in ms since 1970: people want to know when. */
  wallMs: clockSchema,
  monotonicMs: clockSchema,
  /** The machine before the first event: what is in it is that version's. */
  machine: z.record(z.string(), z.unknown()),
});
export type JournalHead = Omit<z.output<typeof journalHeadSchema>, 'type' | 'version'>;

export const journalStepSchema = z.object({
  type: z.literal('step'),
  /** Monotonic, in ms. */
  at: clockSchema,
  event: z.looseObject({ type: z.string() }),
  /** What the machine decided then; its time is that of the step. */
  decisions: z.array(decisionSchema.omit({ at: true })).default([]),
});

export const journalEndSchema = z.object({ type: z.literal('end'), steps: z.int().min(0) });

export function headLine(
  head: { readonly [K in keyof Omit<JournalHead, 'machine'>]: JournalHead[K] } & { readonly machine: object },
): string {
  return lineOf({ type: 'journal', version: JOURNAL_VERSION, ...head });
}

export function stepLine(at: number, event: object, decisions: readonly object[]): string {
  return lineOf({ type: 'step', at, event, ...(decisions.length > 0 ? { decisions } : {}) });
}

export function endLine(steps: number): string {
  return lineOf({ type: 'end', steps });
}

/** JSON has no undefined: left out of an object it comes back, in a list it would become null. */
const NOTHING = '$undefined';

function lineOf(value: object): string {
  return `${JSON.stringify(value, (_, part) => (part === undefined ? NOTHING : part))}\n`;
}

/** What a line says. Throws a SyntaxError where it is not JSON. */
export function readJournalLine(text: string): unknown {
  return withNothing(JSON.parse(text));
}

function withNothing(value: unknown): unknown {
  if (value === NOTHING) return undefined;
  if (Array.isArray(value)) return value.map(withNothing);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withNothing(part)]));
}

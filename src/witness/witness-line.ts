// What pulse and the witness process say to each other: JSON lines, bounded. In: one setup, then
// asks. Out: one hello, then an answer to each ask. Both ends check what they read: neither may be
// led astray by a line that was cut or mixed up. Pure.
import { z } from 'zod';
import type { RedisConfig } from '../config/schema.ts';
import type { At } from '../units/duration.ts';
import { failed } from './script.ts';
import { WITNESS_VERBS, WITNESS_VERDICTS, type WitnessAnswer, type WitnessAsk } from './witness.ts';

/**
 * Longest line in bytes: the setup, with sixteen Sentinels and five paths, all of them as long as
 * the config allows.
 */
export const WITNESS_LINE_BYTES_MAX = 65_536;
/** Longest problem that is passed on, in characters. */
const PROBLEM_LENGTH_MAX = 600;

/** What the process needs to know, once. */
export interface WitnessSetup {
  readonly redis: RedisConfig;
  /** Where the record is; see witnessKey. */
  readonly key: string;
  readonly nodeId: 1 | 2;
  readonly leaseMs: number;
  /** Longest time for one ask. */
  readonly timeoutMs: number;
}

const natural = z.int().min(0);
const epoch = z.object({ counter: natural, node: natural });

const setupLine = z.object({
  // The config was checked by the schema in pulse.
  redis: z.custom<RedisConfig>(value => typeof value === 'object' && value !== null),
  key: z.string().min(1).max(256),
  nodeId: z.union([z.literal(1), z.literal(2)]),
  leaseMs: z.number().positive(),
  timeoutMs: z.number().positive(),
});

const askLine = z.object({
  seq: natural,
  verb: z.enum(WITNESS_VERBS),
  epoch,
  at: z.custom<At>(value => typeof value === 'number' && Number.isFinite(value)),
});

const answerLine = z.object({
  seq: natural,
  verdict: z.enum(WITNESS_VERDICTS),
  record: z.object({ nodeId: natural, epoch, remainingMs: natural }).optional(),
  problem: z.string().max(PROBLEM_LENGTH_MAX),
});

/** Said by the process when it is ready for asks. */
export const HELLO_LINE = '{"hello":1}';

export function setupText(setup: WitnessSetup): string {
  return JSON.stringify(setup);
}

export function askText({ seq, verb, epoch: { counter, node }, at }: WitnessAsk): string {
  return JSON.stringify({ seq, verb, epoch: { counter, node }, at });
}

export function answerText(answer: WitnessAnswer): string {
  return JSON.stringify({ ...answer, problem: answer.problem.slice(0, PROBLEM_LENGTH_MAX) });
}

/** undefined: no setup. */
export function parseSetup(line: string): WitnessSetup | undefined {
  return setupLine.safeParse(jsonOf(line)).data;
}

/** undefined: no ask. */
export function parseAsk(line: string): WitnessAsk | undefined {
  return askLine.safeParse(jsonOf(line)).data;
}

/** undefined: no answer. */
export function parseAnswer(line: string): WitnessAnswer | undefined {
  const answer = answerLine.safeParse(jsonOf(line)).data;
  if (!answer) return undefined;
  if (answer.verdict === 'failed') return failed(answer.seq, answer.problem);
  return { ...answer, record: answer.record };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

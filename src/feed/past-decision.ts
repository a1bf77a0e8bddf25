// The lines of the history of decisions, which the director writes and `tandem history` reads.
// Pure.
import { z } from 'zod';
import { decisionSchema } from './message.ts';

/** node: the router that decided. */
const pastDecisionSchema = decisionSchema.extend({ node: z.string() });
export type PastDecision = z.output<typeof pastDecisionSchema>;

/** The decisions of a file's text in their order; a line that was cut by a power loss is none. */
export function pastDecisions(text: string): PastDecision[] {
  return text.split('\n').flatMap(line => {
    try {
      const parsed = pastDecisionSchema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** By which one is known again. */
export function decisionKey({ node, at, from, to, epoch }: PastDecision): string {
  return `${node} ${at} ${from} ${to} ${epoch}`;
}

// What pulse wrote down before it ended (src/pulse/io/state-file.ts): `tandem why` must work when
// there is nobody left to ask.
import { closeSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import { type Decision, decisionSchema } from '../../feed/message.ts';

const BYTES_MAX = 1_048_576;

const memorySchema = z.object({ decisions: z.array(decisionSchema) });

/** The last role decisions in `file`, oldest first; undefined when it cannot be read. */
export function rememberedDecisions(file: string): Decision[] | undefined {
  try {
    return memorySchema.parse(JSON.parse(readBounded(file))).decisions;
  } catch {
    // Not there, not readable for this user, or damaged: the caller then tells why pulse does not
    // answer.
    return undefined;
  }
}

function readBounded(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(BYTES_MAX);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, BYTES_MAX, 0));
  } finally {
    closeSync(fd);
  }
}

// What pulse wrote down before it ended (src/pulse/io/state-file.ts), since `tandem why` must work
// when there is nobody left to ask; and the director's history of decisions.
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HISTORY_FILES } from '../../feed/files.ts';
import { type Decision, decisionSchema } from '../../feed/message.ts';
import { type PastDecision, pastDecisions } from '../../feed/past-decision.ts';

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

interface Written {
  readonly decisions: readonly PastDecision[];
  /** Why there may be more; undefined: that is all. */
  readonly problem: string | undefined;
}

/** Every decision that the director has written down in `stateDir`, oldest first. */
export function writtenDecisions(stateDir: string): Written {
  const decisions: PastDecision[] = [];
  let problem: string | undefined;
  for (const name of [HISTORY_FILES.older, HISTORY_FILES.newer]) {
    const path = join(stateDir, name);
    try {
      decisions.push(...pastDecisions(readBounded(path)));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'EACCES') problem = `you may not read ${path}; run as root`;
      else if (code !== 'ENOENT') problem = `cannot read ${path}: ${message}`;
    }
  }
  return { decisions, problem };
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

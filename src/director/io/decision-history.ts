// Writes every decision of pulse's down, for `tandem history`: state-dir/history.jsonl, one line
// each, with the router's name. A full file becomes history.1.jsonl; the one before is gone. What
// pulse decided while no director ran comes with its next snapshot, which has the last 32.
import { appendFile, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HISTORY_FILES } from '../../feed/files.ts';
import type { Snapshot } from '../../feed/message.ts';
import { decisionKey, type PastDecision, pastDecisions } from '../../feed/past-decision.ts';
import type { Log } from '../../log/log.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { inTurn } from './in-turn.ts';

/** Some seven hundred decisions in each of the two files. */
const BYTES_MAX = 524_288;
/** More than a snapshot has. */
const KNOWN_MAX = 128;
/** A disk that was full is tried again at this pace. */
const RETRY_MS = 60_000;

interface DecisionHistory {
  hear(snapshot: Snapshot): void;
  close(): Promise<void>;
}

export function writeHistory(stateDir: string, log: Log): DecisionHistory {
  const [path, older] = [join(stateDir, HISTORY_FILES.newer), join(stateDir, HISTORY_FILES.older)];
  const turns = inTurn();
  /** Keys of the last ones that are written. */
  let known: readonly string[] | undefined;
  let newest = '';
  let pausedUntil = -Infinity;
  const write = async (heard: readonly PastDecision[]) => {
    known ??= [...(await readPast(older)), ...(await readPast(path))].map(decisionKey).slice(-KNOWN_MAX);
    const written = new Set(known);
    const news = heard.filter(past => !written.has(decisionKey(past)));
    if (news.length === 0) return;
    if ((await sizeOf(path)) > BYTES_MAX) await rename(path, older);
    // A line that a power loss has cut must not swallow the next one.
    const text = news.map(past => `${JSON.stringify(past)}\n`).join('');
    await appendFile(path, (await endsWhole(path)) ? text : `\n${text}`, { mode: 0o600 });
    known = [...known, ...news.map(decisionKey)].slice(-KNOWN_MAX);
  };
  return {
    hear({ node, decisions }) {
      const heard = decisions.map(decision => ({ node, ...decision }));
      const last = heard.at(-1);
      if (!last || decisionKey(last) === newest || monotonicNow() < pausedUntil) return;
      newest = decisionKey(last);
      void turns
        .run(() => write(heard))
        .catch((error: Error) => {
          newest = '';
          pausedUntil = monotonicNow() + RETRY_MS;
          log.event('MEMORY_PROBLEM', { path, problem: error.message });
        });
    },
    close: () => turns.idle(),
  };
}

async function readPast(path: string): Promise<PastDecision[]> {
  return pastDecisions(await readFile(path, 'utf8').catch(() => ''));
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function endsWhole(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text === '' || text.endsWith('\n');
}

// Asks the runner for one run of a script. Not pure. Never rejects and never waits longer than it
// is told: a runner that is missing, hangs or dies is an answer, too.
import { connect } from 'node:net';
import { type ScriptName, scriptDigest, scriptOf } from '../../config/check-script.ts';
import type { Config } from '../../config/schema.ts';
import { lineReader } from '../../socket/lines.ts';
import { type Ms, ms } from '../../units/duration.ts';
import { ANSWER_BYTES_MAX, type Progress, type RunAnswer, type RunRequest, wordSchema } from '../runner-message.ts';
import { TERM_GRACE_MS } from './run-script.ts';

/** What the runner may need for its own start, and for the end of a script. */
const SPARE_MS = 10_000 + TERM_GRACE_MS;
/** For a place: all that wait before it may take long. */
const WAIT_MS_MAX = 300_000;

const REMEDY = 'see: systemctl status tandem-runner.socket tandem-runner';

/**
 * `timeoutMs`: of the script, from when it begins to run. `signal` gives it up, and ends the
 * script.
 */
export function askRunner(
  socketPath: string,
  request: RunRequest,
  { timeoutMs, signal, spareMs = ms(SPARE_MS) }: { timeoutMs: Ms; signal: AbortSignal; spareMs?: Ms },
): Promise<RunAnswer> {
  return new Promise(resolve => {
    const socket = connect(socketPath);
    const lines = lineReader({ bytesMax: ANSWER_BYTES_MAX, tooLong: 'end' });
    const giveUp = (reason: string) => settle({ type: 'refused', reason: `${reason}; ${REMEDY}` });
    const onAbort = () => giveUp('given up');
    let timer: NodeJS.Timeout | undefined;
    /** Each at most once: nothing that is said may make the wait endless. */
    const heardOf = new Set<Progress['type']>();
    const waitFor = (longestMs: number) => {
      clearTimeout(timer);
      const mine = setTimeout(() => {
        // Where this process came late, an answer may be waiting in the socket: it is read first.
        setImmediate(() => timer === mine && giveUp('tandem-runner does not answer in time'));
      }, longestMs);
      timer = mine;
    };
    let isSettled = false;
    const settle = (answer: RunAnswer) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(answer);
    };
    waitFor(spareMs);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.on('error', (error: NodeJS.ErrnoException) =>
      giveUp(`tandem-runner cannot be reached at ${socketPath} (${error.code ?? error.message})`),
    );
    socket.on('close', () => giveUp('tandem-runner ended before its answer'));
    socket.on('data', chunk => {
      const heard = lines.push(chunk, line => {
        if (isSettled) return;
        const word = readWord(line);
        if (word === undefined) giveUp('tandem-runner says what this version does not understand');
        else if (word.type === 'ended' || word.type === 'refused') settle(word);
        else if (!heardOf.has('began') && !heardOf.has(word.type)) {
          heardOf.add(word.type);
          waitFor(word.type === 'waits' ? WAIT_MS_MAX : timeoutMs + spareMs);
        }
      });
      if (!heard) giveUp('tandem-runner says a line that is too long');
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

function readWord(line: string): Progress | RunAnswer | undefined {
  try {
    return wordSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Has the script of that name run, as `config` says. */
export async function runNamed(
  socketPath: string,
  { config, node, name }: { config: Pick<Config, 'fitness' | 'services'>; node: string; name: ScriptName },
  signal: AbortSignal,
): Promise<RunAnswer> {
  const script = scriptOf(config, node, name);
  if (script === undefined) return { type: 'refused', reason: 'the config has no such script' };
  const request = { run: name, digest: scriptDigest(script) };
  return await askRunner(socketPath, request, { timeoutMs: script.timeoutMs, signal });
}

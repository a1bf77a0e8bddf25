// `tandem history`: the role changes of this router over days, a line each: when, who, what, why,
// how long clients were without. From what the director wrote down and what pulse remembers.
import { decisionKey, type PastDecision } from '../feed/past-decision.ts';
import { DURATION_SYNTAX, parseDuration } from '../units/duration.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { age, columns, painter, printable } from './format.ts';
import { writtenDecisions } from './io/past-decisions.ts';
import { snapshot } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { type RoleChange, roleChanges, tookMs, withoutMs } from './role-changes.ts';

export interface HistoryArguments {
  readonly runDir: string;
  readonly stateDir: string;
  readonly last: number;
  /** A time, or how long ago. */
  readonly since?: string;
  readonly json?: boolean;
}

type Change = RoleChange<PastDecision>;

export async function history(terminal: Terminal, options: HistoryArguments): Promise<ExitCode> {
  const decisions = await allDecisions(terminal, options);
  const since = options.since === undefined ? -Infinity : timeOf(options.since, terminal.now());
  const changes = roleChanges(decisions)
    .filter(({ last }) => Date.parse(last.at) >= since)
    .slice(-options.last);
  terminal.out(
    options.json ? `${JSON.stringify(changes.map(changeJson), null, 2)}\n` : renderHistory(changes, terminal),
  );
  return EXIT.ok;
}

/** Wall time in ms since 1970. */
function timeOf(text: string, now: number): number {
  const ago = parseDuration(text);
  const at = ago === undefined ? Date.parse(text) : now - ago;
  // What Date.parse makes of anything else is a guess.
  if (!Number.isNaN(at) && (ago !== undefined || /^\d{4}-\d\d-\d\d/.test(text))) return at;
  throw new CliError(`--since ${printable(text, 40)} is no time: write 2026-11-22T16:00Z, or ${DURATION_SYNTAX}`, {
    exitCode: EXIT.usage,
  });
}

/** In the order in which they were made: a clock that was set does not change it. */
async function allDecisions(
  terminal: Terminal,
  { runDir, stateDir }: HistoryArguments,
): Promise<readonly PastDecision[]> {
  const written = writtenDecisions(stateDir);
  const known = new Set(written.decisions.map(decisionKey));
  try {
    const { node, decisions } = await snapshot(runDir);
    const fresh = decisions.map(decision => ({ node, ...decision })).filter(one => !known.has(decisionKey(one)));
    if (written.problem) terminal.err(`tandem: ${written.problem}; only what pulse itself remembers is shown\n`);
    return [...written.decisions, ...fresh];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (written.problem)
      throw new CliError(`${written.problem}\ntandem: ${error.message}`, { exitCode: EXIT.unreachable, cause: error });
    if (written.decisions.length === 0) throw error;
    return written.decisions;
  }
}

function changeJson(change: Change): object {
  const { first, last } = change;
  return {
    at: last.at,
    beganAt: first.at,
    node: last.node,
    from: first.from,
    to: last.to,
    epoch: last.epoch,
    reason: reasonOf(change),
    tookMs: tookMs(change) ?? null,
    clientsWithoutMs: withoutMs(change) ?? null,
  };
}

function renderHistory(changes: readonly Change[], { colour }: { readonly colour: boolean }): string {
  if (changes.length === 0) return 'no role change in this time\n';
  const paint = painter(colour);
  const rows = changes.map(change => [
    printable(change.last.at.replace(/\.\d+Z$/, 'Z'), 40),
    printable(change.last.node, 64),
    `${change.first.from} -> ${paint('bold', change.last.to)}`,
    without(change),
    printable(reasonOf(change), 200),
  ]);
  return `${columns(paint, ['when', 'router', 'role', 'clients without', 'why'], rows)}\n`;
}

function without(change: Change): string {
  const ms = withoutMs(change);
  if (ms === undefined) return '-';
  return ms === 0 ? 'no' : `at most ${age(ms)}`;
}

/** Why it began; and how it ended, when it came to nothing. */
function reasonOf({ first, last }: Change): string {
  return first === last || first.reason === last.reason ? first.reason : `${first.reason}; ${last.reason}`;
}

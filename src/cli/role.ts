// `tandem handover`, `hold` and `release`: ask pulse. A handover first waits for a peer that is
// cold or lacks its rules, and in the end until the role feed shows how it went.
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { beginHandover, followHandover, handoverProgress, worthWaitingFor } from './handover.ts';
import { command, feed, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { resyncPercent } from './render-sync.ts';

/** Longest wait for the outcome of a handover. */
const HANDOVER_MS_MAX = 10_000;
const GOAL = { rules: 'them', warmth: 'it to become warm' };

interface HandoverOptions {
  readonly runDir: string;
  /** Also to a peer whose tables are cold. */
  readonly cold: boolean;
  /** Longest wait for a peer that is cold or lacks its rules, in seconds. */
  readonly wait: number;
}

/**
 * Asks pulse to hand over, and waits for the outcome; progress goes to stderr. pulse itself says no
 * when the peer stays cold.
 */
export async function handover(terminal: Terminal, options: HandoverOptions): Promise<ExitCode> {
  if (!options.cold && options.wait > 0) await waitForPeer(terminal, options);
  return await handOver(terminal, options);
}

/** Returns when the peer lacks nothing, when waiting makes no sense, or after options.wait. */
async function waitForPeer(terminal: Terminal, { runDir, wait }: HandoverOptions): Promise<void> {
  const snapshots = feed(runDir, wait * 1_000);
  let told: string | undefined;
  try {
    for await (const now of snapshots) {
      const lacks = worthWaitingFor(now);
      if (lacks === undefined) {
        if (told !== undefined && now.peer?.warm) terminal.err(`${now.peerNode} is warm\n`);
        return;
      }
      const state = lacks === 'rules' ? `the rules of ${now.peerNode} are not in` : `${now.peerNode} is cold`;
      if (told === undefined) terminal.err(`${state}; waiting up to ${wait} s for ${GOAL[lacks]}\n`);
      const progress = lacks === 'rules' ? state : `${state}${await resyncNow(runDir)}`;
      if (progress !== (told ?? state)) terminal.err(`${progress}\n`);
      told = progress;
    }
  } catch (error) {
    if (!isTimeout(error)) throw error;
  } finally {
    await snapshots.return(undefined);
  }
}

/** ", resync 45 %" by the own director, which is the one that sends; empty when it does not say. */
async function resyncNow(runDir: string): Promise<string> {
  try {
    const { sync } = await statusOf(runDir);
    const percent = resyncPercent(sync);
    return percent === undefined ? '' : `, resync ${percent}`;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return '';
  }
}

async function handOver(terminal: Terminal, { runDir, cold }: HandoverOptions): Promise<ExitCode> {
  const snapshots = feed(runDir, HANDOVER_MS_MAX);
  try {
    const first = (await snapshots.next()).value;
    if (!first) return EXIT.unreachable;
    let state = beginHandover(first);
    const startedAt = terminal.monotonicNow();
    const reply = await command(runDir, { command: 'handover', cold });
    if (!reply.ok) {
      terminal.err(`tandem: pulse on ${first.node} refused: ${reply.message}\n`);
      return EXIT.no;
    }
    terminal.err(`${reply.message}\n`);
    let told = '';
    for await (const now of snapshots) {
      const [next, outcome] = followHandover(state, now);
      state = next;
      const seconds = ((terminal.monotonicNow() - startedAt) / 1_000).toFixed(2);
      const progress = handoverProgress(now);
      if (progress !== told) terminal.err(`${seconds} s: ${progress}\n`);
      told = progress;
      if (outcome.state === 'done') {
        terminal.out(`${outcome.owner} is active (epoch ${outcome.epoch}), ${seconds} s after the command\n`);
        return EXIT.ok;
      }
      if (outcome.state === 'failed') {
        terminal.err(`tandem: the handover did not happen: ${outcome.why}; see: tandem why\n`);
        return EXIT.no;
      }
    }
    return EXIT.no;
  } catch (error) {
    if (!isTimeout(error)) throw error;
    const message = `no handover within ${HANDOVER_MS_MAX / 1_000} s; see: tandem status, tandem why`;
    throw new CliError(message, { exitCode: EXIT.no, cause: error });
  } finally {
    await snapshots.return(undefined);
  }
}

function isTimeout(error: unknown): boolean {
  const cause = error instanceof CliError ? error.cause : undefined;
  return cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'ETIMEDOUT';
}

/** Never become active, until `release` or for `forMs`. */
export async function hold(terminal: Terminal, runDir: string, forMs: number | undefined): Promise<ExitCode> {
  return await tell(terminal, runDir, { command: 'hold', ...(forMs === undefined ? {} : { forMs }) });
}

/** Ends a hold. */
export async function release(terminal: Terminal, runDir: string): Promise<ExitCode> {
  return await tell(terminal, runDir, { command: 'release' });
}

async function tell(terminal: Terminal, runDir: string, asked: Parameters<typeof command>[1]): Promise<ExitCode> {
  const reply = await command(runDir, asked);
  if (reply.ok) terminal.out(`${reply.message}\n`);
  else terminal.err(`tandem: pulse refused: ${reply.message}\n`);
  return reply.ok ? EXIT.ok : EXIT.no;
}

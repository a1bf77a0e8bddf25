// `tandem status`, `sync`, `why` and `plan`: read a socket, print what it says. Sockets and the
// screen are in io/.
import { join } from 'node:path';
import { DIRECTOR_CONTROL_SOCKET, STATE_FILE } from '../feed/files.ts';
import type { Decision, Snapshot } from '../feed/message.ts';
import type { StatusReport } from '../status/status-report.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { getJson, snapshot, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { picture } from './picture.ts';
import { renderDecisions, renderFeed, renderStatus } from './render.ts';
import { renderPlan } from './render-plan.ts';
import { renderSync } from './render-sync.ts';
import { renderWhy } from './render-why.ts';
import { roleChanges } from './role-changes.ts';

interface Place {
  readonly runDir: string;
  readonly json?: boolean;
}

/** What could be learned: the whole report, or pulse's part of it and why the rest is missing. */
type Known =
  | { readonly whole: true; readonly report: StatusReport }
  | { readonly whole: false; readonly pulse: Snapshot; readonly problem: string };

const WATCH_MS = 1_000;

/**
 * One status, or with `watch` one a second until Ctrl-C. The exit code says the health; 3: the
 * director did not answer.
 */
export async function status(terminal: Terminal, options: Place & { readonly watch?: boolean }): Promise<ExitCode> {
  if (!options.watch) {
    const known = await learn(options.runDir);
    terminal.out(show(known, terminal, options.json === true, 2));
    return known.whole ? EXIT[known.report.health] : EXIT.unreachable;
  }
  if (terminal.screen && !options.json) terminal.takeScreen();
  do {
    terminal.out(await frame(terminal, options));
  } while (await terminal.pause(WATCH_MS));
  return EXIT.ok;
}

/**
 * One picture of `--watch`: drawn over the last one on a screen, one after the other elsewhere.
 * Never throws CliErrors.
 */
async function frame(terminal: Terminal, options: Place): Promise<string> {
  let text: string;
  try {
    text = show(await learn(options.runDir), terminal, options.json === true, 0);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    text = options.json ? `${JSON.stringify({ error: error.message })}\n` : `${error.message}\n`;
  }
  if (options.json) return text;
  if (!terminal.screen) return `${text}\n`;
  return picture(text, terminal.size());
}

async function learn(runDir: string): Promise<Known> {
  try {
    return { whole: true, report: await statusOf(runDir) };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const pulse = await snapshot(runDir).catch((second: unknown) => {
      if (!(second instanceof CliError)) throw second;
      throw new CliError(`${error.message}\ntandem: ${second.message}`, { exitCode: EXIT.unreachable, cause: second });
    });
    return { whole: false, pulse, problem: error.message };
  }
}

function show(known: Known, terminal: Terminal, json: boolean, indent: number): string {
  const options = { colour: terminal.colour, now: terminal.now() };
  if (!json) {
    return known.whole ? renderStatus(known.report, options) : renderFeed(known.pulse, known.problem, options);
  }
  const { whole } = known;
  const answer = whole ? known.report : partial(known.pulse, known.problem, options.now);
  return `${JSON.stringify(answer, null, indent)}\n`;
}

/**
 * `tandem sync`: all that is known of it. The JSON is the part of the status report, with the names
 * and warmth of both routers.
 */
export async function sync(terminal: Terminal, options: Place): Promise<ExitCode> {
  const report = await statusOf(options.runDir);
  const rendered = renderSync(report, { colour: terminal.colour, now: terminal.now() });
  terminal.out(options.json ? `${JSON.stringify(syncJson(report), null, 2)}\n` : rendered);
  return EXIT.ok;
}

function syncJson({ generatedAt, pair, pulse, sync: found, kernel }: StatusReport): object {
  const { peer } = pulse ?? {};
  return {
    schema: 'tandem-sync/1',
    generatedAt,
    pair,
    node: pulse?.node ?? null,
    peer: pulse ? { node: pulse.peerNode, warm: peer && !peer.silent ? peer.warm : null } : null,
    sync: found,
    kernelFound: kernel.found,
  };
}

/**
 * What --json prints when only pulse answers: no services and no kernel, because nobody has said
 * anything about them.
 */
function partial(pulse: Snapshot, problem: string, now: number): object {
  const generatedAt = new Date(now).toISOString();
  return { schema: 'tandem-status-partial/1', generatedAt, health: 'degraded', problems: [problem], pulse };
}

type WhyOptions = Place & { readonly last: number; readonly stateDir: string; readonly verbose?: boolean };

/**
 * The last `last` changes of role in sentences, or decisions with their raw evidence, oldest first:
 * pulse's own, or what it wrote down before it ended.
 */
export async function why(terminal: Terminal, options: WhyOptions): Promise<ExitCode> {
  const { node, decisions } = await lastDecisions(terminal, options);
  const last = decisions.slice(-options.last);
  const { colour } = terminal;
  if (options.json) terminal.out(`${JSON.stringify(last, null, 2)}\n`);
  else if (options.verbose) terminal.out(renderDecisions(last, { colour }));
  else terminal.out(renderWhy(roleChanges(decisions).slice(-options.last), { colour, node }));
  return EXIT.ok;
}

/** node: this router, undefined when pulse does not answer. */
interface Remembered {
  readonly node: string | undefined;
  readonly decisions: readonly Decision[];
}

async function lastDecisions(terminal: Terminal, { runDir, stateDir }: WhyOptions): Promise<Remembered> {
  try {
    return await snapshot(runDir);
  } catch (error) {
    const file = join(stateDir, STATE_FILE);
    const { rememberedDecisions } = await import('./io/past-decisions.ts');
    const remembered = error instanceof CliError ? rememberedDecisions(file) : undefined;
    if (!remembered) throw error;
    terminal.err(`tandem: ${(error as CliError).message}\nthese decisions are from ${file}\n`);
    return { node: undefined, decisions: remembered };
  }
}

/** What the director would change in the kernel now. */
export async function showPlan(terminal: Terminal, options: Place): Promise<ExitCode> {
  const { kernelPlanSchema } = await import('../feed/reload-answer.ts');
  const answer = await getJson(options.runDir, DIRECTOR_CONTROL_SOCKET, '/plan', kernelPlanSchema);
  const json = `${JSON.stringify(answer, null, 2)}\n`;
  terminal.out(options.json ? json : renderPlan(answer, { colour: terminal.colour }));
  return EXIT.ok;
}

// `tandem drain` and `enable`: asks the director, says on which routers it holds, and waits for the
// last session on demand. With --router it is a planned handover and a hold, which pulse has
// already (role.ts).
import type { ServerName } from '../drain/drains.ts';
import { DIRECTOR_CONTROL_SOCKET } from '../feed/files.ts';
import { owns } from '../feed/owns.ts';
import { drainAnswerSchema } from '../status/drain-answer.ts';
import type { StatusReport } from '../status/status-report.ts';
import type { Ms } from '../units/duration.ts';
import { type DrainEnd, drainsOf, endOf, progressOf, timeLeft, whereDrained, whyNotShared } from './drain-progress.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { askJson, snapshot, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { whoAmI } from './io/who.ts';
import { handover, hold, release } from './role.ts';

/** An audit can take seconds. */
const ORDER_MS_MAX = 30_000;
/** The other director answers within milliseconds, if it does. */
const SHARED_MS_MAX = 3_000;
const LOOK_MS = 500;
/** A director that is restarted is waited for. */
const AWAY_MS_MAX = 30_000;
/** A line at least so often. */
const TELL_MS = 60_000;
/** Longest wait for a cold peer before this router hands over, in seconds. */
const WARM_S = 20;

export interface DrainArguments {
  readonly runDir: string;
  readonly router?: boolean;
  readonly deadline?: Ms;
  readonly reason?: string;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly timeout?: Ms;
  readonly json?: boolean;
}

export async function drain(terminal: Terminal, target: string | undefined, given: DrainArguments): Promise<ExitCode> {
  if (given.router) {
    refuseBoth(target, given);
    return await drainRouter(terminal, given);
  }
  const name = targetOf(target, 'drain');
  if (given.timeout !== undefined && !given.wait)
    throw new CliError('--timeout is for --wait', { exitCode: EXIT.usage });
  const { deadline, reason, force } = given;
  const query = {
    ...{ target: name, who: whoAmI() },
    ...(deadline === undefined ? {} : { span_ms: String(deadline) }),
    ...(reason === undefined ? {} : { reason }),
    ...(force ? { force: '1' } : {}),
  };
  const servers = await order(terminal, given, '/drain', query);
  const { report, interrupted } = await untilShared(terminal, given, servers);
  if (interrupted) return interruptedOf(terminal, given, servers, report);
  if (!given.json) {
    terminal.out(`drained: ${namesOf(servers)}, ${whereDrained(report, servers)}\n`);
    if (!given.wait) terminal.out(`${progressOf(drainsOf(report, servers))}; ${timeLeft(drainsOf(report, servers))}\n`);
  }
  if (given.wait) return await waitForEnd(terminal, given, servers, report);
  if (given.json) terminal.out(json(report, servers, endOf(report, servers)));
  return EXIT.ok;
}

/** Ctrl-C ends the wait for the other router, too: the order was given, and holds. */
function interruptedOf(
  terminal: Terminal,
  given: DrainArguments,
  servers: readonly ServerName[],
  report: StatusReport,
): ExitCode {
  if (given.json) terminal.out(json(report, servers, endOf(report, servers)));
  const drains = drainsOf(report, servers);
  const told = `${whereDrained(report, servers)}; ${progressOf(drains)}`;
  terminal.err(`tandem: interrupted: drained ${told}; the drain stays until: tandem enable ${namesOf(servers)}\n`);
  return EXIT.left;
}

export async function enable(terminal: Terminal, target: string | undefined, given: DrainArguments): Promise<ExitCode> {
  if (given.router) {
    refuseBoth(target, given);
    return await release(terminal, given.runDir);
  }
  const name = targetOf(target, 'enable');
  const servers = await order(terminal, given, '/enable', { target: name, who: whoAmI() });
  const report = await statusOf(given.runDir);
  if (given.json) terminal.out(json(report, servers, 'enabled'));
  else if (servers.length === 0) terminal.out(`${name} is not drained\n`);
  else terminal.out(`enabled: ${namesOf(servers)}${enabledWhere(report)}\n`);
  return EXIT.ok;
}

function enabledWhere(report: StatusReport): string {
  const isLinked = report.sync.links.some(({ connected }) => connected);
  return isLinked ? ', on both routers' : `, this router only: ${whyNotShared(report)}`;
}

function targetOf(target: string | undefined, command: 'drain' | 'enable'): string {
  if (target !== undefined) return target;
  const problem = `which server? Write: tandem ${command} SERVER, SERVICE/SERVER or SERVICE, or --router; tandem status lists them`;
  throw new CliError(problem, { exitCode: EXIT.usage });
}

function refuseBoth(target: string | undefined, given: DrainArguments): void {
  const { wait, deadline, reason, timeout, json: asJson } = given;
  const isAlone = deadline === undefined && reason === undefined && timeout === undefined;
  if (target === undefined && isAlone && !wait && !asJson) return;
  const problem =
    '--router is for this router as a whole: no server, --wait, --timeout, --deadline, --reason or --json beside it';
  throw new CliError(problem, { exitCode: EXIT.usage });
}

async function order(
  terminal: Terminal,
  { runDir }: DrainArguments,
  path: '/drain' | '/enable',
  query: Readonly<Record<string, string>>,
): Promise<readonly ServerName[]> {
  const asked = `${path}?${new URLSearchParams(query)}`;
  const question = {
    runDir,
    socket: DIRECTOR_CONTROL_SOCKET,
    path: asked,
    method: 'POST',
    forMs: ORDER_MS_MAX,
  } as const;
  const { servers, unsaved } = await askJson(question, drainAnswerSchema);
  if (unsaved !== '') terminal.err(`tandem: it is not saved, and a restart of the director forgets it: ${unsaved}\n`);
  return servers;
}

/** The status once both routers have it, or it is clear that they will not soon, or Ctrl-C came. */
async function untilShared(
  terminal: Terminal,
  { runDir }: DrainArguments,
  servers: readonly ServerName[],
): Promise<{ readonly report: StatusReport; readonly interrupted: boolean }> {
  const end = terminal.monotonicNow() + SHARED_MS_MAX;
  for (;;) {
    const report = await statusOf(runDir);
    const isHopeless = !report.sync.links.some(({ connected }) => connected);
    const isShared = drainsOf(report, servers).every(({ shared }) => shared);
    if (isHopeless || isShared || terminal.monotonicNow() >= end) return { report, interrupted: false };
    if (!(await terminal.pause(LOOK_MS / 5))) return { report, interrupted: true };
  }
}

async function waitForEnd(
  terminal: Terminal,
  given: DrainArguments,
  servers: readonly ServerName[],
  first: StatusReport,
): Promise<ExitCode> {
  const { runDir, timeout } = given;
  const endAt = timeout === undefined ? Number.POSITIVE_INFINITY : terminal.monotonicNow() + timeout;
  let report = first;
  let seenAt = terminal.monotonicNow();
  let told = { text: '', at: -Infinity };
  for (;;) {
    const drains = drainsOf(report, servers);
    const end = endOf(report, servers);
    if (end !== 'waiting') return finish(terminal, given, servers, { report, end });
    const text = progressOf(drains);
    const now = terminal.monotonicNow();
    if (text !== told.text || now - told.at >= TELL_MS) {
      terminal.err(`${text}; ${timeLeft(drains)}\n`);
      told = { text, at: now };
    }
    if (now >= endAt) return finish(terminal, given, servers, { report, end, why: 'the wait is over' });
    if (!(await terminal.pause(LOOK_MS))) return finish(terminal, given, servers, { report, end, why: 'interrupted' });
    const next = await look(runDir, terminal.monotonicNow() - seenAt < AWAY_MS_MAX);
    if (next === undefined) continue;
    report = next;
    seenAt = terminal.monotonicNow();
  }
}

/** Undefined: the director does not answer, and may be on its way back. */
async function look(runDir: string, mayBeAway: boolean): Promise<StatusReport | undefined> {
  try {
    return await statusOf(runDir);
  } catch (error) {
    if (error instanceof CliError && mayBeAway) return undefined;
    throw error;
  }
}

interface Finish {
  readonly report: StatusReport;
  readonly end: DrainEnd;
  /** Why the wait ended before the drain did. */
  readonly why?: string;
}

function finish(
  terminal: Terminal,
  given: DrainArguments,
  servers: readonly ServerName[],
  { report, end, why = '' }: Finish,
): ExitCode {
  if (given.json) terminal.out(json(report, servers, end));
  const names = namesOf(servers);
  switch (end) {
    case 'empty':
      if (!given.json) terminal.out(`no session is left on ${names}\n`);
      return EXIT.ok;
    case 'over':
      terminal.err(`tandem: the time of ${names} is over; what it still had was cut, see DRAIN_OVER in the log\n`);
      return EXIT.left;
    case 'enabled':
      terminal.err(`tandem: ${names} was enabled meanwhile\n`);
      return EXIT.no;
    case 'waiting':
      terminal.err(
        `tandem: ${why}: ${progressOf(drainsOf(report, servers))}; the drain stays until: tandem enable ${names}\n`,
      );
      return EXIT.left;
  }
}

function namesOf(servers: readonly ServerName[]): string {
  return servers.map(({ service, server }) => `${service}/${server}`).join(' ');
}

function json(report: StatusReport, servers: readonly ServerName[], end: DrainEnd): string {
  const drains = drainsOf(report, servers);
  const shared = end !== 'enabled' && drains.length > 0 && drains.every(one => one.shared);
  return `${JSON.stringify({ schema: 'tandem-drain/1', servers, state: end, shared, drains }, null, 2)}\n`;
}

/** This router hands over if it is active, and then stays standby. */
async function drainRouter(terminal: Terminal, { runDir, force }: DrainArguments): Promise<ExitCode> {
  const before = await snapshot(runDir);
  const isServed = before.peer?.serving === true && !before.peer.silent;
  if (owns(before)) {
    const code = await handover(terminal, { runDir, cold: force === true, wait: force ? 0 : WARM_S });
    if (code !== EXIT.ok) return code;
  } else if (!isServed && !force) {
    const problem = `${before.peerNode} is not heard to serve, and without ${before.node} nobody would: see tandem status, or add --force`;
    throw new CliError(problem, { exitCode: EXIT.no });
  }
  const code = await hold(terminal, runDir, undefined);
  if (code === EXIT.ok) {
    terminal.out(
      `${before.node} is drained: ${before.peerNode} serves. Work on ${before.node}, then: tandem enable --router\n`,
    );
  }
  return code;
}

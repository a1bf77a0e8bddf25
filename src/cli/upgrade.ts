// `tandem upgrade`: puts the version that is installed in the place of the one that runs, on a
// router that stands by: restarts both daemons and waits until the router is ready again. With
// `--handover` an active router hands over first. So a pair is upgraded with one handover: the
// standby, then the other one.
import { z } from 'zod';
import { loadConfig } from '../config/io/load.ts';
import { mistakeLine } from '../config/mistakes.ts';
import { STATUS_SOCKET } from '../feed/files.ts';
import type { Snapshot } from '../feed/message.ts';
import { packageVersion } from '../units/io/version.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { getJson, snapshot } from './io/socket.ts';
import { systemctl } from './io/systemctl.ts';
import type { Terminal } from './io/terminal.ts';
import { handover } from './role.ts';
import { lacking, type UpgradeView, upgradeStep } from './upgrade-step.ts';

export interface UpgradeArguments {
  readonly config: string;
  readonly runDir: string;
  readonly handover?: boolean;
  /** Seconds, at most, for a peer to become fit to take over, and for this router's return. */
  readonly wait: number;
  readonly json?: boolean;
}

const UNITS = ['tandem-director', 'tandem-pulse'];
const LOOK_MS = 500;
const versionSchema = z.object({ version: z.string() });

/** Ends with 0 when this router runs what is installed and is ready; 1: not, and why. */
export async function upgrade(terminal: Terminal, options: UpgradeArguments): Promise<ExitCode> {
  const installed = packageVersion();
  const config = usable(terminal, options.config);
  const began = terminal.monotonicNow();
  const before = await look(options.runDir);
  const next = (seen: UpgradeView) => upgradeStep(seen, installed, options.handover === true);
  let step = next(before);
  if (step.do === 'wait') terminal.err(`waiting up to ${options.wait} s for ${before.peerNode} to stand by\n`);
  for (const end = began + options.wait * 1_000; step.do === 'wait' && terminal.monotonicNow() < end; ) {
    if (!(await terminal.pause(LOOK_MS))) break;
    step = next(await look(options.runDir));
  }
  const tell = (did: { readonly handedOver: boolean; readonly restarted: boolean }, words: string): void => {
    const tookS = (terminal.monotonicNow() - began) / 1_000;
    if (options.json) terminal.out(`${JSON.stringify({ from: before, to: installed, ...did, tookS }, null, 2)}\n`);
    else terminal.out(`${words}\n`);
  };
  if (step.do === 'refuse' || step.do === 'wait') throw new CliError(step.words, { exitCode: EXIT.no });
  if (step.do === 'nothing') {
    tell({ handedOver: false, restarted: false }, step.words);
    return EXIT.ok;
  }
  terminal.err(`${step.words}\n`);
  if (step.do === 'hand-over') {
    const code = await handover(quiet(terminal), { runDir: options.runDir, cold: false, wait: options.wait });
    if (code !== EXIT.ok) return code;
  }
  await restart(terminal);
  const last = await untilReady(terminal, options, installed, config);
  const took = ((terminal.monotonicNow() - began) / 1_000).toFixed(1);
  const peer = step.do === 'hand-over' ? '' : `; then on ${last.peerNode}: tandem upgrade --handover`;
  tell(
    { handedOver: step.do === 'hand-over', restarted: true },
    `${last.node} runs ${installed} and is ${last.role} again after ${took} s${peer}`,
  );
  return EXIT.ok;
}

/**
 * Whether it has services. Tells every mistake and throws: a daemon that has ended would not start
 * again.
 */
function usable(terminal: Terminal, file: string): { readonly hasServices: boolean } {
  const loaded = loadConfig(file);
  if (loaded.ok) return { hasServices: Object.keys(loaded.config.services).length > 0 };
  for (const mistake of loaded.mistakes) terminal.err(`${mistakeLine(file, mistake)}\n`);
  throw new CliError(`${file} cannot be used by ${packageVersion()}: nothing was restarted; mend it, then try again`, {
    exitCode: EXIT.no,
  });
}

/** What runs; a daemon that does not answer is not running, for all that a restart minds. */
async function look(runDir: string): Promise<UpgradeView> {
  const [pulse, director] = await Promise.all([
    answered(snapshot(runDir)),
    answered(getJson(runDir, STATUS_SOCKET, '/status', versionSchema)),
  ]);
  return {
    director: director?.version ?? null,
    ...(pulse ? pulsePart(pulse) : { pulse: null, node: '', peerNode: '', role: null, peerRole: null, lacks: null }),
  };
}

function pulsePart(now: Snapshot): Omit<UpgradeView, 'director'> {
  const heard = now.peer && !now.peer.silent;
  return {
    // 0.3.0 does not say its version.
    pulse: now.program ?? 'before 0.4.0',
    node: now.node,
    peerNode: now.peerNode,
    role: now.role,
    peerRole: heard ? (now.peer?.role ?? null) : null,
    lacks: lacking(now),
  };
}

async function answered<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CliError && error.exitCode === EXIT.unreachable) return undefined;
    throw error;
  }
}

async function restart(terminal: Terminal): Promise<void> {
  await systemctl(['daemon-reload']);
  terminal.err(`restarting ${UNITS.join(' and ')}\n`);
  await systemctl(['restart', ...UNITS]);
  // It runs only when it was asked for something.
  await systemctl(['try-restart', 'tandem-runner']);
}

async function untilReady(
  terminal: Terminal,
  { runDir, wait }: UpgradeArguments,
  installed: string,
  { hasServices }: { readonly hasServices: boolean },
): Promise<UpgradeView> {
  const end = terminal.monotonicNow() + wait * 1_000;
  let told = '';
  for (;;) {
    const now = await look(runDir);
    const missing = missingOf(now, installed, hasServices);
    if (missing === '') return now;
    if (missing !== told) terminal.err(`${missing}\n`);
    told = missing;
    if (terminal.monotonicNow() >= end) {
      throw new CliError(`restarted, but after ${wait} s ${missing}; see: tandem status, tandem doctor`, {
        exitCode: EXIT.no,
      });
    }
    if (!(await terminal.pause(LOOK_MS))) {
      throw new CliError(`interrupted: restarted, and ${missing}`, { exitCode: EXIT.no });
    }
  }
}

function missingOf(now: UpgradeView, installed: string, hasServices: boolean): string {
  if (now.pulse === null) return 'pulse does not answer yet';
  if (now.pulse !== installed) return `pulse still runs ${now.pulse}`;
  if (hasServices && now.director === null) return 'the director does not answer yet';
  if (now.director !== null && now.director !== installed) return `the director still runs ${now.director}`;
  return now.lacks ?? '';
}

/** Its last words are not this command's answer. */
function quiet(terminal: Terminal): Terminal {
  return { ...terminal, out: text => terminal.err(text) };
}

// `tandem reload`: asks the director what a reload would change, shows it, and has it done: only if
// the file is still the one that was shown. The director has pulse read it, too.
import { DIRECTOR_CONTROL_SOCKET } from '../feed/files.ts';
import {
  type PairOutcome,
  type PairPlan,
  pairOutcomeSchema,
  pairPlanSchema,
  type ReloadOutcome,
  type ReloadPlan,
  reloadOutcomeSchema,
  reloadPlanSchema,
} from '../feed/reload-answer.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { askJson } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { renderPairOutcome, renderPairPlan, renderReloadOutcome, renderReloadPlan } from './render-plan.ts';

export interface ReloadArguments {
  readonly runDir: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  /** Both routers. */
  readonly pair?: boolean;
}

/** pulse has 22 s to read the file, and the kernel may be slow. */
const PLAN_MS_MAX = 60_000;
const RELOAD_MS_MAX = 90_000;
/**
 * The other router has 30 s to look at its file and 60 s to take it, then this one takes its own.
 */
const PAIR_MS_MAX = 240_000;

export function reload(terminal: Terminal, options: ReloadArguments): Promise<ExitCode> {
  return options.pair ? reloadPair(terminal, options) : reloadHere(terminal, options);
}

async function reloadHere(terminal: Terminal, options: ReloadArguments): Promise<ExitCode> {
  const plan = await planOf(options);
  const show = (text: string): void => {
    if (!options.json) terminal.out(text);
  };
  if (plan.mistakes.length > 0) {
    tellMistakes(terminal, plan.file, plan.mistakes);
    if (options.json) terminal.out(inJson(plan, null));
    return EXIT.no;
  }
  show(renderReloadPlan(plan, terminal));
  if (options.dryRun || plan.digest.after === null) {
    show('nothing was changed (--dry-run)\n');
    if (options.json) terminal.out(inJson(plan, null));
    return plan.pulse.state === 'refused' ? EXIT.no : EXIT.ok;
  }
  const outcome = await apply(options.runDir, plan.digest.after);
  if (options.json) terminal.out(inJson(plan, outcome));
  if (!outcome.reloaded) {
    if (outcome.mistakes.length > 0) tellMistakes(terminal, plan.file, outcome.mistakes);
    else terminal.err(`tandem: nothing was changed: ${outcome.problem}\n`);
    return EXIT.no;
  }
  show(`\n${renderReloadOutcome(outcome, terminal)}`);
  return codeOf(outcome);
}

function planOf({ runDir }: ReloadArguments): Promise<ReloadPlan> {
  return askJson({ runDir, socket: DIRECTOR_CONTROL_SOCKET, path: '/reload', forMs: PLAN_MS_MAX }, reloadPlanSchema);
}

function apply(runDir: string, digest: string): Promise<ReloadOutcome> {
  const path = `/reload?digest=${digest}`;
  return askJson(
    { runDir, socket: DIRECTOR_CONTROL_SOCKET, path, method: 'POST', forMs: RELOAD_MS_MAX, statuses: [409, 422] },
    reloadOutcomeSchema,
  );
}

async function reloadPair(terminal: Terminal, options: ReloadArguments): Promise<ExitCode> {
  const { runDir } = options;
  const socket = DIRECTOR_CONTROL_SOCKET;
  const plan = await askJson({ runDir, socket, path: '/reload?pair', forMs: PLAN_MS_MAX }, pairPlanSchema);
  const tell = (outcome: PairOutcome | null): void => {
    if (options.json) terminal.out(inJson(plan, outcome));
    else if (outcome !== null) terminal.out(`\n${renderPairOutcome(outcome, plan.own.node, terminal)}`);
    else terminal.out('nothing was changed on either router\n');
  };
  if (!options.json) terminal.out(renderPairPlan(plan, terminal));
  const digest = plan.own.digest.after;
  if (plan.refusal !== '' || options.dryRun || digest === null) {
    for (const mistake of plan.own.mistakes) terminal.err(`${mistake}\n`);
    tell(null);
    if (plan.refusal !== '') terminal.err(`tandem: ${plan.refusal}\n`);
    return plan.refusal === '' ? EXIT.ok : EXIT.no;
  }
  const path = `/reload?pair&digest=${digest}`;
  const question = { runDir, socket, path, method: 'POST', forMs: PAIR_MS_MAX, statuses: [409] } as const;
  const outcome = await askJson(question, pairOutcomeSchema);
  tell(outcome);
  if (outcome.problem !== '') terminal.err(`tandem: ${outcome.problem}\n`);
  return outcome.problem !== '' || outcome.own === null ? EXIT.no : codeOf(outcome.own);
}

function tellMistakes(terminal: Terminal, file: string, mistakes: readonly string[]): void {
  for (const mistake of mistakes) terminal.err(`${mistake}\n`);
  const count = `${mistakes.length} mistake${mistakes.length === 1 ? '' : 's'}`;
  terminal.err(`tandem: ${count} in ${file}: nothing was changed\n`);
}

function codeOf({ kernel, pulse }: ReloadOutcome): ExitCode {
  if (!kernel.rulesIn || pulse.state === 'refused' || pulse.problem !== '') {
    return pulse.state === 'unreachable' && kernel.rulesIn ? EXIT.unreachable : EXIT.no;
  }
  return EXIT.ok;
}

function inJson(plan: ReloadPlan | PairPlan, outcome: ReloadOutcome | PairOutcome | null): string {
  return `${JSON.stringify({ plan, outcome }, null, 2)}\n`;
}

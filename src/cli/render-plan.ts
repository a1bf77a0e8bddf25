// What `tandem plan` and `tandem reload` print for people: what would change, and what became of
// it. Pure.
import type { KernelPlan, PairOutcome, PairPlan, ReloadOutcome, ReloadPlan } from '../feed/reload-answer.ts';
import { type Paint, painter, printable } from './format.ts';
import { notices, page, problems, type RenderOptions, SENTENCE_LENGTH_MAX } from './render.ts';

/** A mistake names its file, and what to write instead. */
const WARNING_LENGTH_MAX = 600;

/** The changes the director would make, disruptive ones marked. */
export function renderPlan(plan: KernelPlan, { colour }: Pick<RenderOptions, 'colour'>): string {
  const paint = painter(colour);
  return page([
    problems(plan.problems, paint),
    plan.changes.length > 0
      ? planLines('CHANGES', plan, paint)
      : 'nothing to change: the kernel is as the config wants it',
  ]);
}

/** Under `title`, and below the new table of rules the lines that come and go. */
function planLines(title: string, { changes, rules }: KernelPlan, paint: Paint): string {
  const lines = changes.flatMap(({ target, change, disruptive }) => {
    const mark = disruptive ? `  ${paint('bad', '(disruptive)')}` : '';
    const below = target === 'nft' ? rules.map(line => `       ${printable(line, SENTENCE_LENGTH_MAX)}`) : [];
    return [`  ${target}: ${printable(change, SENTENCE_LENGTH_MAX)}${mark}`, ...below];
  });
  return [paint('bold', title), ...lines].join('\n');
}

/** What `tandem reload` would change, or is about to. */
export function renderReloadPlan(plan: ReloadPlan, { colour }: Pick<RenderOptions, 'colour'>): string {
  const paint = painter(colour);
  const { kernel, pulse, warnings } = plan;
  return page([
    [...warnings, ...(pulse.problem === '' ? [] : [pulse.problem])]
      .map(line => printable(line, WARNING_LENGTH_MAX))
      .join('\n'),
    configLines(plan, paint),
    pulse.waiting.length === 0 ? '' : notices([waitingWords(pulse.waiting)], paint),
    problems(kernel.problems, paint),
    kernel.changes.length > 0 ? planLines('KERNEL', kernel, paint) : 'nothing changes in the kernel',
  ]);
}

function configLines({ node, file, digest, changes }: ReloadPlan, paint: Paint): string {
  const title = `${paint('bold', 'CONFIG')}  ${file} on ${node}, digest`;
  if (changes.length === 0) return `${title} ${digest.before}: says what is in use`;
  const signs = { added: '+', removed: '-', changed: '~' } as const;
  const tones = { added: 'good', removed: 'warn', changed: 'bold' } as const;
  const lines = changes.map(
    ({ kind, path, words }) => `  ${paint(tones[kind], signs[kind])} ${path}: ${printable(words, SENTENCE_LENGTH_MAX)}`,
  );
  return [`${title} ${digest.before} -> ${digest.after}`, ...lines].join('\n');
}

function waitingWords(waiting: readonly string[]): string {
  return `pulse takes these at its start only: ${waiting.join(', ')}; at leisure: systemctl restart tandem-pulse, the standby first, then tandem handover`;
}

/** The same for both routers: this one in full, the other one by what it says of its file. */
export function renderPairPlan(plan: PairPlan, options: Pick<RenderOptions, 'colour'>): string {
  const paint = painter(options.colour);
  const { own, peer, peerNode, refusal } = plan;
  // The refusal is told at the end, with what it is for.
  const untold = (problem: string) => (refusal.includes(problem) ? '' : problem);
  const pulse = { ...own.pulse, problem: untold(own.pulse.problem) };
  const here = own.digest.after === null ? '' : renderReloadPlan({ ...own, pulse }, options);
  if (peer === null) return here;
  const { file, inUse, digest, waiting, words } = peer;
  const becomes = digest === inUse ? `${inUse}: says what is in use` : `${inUse} -> ${digest ?? 'not usable'}`;
  const restart = waiting.length === 0 ? [] : [`  waits for a restart of pulse there: ${waiting.join(', ')}`];
  const others = words.filter(word => untold(word) !== '');
  const problems = others.map(word => `  ${paint('bad', '!')} ${printable(word, WARNING_LENGTH_MAX)}`);
  const title = `${paint('bold', 'PEER')}  ${printable(file, SENTENCE_LENGTH_MAX)} on ${peerNode}, digest ${becomes}`;
  return `${here}${here === '' ? '' : '\n'}${[title, ...restart, ...problems].join('\n')}\n`;
}

/** What both have done, a line each. */
export function renderPairOutcome(
  { peer, peerUses, peerNode, own, problem }: PairOutcome,
  node: string,
  options: Pick<RenderOptions, 'colour'>,
): string {
  const { before, now } = peerUses;
  const uses = now === null ? '' : `, it uses ${now}`;
  const reloaded = now !== null && now === before ? `uses ${now}, as before` : 'uses the new config';
  const words = { untouched: `nothing was changed${uses}`, reloaded, unknown: 'NOT KNOWN' }[peer];
  const here = own?.reloaded ? `\n${renderReloadOutcome(told(own, problem), options)}` : ' nothing was changed\n';
  return `${peerNode}: ${words}\n${node}:${here}`;
}

/** Without what `problem` says of it. */
function told(own: ReloadOutcome, problem: string): ReloadOutcome {
  const errors = own.kernel.errors.filter(error => !problem.includes(error));
  const pulse = { ...own.pulse, problem: problem.includes(own.pulse.problem) ? '' : own.pulse.problem };
  return { ...own, kernel: { ...own.kernel, errors }, pulse };
}

/** What became of a reload, a line each. */
export function renderReloadOutcome(outcome: ReloadOutcome, { colour }: Pick<RenderOptions, 'colour'>): string {
  const paint = painter(colour);
  const { digest, kernel, pulse } = outcome;
  const followed = kernel.rulesIn ? 'the kernel has all of it' : paint('bad', 'THE KERNEL DOES NOT HAVE ALL OF IT');
  const took = {
    read:
      pulse.waiting.length === 0
        ? 'has taken it'
        : `has taken it, and waits for a restart with ${pulse.waiting.join(', ')}`,
    refused: paint('bad', 'HAS NOT TAKEN IT'),
    unreachable: paint('bad', 'WAS NOT ASKED'),
  }[pulse.state];
  return [
    `director: uses ${digest}; ${followed}`,
    ...kernel.errors.map(error => `  ${paint('bad', '!')} ${printable(error, SENTENCE_LENGTH_MAX)}`),
    `pulse: ${took}${pulse.problem === '' ? '' : ` (${printable(pulse.problem, SENTENCE_LENGTH_MAX)})`}`,
    '',
  ].join('\n');
}

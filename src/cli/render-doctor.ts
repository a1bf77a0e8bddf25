// What `tandem doctor` prints: problems first, each with the command that mends it. Pure.
import { countFindings, type HostFinding, type HostSeverity } from '../doctor/host-finding.ts';
import { type Paint, painter, printable } from './format.ts';

const WORDS: Readonly<Record<HostSeverity, string>> = {
  problem: 'PROBLEM',
  warning: 'WARNING',
  notice: 'notice',
  unseen: 'not seen',
  ok: 'ok',
};
const TONES = { problem: 'bad', warning: 'warn', notice: 'dim', unseen: 'dim', ok: 'good' } as const;
const SENTENCE_MAX = 600;

export function renderDoctor(
  found: readonly HostFinding[],
  node: string,
  options: { readonly colour: boolean },
): string {
  const paint = painter(options.colour);
  const told = found.filter(({ severity }) => severity !== 'ok');
  const well = found.filter(({ severity }) => severity === 'ok').map(({ sentence }) => sentence);
  return [
    ...told.map(one => block(one, paint)),
    ...(well.length > 0 ? [`${paint('good', 'ok'.padEnd(8))}  ${well.join('; ')}\n`] : []),
    `${node}: ${summary(found)}\n`,
  ].join('');
}

function block({ severity, sentence, fix }: HostFinding, paint: Paint): string {
  const head = paint(TONES[severity], WORDS[severity].padEnd(8));
  const mend = fix === null ? '' : `          ${paint('bold', printable(fix, SENTENCE_MAX))}\n`;
  return `${head}  ${printable(sentence, SENTENCE_MAX)}\n${mend}`;
}

function summary(found: readonly HostFinding[]): string {
  const { problem, warning, notice, unseen } = countFindings(found);
  if (problem + warning === 0) return unseen === 0 ? 'nothing to mend' : 'nothing to mend in what could be looked at';
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
  return `${count(problem, 'problem')}, ${count(warning, 'warning')}, ${count(notice, 'notice')}`;
}

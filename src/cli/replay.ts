// `tandem replay`: runs a journal through the election of this version, offline, and says whether
// it decides what was decided. Touches no daemon and no kernel.
import { isDeepStrictEqual } from 'node:util';
import {
  type JournalHead,
  journalEndSchema,
  journalHeadSchema,
  journalStepSchema,
  readJournalLine,
} from '../feed/journal-line.ts';
import type { Decision } from '../feed/message.ts';
import { type Decided, missingState, Rerun } from '../pulse/rerun.ts';
import { packageVersion } from '../units/io/version.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { age, painter, printable } from './format.ts';
import { journalText } from './io/journal-text.ts';
import type { Terminal } from './io/terminal.ts';
import { renderDecisions } from './render.ts';

interface Played {
  readonly head: JournalHead;
  readonly steps: number;
  readonly lengthMs: number;
  readonly decided: readonly Decided[];
  readonly recorded: readonly Decided[];
}

export function replay(terminal: Terminal, file: string, { json = false }: { readonly json?: boolean }): ExitCode {
  const played = play(file, journalText(file));
  const [decided, recorded] = [timed(played, played.decided), timed(played, played.recorded)];
  const same = isDeepStrictEqual(decided, recorded);
  if (json) {
    const { tandem, node } = played.head;
    const { steps, lengthMs } = played;
    terminal.out(`${JSON.stringify({ same, tandem, node, steps, lengthMs, decided, recorded }, null, 2)}\n`);
  } else terminal.out(told(file, played, { same, decided, recorded, colour: terminal.colour }));
  return same ? EXIT.ok : EXIT.otherwise;
}

/** With wall times, for people. */
function timed({ head }: Played, decisions: readonly Decided[]): Decision[] {
  return decisions.map(({ at, decision }) => ({
    at: new Date(head.wallMs + at - head.monotonicMs).toISOString(),
    ...decision,
  }));
}

interface Outcome {
  readonly same: boolean;
  readonly decided: readonly Decision[];
  readonly recorded: readonly Decision[];
  readonly colour: boolean;
}

function told(file: string, { head, steps, lengthMs }: Played, { same, decided, recorded, colour }: Outcome): string {
  const paint = painter(colour);
  const version = packageVersion();
  const until = new Date(head.wallMs).toISOString();
  const other =
    head.tandem === version ? '' : `recorded by tandem ${printable(head.tandem, 40)}, replayed by ${version}\n`;
  const about = `${file}: ${printable(head.node, 64)}, ${steps} events in ${age(lengthMs)}, until ${until}\n${other}\n`;
  const count = `${decided.length} ${decided.length === 1 ? 'decision' : 'decisions'}`;
  if (same)
    return `${about}${renderDecisions(decided, { colour })}\n${paint('good', 'the same')} as was recorded: ${count}\n`;
  return (
    `${about}${paint('bold', 'DECIDED NOW')}\n${renderDecisions(decided, { colour })}\n` +
    `${paint('bold', 'RECORDED')}\n${renderDecisions(recorded, { colour })}\n${paint('bad', 'NOT THE SAME')}\n`
  );
}

function play(file: string, text: string): Played {
  const lines = text.split('\n').filter(line => line !== '');
  const fail = (line: number, problem: string, cause?: unknown) =>
    new CliError(`${file}, line ${line}: ${problem}`, { exitCode: EXIT.no, cause });
  const read = <T>(index: number, schema: { parse(value: unknown): T }, what: string): T => {
    try {
      return schema.parse(readJournalLine(lines[index] ?? ''));
    } catch (error) {
      throw fail(index + 1, `this is not ${what}; is the file a whole journal of Tandem's?`, error);
    }
  };
  const head = read(0, journalHeadSchema, 'the head of a journal');
  const end = read(lines.length - 1, journalEndSchema, 'the end of a journal');
  if (end.steps !== lines.length - 2)
    throw fail(lines.length, `it should have ${end.steps} events and has ${lines.length - 2}: it was cut`);
  const machine = begin(head, fail);
  const decided: Decided[] = [];
  const recorded: Decided[] = [];
  let [first, last] = [head.monotonicMs, head.monotonicMs];
  for (let index = 1; index < lines.length - 1; index += 1) {
    const { at, event, decisions } = read(index, journalStepSchema, 'an event');
    if (index === 1) first = at;
    last = at;
    try {
      decided.push(...machine.take(event, at));
    } catch (error) {
      throw fail(index + 1, `the machine of this version cannot take this event (${(error as Error).message})`, error);
    }
    recorded.push(...decisions.map(decision => ({ at: at as Decided['at'], decision })));
  }
  return { head, steps: end.steps, lengthMs: last - first, decided, recorded };
}

function begin(head: JournalHead, fail: (line: number, problem: string, cause?: unknown) => CliError): Rerun {
  const from = `recorded by tandem ${printable(head.tandem, 40)}: replay it with that version`;
  let missing: string | undefined;
  try {
    missing = missingState(head.machine);
  } catch (error) {
    throw fail(1, `its state is not one that this version knows; ${from}`, error);
  }
  if (missing !== undefined) throw fail(1, `its state has no ${missing}; ${from}`);
  return new Rerun(head.machine);
}

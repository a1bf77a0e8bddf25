// What went into the machine in the last minute, so that a decision can be run again
// (`tandem replay`): the machine as it was, and each event with its instant. It costs a reference
// for each event; nothing is copied or encoded before somebody asks. Pure.
import { endLine, headLine, type JournalHead, stepLine } from '../feed/journal-line.ts';
import type { Decision } from '../feed/message.ts';
import { type At, between } from '../units/duration.ts';
import type { Effect, Machine, PulseEvent } from './election/machine.ts';
import { JOURNAL_MS, JOURNAL_SEGMENT_MS } from './timing.ts';

/** Whatever the pace of events: then it reaches less than JOURNAL_MS back. */
const BYTES_MAX = 8_388_608;
const SEGMENT_BYTES_MAX = 1_048_576;
/** A machine shares most of itself with the next one. */
const MACHINE_BYTES = 32_768;

interface Step {
  readonly at: At;
  readonly event: PulseEvent;
  readonly decisions: readonly Omit<Decision, 'at'>[];
}

/** Events in a row, and the machine before the first of them. */
interface Segment {
  readonly machine: Machine;
  readonly since: At;
  readonly steps: Step[];
  bytes: number;
}

/** The machine as it was, and what came since; nothing is added to it any more. */
interface Recording {
  readonly machine: Machine;
  readonly steps: readonly (readonly Step[])[];
}

export class Journal {
  #segments: Segment[] = [];
  #isSealed = true;

  /** `before`: the machine that the event came to. */
  note(before: Machine, event: PulseEvent, effects: readonly Effect[], at: At): void {
    let open = this.#segments.at(-1);
    if (!open || this.#isSealed || between(open.since, at) >= JOURNAL_SEGMENT_MS || open.bytes >= SEGMENT_BYTES_MAX) {
      open = { machine: before, since: at, steps: [], bytes: MACHINE_BYTES };
      this.#segments.push(open);
      this.#isSealed = false;
      this.#forget(at);
    }
    const decisions = effects.flatMap(effect => (effect.type === 'decision' ? [effect.decision] : []));
    open.steps.push({ at, event, decisions });
    open.bytes += bytesOf(event);
  }

  /** Undefined: nothing has happened yet. */
  recording(): Recording | undefined {
    const [first] = this.#segments;
    if (!first) return undefined;
    this.#isSealed = true;
    return { machine: first.machine, steps: this.#segments.map(({ steps }) => steps) };
  }

  /** As its parts were counted; for tests. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A segment goes once the next one reaches far enough back, or there is no room for one more. */
  #forget(now: At): void {
    const reachesBack = () => {
      const next = this.#segments[1];
      return next !== undefined && between(next.since, now) >= JOURNAL_MS;
    };
    const isFull = () => this.#segments.length > 1 && this.bytes > BYTES_MAX - SEGMENT_BYTES_MAX;
    while (reachesBack() || isFull()) this.#segments.shift();
  }
}

/** What an event holds in memory, at most; told without walking through it. */
function bytesOf(event: PulseEvent): number {
  switch (event.type) {
    case 'datagram':
      return event.message.kind === 'heartbeat' ? 1_024 + 160 * event.message.macs.length : 512;
    case 'vipd':
      return 512 + ('text' in event.message ? 2 * event.message.text.length : 0);
    case 'reload':
      return 1_024 + event.next.units.reduce((sum, unit) => sum + 64 + 8 * unit.length, 0);
    case 'witness':
      return 512 + 2 * event.answer.problem.length;
    default:
      return 384;
  }
}

/** The recording as lines, one at a time: who asks for the next decides when it is made. */
export function* journalLines(
  { machine, steps }: Recording,
  head: Omit<JournalHead, 'machine'>,
): Generator<string, void, void> {
  yield headLine({ ...head, machine });
  let count = 0;
  for (const some of steps) {
    for (const { at, event, decisions } of some) {
      count += 1;
      yield stepLine(at, event, decisions);
    }
  }
  yield endLine(count);
}

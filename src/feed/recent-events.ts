// The last events of pulse, for the director, whose hooks act on them: what the log took, few and
// short, and only for so long as a director that is restarted may be away. In calm weather there
// are none, and a snapshot is as short as without. Pure.
import { type At, between } from '../units/duration.ts';
import type { FeedEvent, FeedEvents } from './feed-events.ts';

const EVENTS_MAX = 32;
/** In JSON; a snapshot with all of them is to fit into a line of the feed. */
const BYTES_MAX = 16_384;
const KEPT_MS = 120_000;
const TEXT_LENGTH_MAX = 200;
const FIELDS_MAX = 20;

/** What the log has of one. */
interface LoggedEvent {
  readonly ts: string;
  readonly code: string;
  readonly severity: string;
  readonly fields: Readonly<FeedEvent['fields']>;
}

export class RecentEvents {
  readonly #life: string;
  #seq = 0;
  #kept: readonly { readonly event: FeedEvent; readonly at: At; readonly bytes: number }[] = [];

  /** `life`: the numbers begin anew with each. */
  constructor(life: string) {
    this.#life = life;
  }

  add({ ts, code, severity, fields }: LoggedEvent, at: At): void {
    if (severity === 'debug') return;
    this.#seq += 1;
    const event: FeedEvent = { seq: this.#seq, at: ts, code, fields: shortened(fields) };
    const bytes = JSON.stringify(event).length;
    const kept = [...this.#kept, { event, at, bytes }].slice(-EVENTS_MAX);
    let sum = kept.reduce((all, one) => all + one.bytes, 0);
    while (sum > BYTES_MAX && kept.length > 1) sum -= kept.shift()?.bytes ?? 0;
    this.#kept = kept;
  }

  /** What there is at `now`; undefined: nothing. */
  at(now: At): FeedEvents | undefined {
    if (this.#kept.length === 0) return undefined;
    this.#kept = this.#kept.filter(({ at }) => between(at, now) < KEPT_MS);
    if (this.#kept.length === 0) return undefined;
    return { life: this.#life, list: this.#kept.map(({ event }) => event) };
  }
}

function shortened(fields: Readonly<FeedEvent['fields']>): FeedEvent['fields'] {
  const short = (value: FeedEvent['fields'][string]) =>
    typeof value === 'string' ? value.slice(0, TEXT_LENGTH_MAX) : value;
  return Object.fromEntries(
    Object.entries(fields)
      .slice(0, FIELDS_MAX)
      .map(([name, value]) => [name, short(value)]),
  );
}

// Whether the nannies of both routers say the same of a real server. They see it by different ways:
// where one finds it well and the other does not, something between is wrong that a takeover would
// bring to the clients. It is shown and told; no weight goes by it. Pure.
import { longestCheckMs } from '../config/check-time.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import { CHECKS_EVERY_MS, CHECKS_STALE_MS, type CheckWord } from '../nanny/check-word.ts';
import { PAUSE_MIN_MS } from '../nanny/nanny.ts';
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import type { Event } from './findings.ts';

interface Heard {
  readonly word: CheckWord;
  readonly at: At;
}

/** What the two say, while they say different things. */
interface Apart {
  readonly since: At;
  readonly here: CheckWord;
  readonly there: CheckWord;
  readonly told: boolean;
}

export interface CheckWatch {
  /** By service and server. */
  readonly heard: ReadonlyMap<string, Heard>;
  readonly apart: ReadonlyMap<string, Apart>;
}

export const NOTHING_COMPARED: CheckWatch = { heard: new Map(), apart: new Map() };

type About = Pick<CheckWord, 'service' | 'server'>;

function keyOf({ service, server }: About): string {
  return `${service}/${server}`;
}

/** The watch after words of the peer; those on servers that are not in this config are left out. */
export function hearChecks(
  before: CheckWatch,
  words: readonly CheckWord[],
  { services }: Pick<Config, 'services'>,
  now: At,
): CheckWatch {
  const heard = new Map(before.heard);
  for (const word of words) {
    const known = Object.hasOwn(services, word.service) ? services[word.service] : undefined;
    if (known && Object.hasOwn(known.servers, word.server)) heard.set(keyOf(word), { word, at: now });
  }
  return { ...before, heard };
}

/**
 * The longest time from a fault that both see until both have their verdict and each has heard the
 * other's: the check that had just passed, then as many as decide, each as long as it may take.
 */
export function noticeMs(service: ServiceConfig): Ms {
  const { interval, interval_down: down = interval, rise, fall } = service.check;
  const oneCheck = Math.max(interval, down, longestCheckMs(service) + PAUSE_MIN_MS);
  return ms((Math.max(rise, fall) + 1) * oneCheck + CHECKS_EVERY_MS);
}

interface ChecksLook {
  readonly config: Pick<Config, 'services'>;
  readonly words: readonly CheckWord[];
  readonly now: At;
}

/** Compares what the nannies here say with what is known of the peer's. */
export function watchChecks(
  before: CheckWatch,
  { config: { services }, words, now }: ChecksLook,
): { readonly next: CheckWatch; readonly events: readonly Event[] } {
  const known = new Map(words.map(word => [keyOf(word), word]));
  const heard = new Map(
    [...before.heard].filter(([key, { at }]) => known.has(key) && between(at, now) < CHECKS_STALE_MS),
  );
  const apart = new Map<string, Apart>();
  const events: Event[] = [];
  for (const [key, here] of known) {
    const there = heard.get(key)?.word;
    const service = services[here.service];
    if (there === undefined || service === undefined || !isContrary(here, there)) continue;
    const was = before.apart.get(key);
    const since = was?.since ?? now;
    const told = now >= after(since, noticeMs(service));
    apart.set(key, { since, here, there, told });
    if (told && was?.told !== true) events.push(disagree(here, there));
  }
  for (const [key, { here, told }] of before.apart) {
    if (told && !apart.has(key)) events.push(agree(here, known.has(key), heard.has(key)));
  }
  return { next: { heard, apart }, events };
}

/** Down and misconfigured are the same to a client. What is not judged yet contradicts nothing. */
function isContrary(here: CheckWord, there: CheckWord): boolean {
  if (here.state === 'unknown' || there.state === 'unknown') return false;
  return (here.state === 'up') !== (there.state === 'up');
}

function disagree(here: CheckWord, there: CheckWord): Event {
  const { stage, problem } = here.state === 'up' ? there : here;
  const { service, server } = here;
  const fields = { service, server, here: here.state, there: there.state, stage: stage ?? '', problem };
  return { code: 'CHECKS_DISAGREE', fields };
}

function agree({ service, server }: CheckWord, isConfigured: boolean, isHeard: boolean): Event {
  const since = isHeard ? 'both routers say the same' : "the peer's nannies are not heard";
  return {
    code: 'CHECKS_AGREE',
    fields: { service, server, reason: isConfigured ? since : 'the server has left the config' },
  };
}

/** What the peer's nannies say of a server; undefined: nothing is known. */
export function peerWord({ heard }: CheckWatch, about: About): CheckWord | undefined {
  return heard.get(keyOf(about))?.word;
}

/** Whether the two have disagreed for longer than it takes both to notice. */
export function isApart({ apart }: CheckWatch, about: About): boolean {
  return apart.get(keyOf(about))?.told === true;
}

/** A sentence for each server on which they disagree, but for those that are drained. */
export function checkProblems(
  { apart }: CheckWatch,
  names: { readonly node: string; readonly peer: string },
  isDrained: (server: About) => boolean,
): string[] {
  return [...apart.values()]
    .filter(({ here, told }) => told && !isDrained(here))
    .map(({ here, there }) => {
      const says = (who: string, { state, stage, problem }: CheckWord) =>
        `${who} says ${state}${state === 'up' || stage === null ? '' : ` at stage ${stage}: ${problem}`}`;
      const both = [says(names.node, here), says(names.peer, there)];
      return `service ${here.service}: the routers disagree on server ${here.server}: ${both.join('; ')}`;
    });
}

// Which events are about the pair rather than about one router: both may notice the same thing, and
// it is to be told once. With each the fields that name the thing: those that only one router can
// know (a stage, a time) are not among them, so that both routers make the same key. Pure.
import type { EventEntry, Fields } from '../log/event.ts';
import { eventKeyOf } from '../log/rate.ts';

const SERVER = ['service', 'server'];
const SERVICE = ['service'];

const PAIR_WIDE: Readonly<Record<string, readonly string[]>> = {
  // Each router's nannies check every server.
  SERVER_UP: SERVER,
  SERVER_DOWN: SERVER,
  SERVER_MISCONFIGURED: SERVER,
  SERVER_DEAD: SERVER,
  SERVER_ANSWERS: SERVER,
  SERVER_FAILS_DIFFERENTLY: SERVER,
  SERVER_CHECK_FAILED: SERVER,
  SERVER_CHECK_RECOVERED: SERVER,
  SERVER_SLOW: SERVER,
  SERVER_QUICK: SERVER,
  CERTIFICATE_EXPIRES: SERVER,
  CERTIFICATE_RENEWED: SERVER,
  CHECKS_DISAGREE: SERVER,
  CHECKS_AGREE: SERVER,
  NO_SERVER_UP: SERVICE,
  ALL_SERVERS_FAIL: SERVICE,
  ALL_SERVERS_FAIL_OVER: SERVICE,
  SERVERS_UP: SERVICE,
  // An operator's order holds on both.
  DRAIN_STARTED: SERVER,
  DRAIN_EMPTY: SERVER,
  DRAIN_OVER: SERVER,
  DRAIN_ENDED: SERVER,
  // Two ends of one difference.
  CONFIG_DIFFERS: [],
  CONFIG_AGREES: [],
};

/** The step of a change of roles that is its outcome. */
const BECOMES_ACTIVE = { code: 'ROLE_CHANGED', to: 'active' } as const;

/** A step that is not. */
export function isRoleStep(code: string, fields: Fields): boolean {
  return code === BECOMES_ACTIVE.code && fields.to !== BECOMES_ACTIVE.to;
}

interface PairKey {
  readonly isPairWide: boolean;
  readonly key: string;
}

/** What an event is about, in one line. */
export function pairKeyOf(code: string, about: Pick<EventEntry, 'identity'>, fields: Fields): PairKey {
  // Only one router can become the owner under an epoch.
  if (code === BECOMES_ACTIVE.code && fields.to === BECOMES_ACTIVE.to)
    return { isPairWide: true, key: `${code}/active/${fields.epoch ?? ''}` };
  const names = Object.hasOwn(PAIR_WIDE, code) ? PAIR_WIDE[code] : undefined;
  if (names === undefined) {
    const { about: thing } = eventKeyOf(code, about, fields);
    return { isPairWide: false, key: thing === '' ? code : `${code}/${thing}` };
  }
  return { isPairWide: true, key: [code, ...names.map(name => String(fields[name] ?? ''))].join('/') };
}

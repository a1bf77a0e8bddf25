// What may follow from each fault of the soak, by DESIGN.md "What must always hold": how often the role may move, how long a client may
// wait, which alarms are right. Anything else is a finding. Pure.
import type { Fault, Leg } from './schedule.ts';

/** H, L, D of the pair, ms. */
export interface Times {
  readonly intervalMs: number;
  readonly leaseMs: number;
  readonly deadMs: number;
}

export interface Expectation {
  readonly movesMin: number;
  readonly movesMax: number;
  /** Longest time for which a client may be without an answer. */
  readonly gapMsMax: number;
  readonly events: ReadonlySet<string>;
  /** Events that must be there. */
  readonly wanted: readonly string[];
}

/** What a busy machine may add to anything. */
const SLACK_MS = 700;
/** Kernel lifetimes: a second, and up to a quarter of it later; before the packet lease the last resort when everything is dead. */
const LIFETIME_MS = 2_250;
/** Not a fault of the pair: the machine was busy, or a peer was away for a while. */
const ALWAYS = ['LOOP_LATE', 'PEER_SILENT', 'LINK_SILENT'] as const;

/** Overlap is allowed in a planned handover only, and bounded by the giver's lease (invariant 8, make-before-break). */
export function overlapMsMax(planned: boolean, { leaseMs }: Times): number {
  return planned ? leaseMs : 0;
}

/** After the fault has healed: one active, one standby, both hearing each other. Every start listens for longer than any VIP lives alone. */
export const SETTLED_WITHIN_MS = 15_000;

export function expectationOf(fault: Fault, times: Times): Expectation {
  const still = { movesMin: 0, movesMax: 0, gapMsMax: SLACK_MS };
  const moving = { movesMin: 0, movesMax: 1, gapMsMax: times.deadMs + SLACK_MS };
  const expect = (rest: Omit<Expectation, 'events' | 'wanted'>, events: string[] = [], wanted: string[] = []) => ({
    ...rest,
    events: new Set<string>([...ALWAYS, ...events, ...wanted]),
    wanted,
  });
  switch (fault.kind) {
    case 'power-loss':
      return fault.who === 'standby' ? expect(still) : expect({ ...moving, movesMin: 1 });
    case 'kill':
      return killed(fault, expect, still, moving);
    case 'stop':
      return stopped(fault, times, expect);
    case 'sigterm':
      return fault.who === 'standby' ? expect(still) : expect({ ...moving, movesMin: 1 });
    case 'damage': {
      const events = fault.file === 'vipd.state' ? ['VIPD_ERROR'] : [];
      const wanted = fault.file === 'pulse.json' && fault.how !== 'missing' ? ['STATE_UNREADABLE'] : [];
      return expect(fault.who === 'standby' ? still : { ...moving, movesMin: 1 }, events, wanted);
    }
    case 'handover':
      return expect({ movesMin: fault.times, movesMax: fault.times, gapMsMax: SLACK_MS });
    case 'carrier':
    case 'flap':
      return carrier(fault, expect, still, moving);
    case 'cut':
      return expect(still, ['LINKS_BROKEN']);
    case 'vip-removed':
      return expect(still, [], ['VIP_REPAIRED']);
    case 'foreign-claim':
      return expect(still, [], ['VIP_CLAIMED_BY_OTHER']);
    case 'hostile':
      return expect(still, [], ['DATAGRAM_REFUSED']);
    case 'hold':
      return expect(still);
  }
}

type Expect = (rest: Omit<Expectation, 'events' | 'wanted'>, events?: string[], wanted?: string[]) => Expectation;
type Rest = Omit<Expectation, 'events' | 'wanted'>;

function killed(fault: Fault & { kind: 'kill' }, expect: Expect, still: Rest, moving: Rest): Expectation {
  if (fault.what === 'vipd') return expect(still, [], ['VIPD_GONE']);
  if (fault.who === 'standby') return expect(still);
  if (fault.what === 'pulse') return expect({ ...moving, movesMin: 1 });
  // Started again before anybody could notice: the new life finds the addresses, lets go of them, and the peer takes over all the same.
  return expect({ ...moving, movesMin: 1, gapMsMax: LIFETIME_MS + SLACK_MS });
}

function stopped(fault: Fault & { kind: 'stop' }, { leaseMs, intervalMs, deadMs }: Times, expect: Expect): Expectation {
  const { who, what, stoppedMs } = fault;
  // A vipd that does not answer is replaced by one that adopts the addresses.
  const events = ['LEASE_EXPIRED', 'VIPD_REFUSED', ...(what === 'pulse' ? [] : ['VIPD_STUCK', 'VIPD_GONE'])];
  const gapMsMax = deadMs + SLACK_MS;
  if (who === 'standby' || what === 'vipd') return expect({ movesMin: 0, movesMax: 0, gapMsMax }, events);
  const movesMax = stoppedMs < leaseMs - intervalMs - SHORT_STOP_SLACK_MS ? 0 : 1;
  const movesMin = stoppedMs > leaseMs + LONG_STOP_SLACK_MS ? 1 : 0;
  return expect({ movesMin, movesMax, gapMsMax: gapMsMax + (what === 'all' ? LIFETIME_MS : 0) }, events);
}

/** A stop itself and its end may come late by this. */
const SHORT_STOP_SLACK_MS = 60;
const LONG_STOP_SLACK_MS = 100;

/** Legs with virtual addresses: losing one makes a router less fit. */
const SERVING: readonly Leg[] = ['clients', 'servers'];

function carrier(fault: Fault & { kind: 'carrier' | 'flap' }, expect: Expect, still: Rest, moving: Rest): Expectation {
  const { who, leg, kind } = fault;
  // A link that is down cannot be sent on, and its LAN is silent.
  const events = ['CARRIER_LOST', 'LINK_ERROR'];
  if (!SERVING.includes(leg)) return expect(still, events);
  if (who === 'standby') return expect(still, events);
  const down = kind === 'carrier' ? fault.downMs : 2 * fault.times * fault.periodMs;
  return expect({ ...moving, gapMsMax: moving.gapMsMax + (kind === 'flap' ? down : 0) }, events);
}

// What may follow from each fault of the soak, by the rules (docs/invariants.md): how often the role may move, how long a client may
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
  /** Of each of these lists one event must be there. */
  readonly wanted: readonly (readonly string[])[];
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

/** `gated`: the packet lease is in force. */
export function expectationOf(fault: Fault, times: Times, gated: boolean): Expectation {
  const still = { movesMin: 0, movesMax: 0, gapMsMax: SLACK_MS };
  const moving = { movesMin: 0, movesMax: 1, gapMsMax: times.deadMs + SLACK_MS };
  const expect = (rest: Omit<Expectation, 'events' | 'wanted'>, events: string[] = [], wanted: string[][] = []) => ({
    ...rest,
    events: new Set<string>([...ALWAYS, ...events, ...wanted.flat()]),
    wanted,
  });
  switch (fault.kind) {
    case 'power-loss':
      return fault.who === 'standby' ? expect(still) : expect({ ...moving, movesMin: 1 });
    case 'kill':
      return killed(fault, gated, expect, { still, moving });
    case 'stop':
      return stopped(fault, times, gated, expect);
    case 'sigterm':
      return fault.who === 'standby' ? expect(still) : expect({ ...moving, movesMin: 1 });
    case 'damage': {
      const events = fault.file === 'vipd.state' ? ['VIPD_ERROR'] : [];
      // One that is missing is told, too: its copy is still there.
      const wanted = fault.file === 'pulse.json' ? [['STATE_UNREADABLE']] : [];
      return expect(fault.who === 'standby' ? still : { ...moving, movesMin: 1 }, events, wanted);
    }
    case 'handover':
      return expect({ movesMin: fault.times, movesMax: fault.times, gapMsMax: SLACK_MS });
    case 'carrier':
    case 'flap':
      return carrier(fault, expect, { still, moving });
    case 'cut':
      // Nothing but heartbeats tells whether the cross LAN lives: those that come in and echo none of ours for long say that it does not.
      return expect(still, fault.legs.includes('cross') ? ['LINKS_BROKEN', 'LAN_DEAD'] : ['LINKS_BROKEN']);
    case 'vip-removed':
      return expect(still, [], [['VIP_REPAIRED']]);
    case 'foreign-claim':
      return expect(still, [], [['VIP_CLAIMED_BY_OTHER']]);
    case 'hostile':
      return expect(still, ['DATAGRAM_REFUSED']);
    case 'hold':
      return expect(still);
  }
}

type Rest = Omit<Expectation, 'events' | 'wanted'>;
type Expect = (rest: Rest, events?: string[], wanted?: string[][]) => Expectation;
interface Usual {
  readonly still: Rest;
  readonly moving: Rest;
}

/** Without the packet lease the kernel of a router whose processes are all dead or stopped answers on, until the lifetime ends. */
function ghost(gated: boolean): { readonly lifetimeMs: number; readonly events: string[] } {
  return gated ? { lifetimeMs: 0, events: [] } : { lifetimeMs: LIFETIME_MS, events: ['LINKS_BROKEN'] };
}

type Kill = Fault & { kind: 'kill' };

function killed({ who, what }: Kill, gated: boolean, expect: Expect, { still, moving }: Usual): Expectation {
  // The kernel tells of its death only when its packet sockets are closed, which takes an RCU grace period each: pulse may miss it first.
  if (what === 'vipd') return expect(still, [], [['VIPD_GONE', 'VIPD_STUCK']]);
  if (who === 'standby') return expect(still);
  if (what === 'pulse') return expect({ ...moving, movesMin: 1 });
  // Also when started again before anybody could notice: the new life finds the addresses and lets go of them.
  const { lifetimeMs, events } = ghost(gated);
  return expect({ ...moving, movesMin: 1, gapMsMax: moving.gapMsMax + lifetimeMs }, events);
}

/** A stop itself and its end may come late by this. */
const SHORT_STOP_SLACK_MS = 60;
const LONG_STOP_SLACK_MS = 100;

type Stop = Fault & { kind: 'stop' };

function stopped({ who, what, stoppedMs }: Stop, times: Times, gated: boolean, expect: Expect): Expectation {
  const { leaseMs, intervalMs, deadMs } = times;
  const { lifetimeMs, events } = ghost(gated || what !== 'all');
  // A vipd that does not answer is replaced by one that adopts the addresses.
  const alarms = [
    ...['LEASE_EXPIRED', 'VIPD_REFUSED'],
    ...(what === 'pulse' ? [] : ['VIPD_STUCK', 'VIPD_GONE']),
    ...events,
  ];
  const gapMsMax = deadMs + SLACK_MS;
  if (who === 'standby' || what === 'vipd') return expect({ movesMin: 0, movesMax: 0, gapMsMax }, alarms);
  const movesMax = stoppedMs < leaseMs - intervalMs - SHORT_STOP_SLACK_MS ? 0 : 1;
  const movesMin = stoppedMs > leaseMs + LONG_STOP_SLACK_MS ? 1 : 0;
  return expect({ movesMin, movesMax, gapMsMax: gapMsMax + lifetimeMs }, alarms);
}

/** Legs with virtual addresses: losing one makes a router less fit. */
const SERVING: readonly Leg[] = ['clients', 'servers'];

type Carrier = Fault & { kind: 'carrier' | 'flap' };

function carrier(fault: Carrier, expect: Expect, { still, moving }: Usual): Expectation {
  const { who, leg, kind } = fault;
  // A link that is down cannot be sent on, its LAN is silent, and nobody on it answers.
  const events = ['CARRIER_LOST', 'LINK_ERROR', 'LAN_DEAD', 'TARGET_SILENT'];
  if (!SERVING.includes(leg) || who === 'standby') return expect(still, events);
  // A router that has given the role away several times of late keeps it for a while, dead LAN or not (invariant 10).
  const downMs = kind === 'carrier' ? fault.downMs : 2 * fault.times * fault.periodMs;
  return expect({ ...moving, gapMsMax: moving.gapMsMax + downMs }, events);
}

// What pulse tells the world of itself: the feed's snapshot from the machine at one instant. Pure.
import type { KeyIds } from '../config/key-id.ts';
import type { NodeView } from '../config/node.ts';
import type { Decision, Snapshot } from '../feed/message.ts';
import { type At, between, type Ms } from '../units/duration.ts';
import { formatEpoch } from '../units/epoch.ts';
import { isBlind } from './election/beliefs/blind-probe.ts';
import { whyNotClaim } from './election/beliefs/claim-bars.ts';
import { isIsolated } from './election/beliefs/cut-off.ts';
import { deadMs } from './election/beliefs/deadlines.ts';
import { failedChecks, fitnessOf, isWarm } from './election/beliefs/fitness.ts';
import { ableUnits, isHere, whyNotHeld } from './election/beliefs/holdable.ts';
import { lowestMargin } from './election/beliefs/lease-margin.ts';
import { hasWrongName } from './election/beliefs/own-addresses.ts';
import { isServing } from './election/beliefs/peer.ts';
import { pauses } from './election/beliefs/retry.ts';
import { epochOf, roleOf, servingNow } from './election/beliefs/term.ts';
import { standsDown, thirdMachine } from './election/beliefs/third-machine.ts';
import { witnessGood } from './election/beliefs/witness-say.ts';
import type { Machine } from './election/machine.ts';
import { goneAfter } from './timing.ts';
import type { VipFindings } from './vip-check.ts';

export interface SnapshotContext {
  readonly view: NodeView;
  /** The version of this program. */
  readonly program: string;
  readonly seq: number;
  readonly now: At;
  /** Wall time in ms since 1970 at `now`. */
  readonly wallMs: number;
  readonly decisions: readonly Decision[];
  readonly counters: Readonly<Record<string, number>>;
  /** The gate is in force. */
  readonly packetLease: boolean;
  /** What vipd complained of lately; null: nothing. */
  readonly vipdTrouble: string | null;
  /**
   * What of the config pulse has read (see pulseDigest), and the parts of that which wait for a
   * restart.
   */
  readonly running: { readonly digest: string; readonly waiting: readonly string[] };
  /** `peer` undefined: it is not heard, or has not shown one. */
  readonly keys: { readonly own: KeyIds; readonly peer: KeyIds | undefined };
  /** By number of address; see vip-check.ts. */
  readonly vipCheck: VipFindings | null;
}

export function snapshotOf(machine: Machine, context: SnapshotContext): Snapshot {
  const { view, now } = context;
  const newest = context.decisions.at(-1);
  return {
    type: 'snapshot',
    version: 1,
    program: context.program,
    seq: context.seq,
    node: view.node,
    peerNode: view.peer,
    role: roleOf(machine),
    epoch: formatEpoch(epochOf(machine)),
    since: newest?.at ?? new Date(context.wallMs).toISOString(),
    reason: newest?.reason ?? 'listening for the peer',
    serving: servingNow(machine, now),
    leaseArmed: machine.lease.armed && servingNow(machine, now),
    leaseMargin: leaseMargin(machine),
    hold: { on: machine.hold.on, until: holdEnd(machine, context) },
    fitness: fitnessOf(machine, now),
    failedChecks: failedChecks(machine, now),
    rulesIn: machine.rulesIn,
    warm: isWarm(machine, now),
    configDigest: machine.configDigest,
    runningDigest: context.running.digest,
    waiting: [...context.running.waiting],
    keys: keysOf(context.keys),
    timesPending: machine.change !== undefined,
    peer: peerOf(machine, now),
    links: linksOf(machine, view, now),
    vips: view.addresses.map((address, index) => ({
      address: address.address,
      interface: address.interface,
      kind: address.kind,
      held: machine.heldAddresses && ((servingNow(machine, now) && isHere(machine, index)) || isResuming(machine)),
      obstacle: whyNotHeld(machine, index, now) ?? null,
      linkUp: machine.addressLinks[index]?.up ?? false,
    })),
    units: { able: ableUnits(machine, now).length, all: machine.settings.units.length },
    lans: lansOf(machine, view),
    bar: barOf(machine, now),
    wrongName: hasWrongName(machine),
    peerAddressesHere: machine.settings.fixed
      .filter(({ side }, index) => side === 'peer' && machine.own.states[index] === 'here')
      .map(({ address }) => address),
    packetLease: context.packetLease,
    vipdTrouble: context.vipdTrouble,
    vipCheck: context.vipCheck && {
      answering: context.vipCheck.answering.map(index => view.addresses[index]?.address ?? ''),
      silent: context.vipCheck.silent.map(index => view.addresses[index]?.address ?? ''),
    },
    blindProbes: view.addresses.filter((_, index) => isBlind(machine, index)).map(({ address }) => address),
    isolated: isIsolated(machine, now),
    foreign: foreignOf(machine, view, now),
    witness: witnessOf(machine, now),
    decisions: [...context.decisions],
    counters: { ...context.counters },
  };
}

function keysOf({ own, peer }: SnapshotContext['keys']): Snapshot['keys'] {
  const ids = ({ signs, accepts }: KeyIds) => ({ signs, accepts: [...accepts] });
  return { ...ids(own), peer: peer === undefined ? null : ids(peer) };
}

/**
 * A pulse that was restarted alone: vipd has found the addresses, and the kernel serves them until
 * we claim them again.
 */
function isResuming({ state }: Machine): boolean {
  return state.role === 'starting' && state.resume;
}

/** What keeps this router from claiming; an owner has claimed already. */
function barOf(machine: Machine, now: At): string | null {
  const { retry, state } = machine;
  if ('epoch' in state) return null;
  const bar = whyNotClaim(machine, now);
  if (bar !== undefined) return bar;
  return pauses(retry, now) ? `the last ${retry.failures} claims failed; the next try is due within 10 s` : null;
}

function leaseMargin({ lease }: Machine): number | null {
  return lease.margin === undefined ? null : Math.round(lowestMargin(lease.margin) * 1_000) / 1_000;
}

function holdEnd(machine: Machine, { now, wallMs }: SnapshotContext): string | null {
  const { until } = machine.hold;
  return until === undefined ? null : new Date(wallMs + between(now, until)).toISOString();
}

function peerOf(machine: Machine, now: At): Snapshot['peer'] {
  const { last, heardAt } = machine.peer;
  if (!last || heardAt === undefined) return null;
  const { role, priority, fitness, ready, hold, warm, configDigest, units = null, failedChecks: failed = null } = last;
  const epoch = formatEpoch(last.epoch);
  const heardMsAgo = rounded(between(heardAt, now));
  const silent = heardMsAgo > goneAfter(deadMs(machine));
  return {
    role,
    serving: isServing(machine.peer),
    silent,
    epoch,
    priority,
    fitness,
    failedChecks: failed,
    ready,
    hold,
    warm,
    configDigest,
    units,
    heardMsAgo,
  };
}

function linksOf(machine: Machine, view: NodeView, now: At): Snapshot['links'] {
  const limit = deadMs(machine);
  return view.links.map((link, index) => {
    const evidence = machine.peer.links[index];
    const heardMsAgo = evidence?.heardAt === undefined ? null : rounded(between(evidence.heardAt, now));
    // A peer that hears us no more goes on echoing the last that it heard.
    const isEchoed = evidence?.echoedAt !== undefined && between(evidence.echoedAt, now) <= limit;
    return {
      lan: link.lan,
      interface: link.interface,
      up: heardMsAgo !== null && heardMsAgo <= limit,
      heardMsAgo,
      rttMs: evidence?.rttMs === undefined ? null : rounded(evidence.rttMs as Ms),
      peerHearsUs: isEchoed && evidence.peerHearsUs,
      received: evidence?.received ?? 0,
      refused: evidence?.refused ?? 0,
      problem: machine.own.linkProblems[index] ?? null,
    };
  });
}

function lansOf(machine: Machine, view: NodeView): Snapshot['lans'] {
  return machine.settings.lans.map((lan, index) => ({
    lan: lan.name,
    interface: lan.interface,
    dead: machine.lanHealth[index]?.dead ?? false,
    own: machine.settings.fixed.flatMap(({ side, lan: on, address }, fixed) =>
      side === 'own' && on === index ? [{ address, state: machine.own.states[fixed] ?? null }] : [],
    ),
    targets: lan.targets.map(target => ({
      address: view.targets[target]?.address ?? '',
      up: machine.targetsUp[target] ?? null,
    })),
  }));
}

function foreignOf(machine: Machine, view: NodeView, now: At): Snapshot['foreign'] {
  const third = thirdMachine(machine, now);
  if (!third) return null;
  const claims = 'port' in third;
  return {
    address: view.addresses[third.address]?.address ?? '',
    mac: third.mac,
    port: claims ? third.port : '',
    claims,
    standsDown: standsDown(machine, now),
  };
}

function witnessOf(machine: Machine, now: At): Snapshot['witness'] {
  const { settings, witness } = machine;
  if (!settings.witness) return null;
  const { goodAt, known } = witness;
  return {
    good: witnessGood(machine, now),
    answeredMsAgo: goodAt === undefined ? null : rounded(between(goodAt, now)),
    epoch: formatEpoch(known),
  };
}

function rounded(value: Ms): number {
  return Math.round(value * 1000) / 1000;
}

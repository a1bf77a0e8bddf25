// Safeguards, each taken away by one change of the compiled code or of the model of vipd, and the
// invariants of which one must then fail. What is searched for must be there exactly once, so that
// a change of the code cannot leave a mutation without effect.
import type { Invariant } from './monitor.ts';
import type { VipdMutation } from './vipd-model.ts';

export interface Patch {
  /** Below dist/. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  /** The safeguard that is gone. */
  readonly name: string;
  readonly patches?: readonly Patch[];
  readonly model?: VipdMutation;
  /** The kind of schedule that shows it soonest; any when absent. */
  readonly kind?: string;
  /** Where the search begins, for what few schedules show; default: 1. */
  readonly fromSeed?: number;
  /** One of these must be reported. */
  readonly expects: readonly Invariant[];
}

const NEITHER_KERNEL = 'neither kernel takes one address any more';
const RELOAD_STALL = 'a reload, and the owner stalls in the middle of it, unseen by probes';
const pulse = (file: string, find: string, replace: string): Patch => ({ file: `src/pulse/${file}.js`, find, replace });
const shell = (find: string, replace: string): Patch => ({ file: 'test/sim/pulse-model.js', find, replace });

/**
 * The text of a compiled file with the change put in; throws unless what is searched for is there
 * exactly once.
 */
export function patched(text: string, { file, find, replace }: Patch): string {
  const times = text.split(find).length - 1;
  if (times !== 1)
    throw new Error(
      `the anchor must be in ${file} once, not ${times} times; bring it up to date in test/sim/mutations.ts: ${find}`,
    );
  return text.replace(find, () => replace);
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the lease counts from when vipd is told of it',
    patches: [shell('lease: { ...effect.lease, keepMs', 'lease: { ...effect.lease, at: host.clock.now(), keepMs')],
    kind: 'both stalled',
    expects: ['lease', 'one-owner'],
  },
  {
    name: 'the lease is renewed before the heartbeat goes out',
    patches: [
      pulse(
        'election/moves',
        "sendNow(turn);\n    emit(turn, { type: 'renew', lease: leaseCommand(turn, epoch, false) });",
        "emit(turn, { type: 'renew', lease: leaseCommand(turn, epoch, false) });\n    sendNow(turn);",
      ),
    ],
    kind: 'pulse of the owner stalls in the middle of a heartbeat, unseen by probes',
    expects: ['one-owner'],
  },
  {
    name: 'nobody is probed before a takeover after silence',
    patches: [pulse('election/beliefs/standby-judgement', '(probing?.silentRounds ?? 0) >= SILENT_ROUNDS', 'true')],
    expects: ['one-owner', 'no-change'],
  },
  {
    name: 'two actives do not compare epochs',
    patches: [
      pulse(
        'election/roles/active',
        'if (compareEpochs(peer.last.epoch, state.epoch) > 0) {\n        // Awake',
        'if (false) {\n        // Awake',
      ),
    ],
    expects: ['one-owner', 'liveness'],
  },
  {
    name: 'the winner of a conflict does not announce again',
    patches: [
      pulse('election/roles/active', 'if (back)', 'if (false)'),
      pulse('election/roles/active', "emit(turn, { type: 'announce' });\n    sendNow(turn);", 'sendNow(turn);'),
    ],
    kind: 'split in two, healed',
    expects: ['convergence'],
  },
  {
    name: 'equals are not ranked',
    patches: [
      pulse(
        'election/beliefs/peer-heard',
        'return last && priority !== last.priority ? priority > last.priority : nodeId < peerNodeId;',
        'return true;',
      ),
    ],
    expects: ['one-owner'],
  },
  {
    name: 'a late loop judges before it has read',
    patches: [
      pulse('election/beliefs/standby-judgement', 'if (machine.unread)', 'if (false)'),
      pulse(
        'election/voices/lateness',
        "if (state.role === 'standby')\n        update(turn, { state: { ...state, probing: undefined, vacantSince: undefined } });\n    else if",
        'if',
      ),
    ],
    kind: 'both stalled',
    fromSeed: 7_001,
    expects: ['one-owner', 'no-change'],
  },
  {
    name: 'a last will can be replayed: that of any term opens the way',
    patches: [
      pulse(
        'election/beliefs/standby-judgement',
        'closed.counter > 0 && compareEpochs(last.epoch, closed) <= 0',
        'closed.counter > 0',
      ),
      pulse('election/beliefs/standby-judgement', 'return compareEpochs(peer.closed, lastTerm) > 0;', 'return true;'),
    ],
    expects: ['one-owner', 'no-change', 'flap'],
  },
  {
    name: 'a last will from before our own term opens the way, even when it was read late',
    patches: [
      pulse('election/beliefs/standby-judgement', 'willIsFresh(machine, now) ||', 'true ||'),
      pulse('election/beliefs/standby-judgement', 'return compareEpochs(peer.closed, lastTerm) > 0;', 'return true;'),
    ],
    kind: 'the new owner stalls while the old one starts again',
    expects: ['one-owner'],
  },
  {
    name: 'a heartbeat claims what vipd does not hold',
    patches: [
      pulse(
        'election/beliefs/term',
        'return lease.ackedAt !== undefined && between(lease.ackedAt, now) <= lease.ackedLeaseMs;',
        'return true;',
      ),
    ],
    expects: ['heartbeat-truth', 'liveness'],
  },
  {
    name: 'an acknowledgement counts from when it is read',
    patches: [pulse('election/voices/vipd-lease', 'ackedAt: renewal.at,', 'ackedAt: turn.now,')],
    expects: ['heartbeat-truth'],
  },
  {
    name: 'fitness vetoes',
    patches: [
      pulse(
        'election/beliefs/claim-bars',
        'if (!machine.rulesIn)',
        "if (fitnessOf(machine, now) < 2)\n        return 'unfit';\n    if (!machine.rulesIn)",
      ),
    ],
    kind: 'power loss, the standby is unfit',
    expects: ['liveness', 'takeover-time'],
  },
  {
    name: "D is shorter than the peer's lease",
    patches: [
      pulse(
        'election/beliefs/deadlines',
        'return takeoverAfter(machine.settings.deadMs, machine.peer.lease?.ms);',
        'return machine.settings.deadMs;',
      ),
    ],
    kind: RELOAD_STALL,
    expects: ['too-early', 'one-owner', 'liveness'],
  },
  {
    name: 'the echo of the boot id is not checked',
    patches: [pulse('election/beliefs/peer', 'if (message.peerBootId !== peer.ownBootId)', 'if (false)')],
    kind: 'both started again, then old datagrams are played back, then a handover',
    expects: ['one-owner', 'takeover-time', 'liveness', 'no-change', 'flap', 'too-early'],
  },
  {
    name: 'the giver of a handover goes on renewing',
    patches: [
      pulse(
        'election/moves',
        "const offering = state.role === 'handing-over' && state.phase !== 'flushing';",
        'const offering = false;',
      ),
    ],
    kind: 'handover',
    expects: ['one-owner', 'lease', 'liveness'],
  },
  {
    name: 'an offer that was long on its way is taken',
    patches: [pulse('election/roles/standby', 'offer.remainingMs > roundTripMs(peer.last, turn.now)', 'true')],
    kind: 'handover into a full queue',
    expects: ['one-owner'],
  },
  {
    name: 'the last will is sent before the addresses are gone',
    model: 'will-before-removal',
    expects: ['one-owner'],
  },
  {
    name: 'vipd counts the lease from when it reads the request',
    model: 'lease-from-receipt',
    kind: 'both stalled',
    expects: ['lease', 'one-owner'],
  },
  { name: 'the lease of vipd never ends', model: 'lease-never-ends', expects: ['lease', 'one-owner'] },
  { name: 'the packet lease never ends', model: 'gate-never-closes', expects: ['lease', 'one-owner'] },
  {
    name: 'a claim does not go above the highest epoch that is known',
    patches: [pulse('election/beliefs/term', 'counter: highest.counter + 1', 'counter: highest.counter')],
    expects: ['epoch-reused', 'epoch-order', 'one-owner', 'liveness'],
  },
  {
    name: 'an answer of a third machine breaks the silence of the one that was asked',
    model: 'anybody-breaks-silence',
    kind: 'power loss, a stranger answers',
    expects: ['takeover-time', 'liveness'],
  },
  {
    name: 'answers of a third machine veto a takeover',
    patches: [
      pulse(
        'election/voices/vipd-probes',
        'const third = expected !== undefined && expected !== message.mac;',
        'const third = false;',
      ),
    ],
    kind: 'power loss, a stranger answers',
    expects: ['takeover-time', 'liveness'],
  },
  {
    name: 'the witness is not asked after silence',
    patches: [
      pulse(
        'election/beliefs/standby-judgement',
        'if (!inForce(machine))\n            return take',
        'if (true)\n            return take',
      ),
    ],
    kind: 'full partition, healed',
    expects: ['one-owner'],
  },
  {
    name: 'an owner cut off from its peer and the witness serves on',
    patches: [pulse('election/beliefs/cut-off', 'if (at !== undefined && now >= at)', 'if (false)')],
    kind: 'cut off from peer and witness',
    expects: ['one-owner'],
  },
  {
    name: 'the lease is not armed while a peer could take over',
    patches: [pulse('election/moves', 'const armed = peerMayTake(turn.machine, turn.now);', 'const armed = false;')],
    expects: ['takeover-time', 'one-owner', 'liveness'],
  },
  {
    name: 'a vacancy under a one-way cut does not ask the witness',
    patches: [
      pulse('election/beliefs/standby-judgement', '!inForce(machine) || hearsUs(machine, now))', 'true)'),
      pulse('election/beliefs/witness-say', ' && hearsUs(machine, now)', ''),
    ],
    kind: 'nobody serves, behind a one-way cut',
    expects: ['one-owner'],
  },
  {
    name: 'a handover is offered before vipd has armed the lease',
    patches: [
      pulse(
        'election/roles/handing-over',
        'return lease.ackedArmed && lease.inFlight.every(({ armed }) => armed);',
        'return true;',
      ),
    ],
    kind: 'vipd of the owner stops as the standby comes back',
    expects: ['one-owner'],
  },
  {
    name: 'a peer that holds its term without vipd is not asked how long its kernel may serve',
    patches: [
      pulse(
        'election/beliefs/standby-judgement',
        '((!competing || resumes(machine)) && now < keptUntil(machine, vacantSince ?? now, probing))',
        'false',
      ),
    ],
    kind: 'the owner is alone and loses vipd as the standby comes back, probes are lost',
    expects: ['one-owner'],
  },
  {
    name: 'vipd gives no word for what it holds',
    model: 'gives-no-word',
    kind: 'echoes are dropped, all heartbeats are lost',
    expects: ['no-change', 'one-owner'],
  },
  {
    name: 'an answer by ARP vetoes a takeover',
    patches: [pulse('election/voices/vipd-probes', "if (message.via === 'arp') {", 'if (false) {')],
    kind: 'power loss, a switch answers for the dead owner',
    expects: ['takeover-time', 'liveness'],
  },
  {
    name: 'a target that is silent to one router outvotes heartbeats that echo ours',
    patches: [
      pulse(
        'election/beliefs/lan-health',
        ' || spec.links.some(link => isEchoed(machine, link, echoMs(machine), now))',
        '',
      ),
    ],
    kind: 'a target is silent to the owner alone',
    expects: ['no-change'],
  },
  {
    name: 'a heartbeat proves that a LAN lives, whatever it echoes',
    patches: [pulse('election/beliefs/lan-health', 'peer.links[link]?.echoedAt;\n', 'peer.links[link]?.heardAt;\n')],
    kind: 'a LAN of the owner loses a direction',
    expects: ['liveness'],
  },
  {
    name: 'heartbeats that echo nothing any more tell nothing of a LAN without targets',
    patches: [pulse('election/beliefs/lan-health', 'return echoedOnce && unechoed', 'return false && unechoed')],
    kind: 'a LAN of the owner loses a direction',
    expects: ['liveness'],
  },
  {
    name: 'a router that was asleep for long counts D, as if it had been gone for a moment',
    patches: [pulse('election/voices/lateness', 'if (byMs >= givenUpMs(turn.machine))', 'if (false)')],
    kind: 'the owner finds itself alone and stops, the standby wakes behind a one-way cut',
    expects: ['one-owner'],
  },
  {
    name: 'a new vipd takes the addresses back after the lease has ended',
    patches: [pulse('election/voices/vipd-lease', 'leaseIsOver(turn.machine, turn.now) ?', 'false ?')],
    kind: 'vipd stopped for about a lease',
    expects: ['one-owner'],
  },
  {
    name: 'an owner that cannot speak serves on',
    patches: [
      pulse(
        'election/beliefs/peer-may-take',
        'return machine.own.bareSince !== undefined && peerMayTake(machine, now);',
        'return false;',
      ),
    ],
    kind: 'own addresses of all LANs lost',
    expects: ['mute-owner', 'one-owner', 'liveness'],
  },
  {
    name: 'who cannot speak defends the addresses',
    patches: [
      pulse(
        'election/voices/bare',
        "if (state.role !== 'active' || !isBare(turn.machine)",
        "if (true || state.role !== 'active'",
      ),
    ],
    kind: 'who cannot speak is alone, and the peer starts again',
    expects: ['one-owner', 'liveness'],
  },
  {
    name: 'a router that cannot speak takes silence for death',
    patches: [
      pulse('election/beliefs/own-addresses', 'if (isUnbound(machine))', 'if (false)'),
      pulse('election/beliefs/own-addresses', 'if (isBare(machine))', 'if (false)'),
    ],
    kind: 'the standby boots before its addresses are there',
    expects: ['mute-claim', 'one-owner', 'no-change'],
  },
  {
    name: 'a link that lost its address with its carrier counts as unbound',
    patches: [pulse('election/beliefs/own-addresses', "return states.includes('gone');", 'return states.length > 0;')],
    kind: 'power loss takes the cross link along, with carrier and address',
    expects: ['liveness', 'takeover-time'],
  },
  {
    name: 'nobody looks whether a LAN has an own address',
    patches: [
      pulse(
        'election/beliefs/own-addresses',
        'between(own.since[index], now) >= ownLostAfter(settings.deadMs)',
        'false',
      ),
    ],
    kind: 'own address of one family lost',
    expects: ['liveness'],
  },
  {
    name: 'an escape from a LAN without carrier waits as other moves do',
    patches: [pulse('election/roles/voluntary-handover', 'const damped = lost.beyondDoubt ? 0 :', 'const damped =')],
    kind: 'carrier lost again and again',
    expects: ['liveness'],
  },
  {
    name: 'a claim that the kernel refuses is tried again at once',
    patches: [
      pulse('election/beliefs/standby-judgement', '|| pauses(machine.retry, now))', ')'),
      pulse(
        'election/beliefs/holdable',
        'refusal !== undefined && !pauses(refusal.retry, now)',
        'refusal !== undefined',
      ),
    ],
    kind: 'the kernel refuses, and nobody else is left',
    expects: ['retry-pace'],
  },
  {
    name: 'a peer that was never heard is not resolved',
    patches: [pulse('election/beliefs/peer-heard', 'return unheard.macs[lan];', 'return undefined;')],
    kind: 'heartbeats never arrive',
    expects: ['liveness', 'one-owner'],
  },
  {
    name: 'each of two routers that never heard each other goes first',
    patches: [pulse('election/beliefs/peer-heard', ': nodeId < peerNodeId;', ': !last || nodeId < peerNodeId;')],
    kind: 'heartbeats never arrive',
    expects: ['liveness', 'one-owner'],
  },
  {
    name: 'a claim of a peer that was never heard is no sign of life',
    patches: [
      pulse(
        'election/beliefs/standby-judgement',
        'Math.max(silenceAt(machine, idle), claimEndsAt(machine))',
        'silenceAt(machine, idle)',
      ),
    ],
    kind: 'neither heartbeats nor probes ever arrive',
    expects: ['no-change', 'flap', 'one-owner', 'liveness'],
  },
  {
    name: 'a longer lease is used before the peer has heard of it',
    patches: [
      pulse('election/beliefs/changing-times', 'leaseMs: ms(Math.min(a.leaseMs, b.leaseMs))', 'leaseMs: b.leaseMs'),
    ],
    kind: RELOAD_STALL,
    expects: ['too-early', 'one-owner', 'lease'],
  },
  {
    name: "a shorter D is used at once, whatever is known of the peer's lease",
    patches: [
      pulse('election/beliefs/changing-times', 'deadMs: ms(Math.max(a.deadMs, b.deadMs))', 'deadMs: b.deadMs'),
      pulse(
        'election/beliefs/deadlines',
        'return takeoverAfter(machine.settings.deadMs, machine.peer.lease?.ms);',
        'return machine.settings.deadMs;',
      ),
    ],
    kind: RELOAD_STALL,
    expects: ['too-early', 'one-owner'],
  },
  {
    name: 'a shorter lease is told before the old one is over',
    patches: [
      pulse(
        'election/beliefs/changing-times',
        'leaseMs: ms(Math.max(said.leaseMs, wanted.leaseMs))',
        'leaseMs: wanted.leaseMs',
      ),
    ],
    kind: RELOAD_STALL,
    expects: ['lease', 'one-owner'],
  },
  {
    name: 'version 2 is sent to a peer that has not said that it reads it',
    patches: [pulse('election/beliefs/peer', 'peer.last?.readsVersion2 === true ? 2 : 1', 'true ? 2 : 1')],
    kind: 'handover',
    expects: ['liveness', 'convergence', 'takeover-time'],
  },
  {
    name: 'version 2 goes on to a peer that is silent and may come back as a version that does not read it',
    patches: [pulse('election/beliefs/peer', 'isHeard(peer, silentBefore) && peer.last', 'peer.last')],
    kind: 'both started again, then old datagrams are played back, then a handover',
    expects: ['liveness', 'convergence', 'takeover-time'],
  },
  {
    name: 'an owner that can hold a part asks for all',
    patches: [
      pulse(
        'election/beliefs/holdable',
        'return inUnits([...ableUnits(machine, now), ...trials]);',
        'return [...machine.addresses.keys()];',
      ),
    ],
    kind: NEITHER_KERNEL,
    expects: ['unit-unserved'],
  },
  {
    name: 'vipd keeps what the term holds no more',
    model: 'keeps-what-is-not-wanted',
    kind: 'the interface of the gateway goes on both',
    expects: ['unit-unserved'],
  },
  {
    name: 'a peer that can hold more idles',
    patches: [
      pulse('election/roles/voluntary-handover', 'if (fitter >= 0 && peerHoldsMore(machine, now))', 'if (false)'),
    ],
    kind: 'the kernel of the owner takes one address no more',
    expects: ['unit-unserved', 'liveness'],
  },
  {
    name: 'a standby promises again what its kernel has refused, as soon as it might try',
    patches: [
      pulse('election/beliefs/holdable', 'between(refusal.at, now) < PROMISE_MS', 'pauses(refusal.retry, now)'),
    ],
    kind: NEITHER_KERNEL,
    expects: ['flap', 'no-change'],
  },
  {
    name: 'an owner never tries again what the kernel has refused',
    patches: [pulse('election/beliefs/holdable', 'refusal !== undefined && !pauses(refusal.retry, now)', 'false')],
    kind: 'the owner may hold one address again, and nothing tells it',
    expects: ['unit-unserved'],
  },
  {
    name: 'what becomes possible waits for the next term',
    patches: [
      pulse(
        'election/moves',
        ': addressesToHold(turn.machine, turn.now);',
        ': addressesToHold(turn.machine, turn.now).filter(index => lease.asked.includes(index));',
      ),
    ],
    kind: 'IPv6 is disabled on both, and enabled again on the owner',
    expects: ['unit-unserved'],
  },
  {
    name: 'a claim that the kernel refuses in part is given up',
    patches: [pulse('election/voices/vipd-lease', "reason === 'kernel' && canClaimLess(turn)", 'false')],
    kind: 'power loss, the standby can hold a part',
    expects: ['takeover-time', 'liveness'],
  },
];

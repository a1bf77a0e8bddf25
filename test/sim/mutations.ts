// Safeguards, each taken away by one change of the source, of the election or of the model of vipd, and the invariant that must
// catch it. A safeguard is a line below `// safeguard: NAME`; a change says what that line becomes.
import type { Invariant } from './monitor.ts';

export interface Change {
  /** The name of the safeguard. */
  readonly mark: string;
  /** TypeScript in its place; '': nothing. */
  readonly becomes: string;
  /** Lines below the mark that go, 1 when absent. */
  readonly lines?: number;
}

export interface Mutation {
  /** What the routers do without the safeguard. */
  readonly name: string;
  /** The safeguard, which no other mutation has as its own. */
  readonly change: Change;
  /** Others behind it that would do its work. */
  readonly also?: readonly Change[];
  /** The kind of schedule that shows it soonest; any when absent. */
  readonly kind?: string;
  /** Where the search begins, for what few schedules show; default: 1. */
  readonly fromSeed?: number;
  /** The invariant that must be breached in one of `within` schedules. */
  readonly invariant: Invariant;
  readonly within: number;
}

/** The marks of a file, in order. */
export function marksIn(text: string): string[] {
  return [...text.matchAll(/^ *\/\/ safeguard: (\S+)$/gm)].map(([, mark]) => mark as string);
}

/** The text of a file with the change put in; throws unless its mark is there exactly once. */
export function changed(text: string, { mark, becomes, lines = 1 }: Change): string {
  const all = text.split('\n');
  const isMark = (line: string | undefined) => line?.trim().startsWith('// safeguard: ') === true;
  const at = all.flatMap((line, index) => (line.trim() === `// safeguard: ${mark}` ? [index] : []));
  if (at.length !== 1) throw new Error(`"// safeguard: ${mark}" must be in the file once, not ${at.length} times`);
  let first = at[0] as number;
  // A line may be two safeguards.
  while (isMark(all[first])) first += 1;
  return all.toSpliced(first, lines, becomes).join('\n');
}

const NEITHER_KERNEL = 'neither kernel takes one address any more';
const RELOAD_STALL = 'a reload, and the owner stalls in the middle of it, unseen by probes';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a router that starts speaks before it has asked who else has its own addresses',
    change: { mark: 'asks-before-it-speaks', becomes: '' },
    kind: 'a copy takes the place of a router, which then comes back',
    fromSeed: 300,
    invariant: 'too-early',
    within: 100,
  },
  {
    name: 'a copy of a router speaks beside it',
    change: { mark: 'copy-says-nothing', becomes: 'return false;' },
    kind: 'a copy draws to itself what the peer says to the router',
    invariant: 'one-owner',
    within: 50,
  },
  {
    name: 'a copy of a router claims beside it',
    change: { mark: 'copy-claims-nothing', becomes: '' },
    kind: 'a copy of a router is switched on',
    invariant: 'one-owner',
    within: 50,
  },
  {
    name: 'a copy takes the place of a router whose kernel may still serve',
    change: { mark: 'copy-outwaits-a-kernel', becomes: 'const goneMs = copyGoneAfter(settings.deadMs);' },
    kind: 'a lone owner that has a copy stands still, and its peer comes back',
    invariant: 'one-owner',
    within: 100,
  },
  {
    name: 'the lease counts from when vipd is told of it',
    change: {
      mark: 'lease-from-the-request',
      becomes:
        'return host.vipdCommand({ type: effect.type, lease: { ...effect.lease, at: host.clock.now(), keepMs: aloneKeepMs } });',
    },
    kind: 'both stalled',
    invariant: 'lease',
    within: 100,
  },
  {
    name: 'the lease is renewed before the heartbeat goes out',
    change: {
      mark: 'heartbeat-first',
      becomes: "emit(turn, { type: 'renew', lease: leaseCommand(turn, epoch, false) }); sendNow(turn);",
      lines: 2,
    },
    kind: 'pulse of the owner stalls in the middle of a heartbeat, unseen by probes',
    invariant: 'one-owner',
    within: 100,
  },
  {
    name: 'nobody is probed before a takeover after silence',
    change: { mark: 'probes-in-vain', becomes: 'true &&' },
    invariant: 'one-owner',
    within: 200,
  },
  {
    name: 'two actives do not compare epochs',
    change: { mark: 'higher-epoch-wins', becomes: 'if (false) {' },
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'the winner of a conflict does not announce again',
    change: { mark: 'winner-announces', becomes: '' },
    also: [{ mark: 'announces-when-back', becomes: '' }],
    kind: 'split in two, healed',
    invariant: 'convergence',
    within: 20,
  },
  {
    name: 'equals are not ranked',
    change: { mark: 'equals-ranked', becomes: 'return true;' },
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'a late loop judges before it has read',
    change: { mark: 'reads-before-it-judges', becomes: '' },
    also: [{ mark: 'late-probes-forgotten', becomes: "if ('probing' in state && state.probing)", lines: 2 }],
    kind: 'both stalled',
    fromSeed: 7001,
    invariant: 'one-owner',
    within: 2_000,
  },
  {
    name: 'a last will can be replayed: that of any term opens the way',
    change: { mark: 'will-of-its-term', becomes: 'return last?.serving === true && closed.counter > 0;' },
    also: [{ mark: 'will-after-own-term', becomes: 'return true;' }],
    invariant: 'one-owner',
    within: 2_000,
  },
  {
    name: 'a last will from before our own term opens the way, even when it was read late',
    change: { mark: 'will-is-fresh', becomes: 'true' },
    also: [{ mark: 'will-after-own-term', becomes: 'return true;' }],
    kind: 'the new owner stalls while the old one starts again',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'a heartbeat claims what vipd does not hold',
    change: { mark: 'serving-by-the-lease', becomes: 'return true;' },
    invariant: 'heartbeat-truth',
    within: 100,
  },
  {
    name: 'an acknowledgement counts from when it is read',
    change: { mark: 'held-from-the-request', becomes: 'ackedAt: turn.now,' },
    fromSeed: 450,
    invariant: 'heartbeat-truth',
    within: 300,
  },
  {
    name: 'fitness vetoes',
    change: {
      mark: 'fitness-no-veto',
      becomes: "if (!machine.rulesIn || machine.lanHealth.some(({ dead }) => dead)) return 'unfit';",
    },
    kind: 'power loss, the standby is unfit',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: "D is shorter than the peer's lease",
    change: { mark: 'peer-lease-outlasted', becomes: 'return machine.settings.deadMs;' },
    kind: RELOAD_STALL,
    invariant: 'too-early',
    within: 400,
  },
  {
    name: 'the echo of the boot id is not checked',
    change: { mark: 'boot-id-echoed', becomes: 'if (false) {' },
    kind: 'both started again, then old datagrams are played back, then a handover',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'the giver of a handover goes on renewing',
    change: { mark: 'giver-stops-renewing', becomes: 'const offering = false;' },
    kind: 'handover',
    invariant: 'liveness',
    within: 200,
  },
  {
    name: 'an offer that was long on its way is taken',
    change: { mark: 'offer-in-time', becomes: 'true &&' },
    kind: 'handover into a full queue',
    invariant: 'one-owner',
    within: 800,
  },
  {
    name: 'the last will is sent before the addresses are gone',
    change: {
      mark: 'removal-before-the-will',
      becomes: 'if (will) this.#beginWill(); this.#removalAt = clock.now() + (kernel.held ? removalMs : 0);',
    },
    invariant: 'one-owner',
    within: 500,
  },
  {
    name: 'vipd counts the lease from when it reads the request',
    change: { mark: 'vipd-counts-from-the-request', becomes: 'const at = now;' },
    kind: 'both stalled',
    invariant: 'lease',
    within: 100,
  },
  {
    name: 'the lease of vipd never ends',
    change: { mark: 'vipd-lease-ends', becomes: 'return NEVER;' },
    invariant: 'lease',
    within: 400,
  },
  {
    name: 'the packet lease never ends',
    change: { mark: 'packet-lease-ends', becomes: 'kernel.openGate(NEVER);' },
    also: [{ mark: 'packet-lease-closed', becomes: '' }],
    invariant: 'lease',
    within: 100,
  },
  {
    name: 'a claim does not go above the highest epoch that is known',
    change: { mark: 'epochs-grow', becomes: 'return { counter: highest.counter, node: machine.settings.nodeId };' },
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'an answer of a third machine breaks the silence of the one that was asked',
    change: { mark: 'only-the-asked-breaks-silence', becomes: 'const asked = true;' },
    kind: 'power loss, a stranger answers',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'answers of a third machine veto a takeover',
    change: { mark: 'third-is-no-peer', becomes: 'const third = false;' },
    kind: 'power loss, a stranger answers',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'the witness is not asked after silence',
    change: {
      mark: 'witness-asked',
      becomes: "return take(machine, probing, now, 'silence: no heartbeat and no answer');",
    },
    kind: 'full partition, healed',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'an owner cut off from its peer and the witness serves on',
    change: { mark: 'cut-off-lets-go', becomes: '' },
    kind: 'cut off from peer and witness',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'the lease is not armed while a peer could take over',
    change: { mark: 'armed-while-peer-may-take', becomes: 'const armed = false;' },
    invariant: 'liveness',
    within: 100,
  },
  {
    name: 'a vacancy under a one-way cut does not ask the witness',
    change: { mark: 'one-way-vacancy-asks', becomes: 'return judgement;' },
    kind: 'nobody serves, behind a one-way cut',
    invariant: 'one-owner',
    within: 1_000,
  },
  {
    name: 'a router says that it is ready while it has no vipd to claim with',
    change: { mark: 'no-vipd-is-not-ready', becomes: 'return false;' },
    invariant: 'ready-truth',
    within: 1_000,
  },
  {
    name: 'a standby does not listen to what the peer says of its kernel',
    change: { mark: 'peer-says-what-it-holds', becomes: '' },
    fromSeed: 117_388,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'an owner that does not serve any more takes the addresses back from a peer of a lower epoch',
    change: { mark: 'who-serves-goes-on', becomes: '', lines: 2 },
    fromSeed: 168_088,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'of two that beat differently the faster one does not wait for the slower one',
    change: { mark: 'patience-by-the-slower', becomes: 'return settings.intervalMs;' },
    fromSeed: 154_541,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'a peer that has no vipd and falls silent is taken for dead, whatever its kernel keeps',
    change: { mark: 'silent-kernel-may-serve-on', becomes: 'return dead;' },
    fromSeed: 287_920,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'a claim that a new vipd is to make is made although the peer was heard to serve meanwhile',
    change: { mark: 'claim-ends-with-the-silence', becomes: 'return false;' },
    fromSeed: 274_468,
    invariant: 'too-early',
    within: 1,
  },
  {
    name: 'a router without any address of its own resumes what its kernel has kept',
    change: { mark: 'speechless-does-not-resume', becomes: 'if (false) {' },
    fromSeed: 294_934,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'an owner without any address of its own defends, if those went with the carrier',
    change: { mark: 'no-own-address-at-all', becomes: 'return isBare(machine);' },
    fromSeed: 294_934,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'a router that leaves its addresses to the kernel says that it stops',
    change: { mark: 'leaves-without-a-word', becomes: 'return false;' },
    fromSeed: 404_085,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'an owner that the peer does not hear waits for the end of its lease although it can answer no probe',
    change: { mark: 'unheard-and-bare-lets-go', becomes: 'const unheard = false;' },
    fromSeed: 531_052,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'a link on which the peer does not hear an owner counts as a way to speak',
    change: { mark: 'mute-on-the-last-link', becomes: 'return isBare(machine);' },
    fromSeed: 537_644,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'an owner that wakes without its addresses counts from the heartbeat that it could not send',
    change: { mark: 'unsent-counts-from-before', becomes: 'return at;' },
    fromSeed: 719_754,
    invariant: 'mute-owner',
    within: 1,
  },
  {
    name: 'a last will that comes out of a full queue opens the way at once',
    change: { mark: 'will-out-of-a-queue', becomes: '' },
    fromSeed: 861_252,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'what vipd tries already, and has told of once, counts as possible after a change of the link',
    change: { mark: 'vipd-tells-once', becomes: 'return false;' },
    fromSeed: 191_135,
    invariant: 'unit-unserved',
    within: 1,
  },
  {
    name: 'a handover is offered before vipd has armed the lease',
    change: { mark: 'armed-before-the-offer', becomes: 'return true;' },
    kind: 'vipd of the owner stops as the standby comes back',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'a peer that holds its term without vipd is not asked how long its kernel may serve',
    change: { mark: 'kernel-may-serve-on', becomes: 'false' },
    kind: 'the owner is alone and loses vipd as the standby comes back, probes are lost',
    invariant: 'one-owner',
    within: 100,
  },
  {
    name: 'vipd gives no word for what it holds',
    change: { mark: 'vipd-gives-its-word', becomes: 'return false;' },
    kind: 'echoes are dropped, all heartbeats are lost',
    invariant: 'one-owner',
    within: 100,
  },
  {
    name: 'an answer by ARP vetoes a takeover',
    change: { mark: 'arp-is-no-proof', becomes: 'if (false) {' },
    kind: 'power loss, a switch answers for the dead owner',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'a target that is silent to one router outvotes heartbeats that echo ours',
    change: { mark: 'echoes-outvote-a-target', becomes: 'const proven = targets.includes(true);' },
    kind: 'a target is silent to the owner alone',
    invariant: 'no-change',
    within: 100,
  },
  {
    name: 'a heartbeat proves that a LAN lives, whatever it echoes',
    change: { mark: 'echo-proves-a-lan', becomes: 'const at = peer.links[link]?.heardAt;' },
    kind: 'a LAN of the owner loses a direction',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'neighbours that do not answer any more tell nothing of a LAN without targets',
    change: { mark: 'neighbours-tell', becomes: '' },
    kind: 'a LAN of the owner loses a direction',
    invariant: 'liveness',
    within: 50,
  },
  {
    name: 'heartbeats that echo nothing any more tell nothing of a LAN without targets',
    change: { mark: 'unechoed-tells-death', becomes: 'return false;' },
    kind: 'a LAN that is quiet to the owner alone loses what it sends',
    invariant: 'liveness',
    within: 50,
  },
  {
    name: 'on a LAN where nobody but the peer is known, its silence is the death of the LAN',
    change: { mark: 'doubt-moves-nothing', becomes: 'return true;' },
    kind: 'a quiet LAN of the standby loses a direction',
    invariant: 'no-change',
    within: 20,
  },
  {
    name: 'a router that was asleep for long counts D, as if it had been gone for a moment',
    change: { mark: 'long-sleep-listens-anew', becomes: '' },
    kind: 'the owner finds itself alone and stops, the standby wakes behind a one-way cut',
    invariant: 'one-owner',
    within: 50,
  },
  {
    name: 'a router that could not speak for long counts D, as if it had been heard',
    change: { mark: 'long-mute-listens-anew', becomes: '' },
    fromSeed: 666_902,
    invariant: 'one-owner',
    within: 1,
  },
  {
    name: 'a new vipd takes the addresses back after the lease has ended',
    change: { mark: 'new-vipd-no-ended-lease', becomes: 'return adopt(turn, state.epoch);' },
    kind: 'vipd stopped for about a lease',
    invariant: 'one-owner',
    within: 800,
  },
  {
    name: 'an owner that cannot speak serves on',
    change: { mark: 'mute-owner-lets-go', becomes: 'return false;' },
    kind: 'own addresses of all LANs lost',
    invariant: 'mute-owner',
    within: 20,
  },
  {
    name: 'who cannot speak defends the addresses',
    change: { mark: 'mute-does-not-defend', becomes: 'return false;' },
    kind: 'who cannot speak is alone, and the peer starts again',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'a router that cannot speak takes silence for death',
    change: { mark: 'mute-does-not-claim', becomes: '' },
    also: [{ mark: 'unbound-does-not-claim', becomes: '' }],
    kind: 'the standby boots before its addresses are there',
    invariant: 'mute-claim',
    within: 500,
  },
  {
    name: 'a link that lost its address with its carrier counts as unbound',
    change: { mark: 'down-is-not-gone', becomes: 'gone = true;' },
    kind: 'power loss takes the cross link along, with carrier and address',
    invariant: 'liveness',
    within: 50,
  },
  {
    name: 'nobody looks whether a LAN has an own address',
    change: { mark: 'own-address-watched', becomes: 'false' },
    kind: 'own address of one family lost',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'an escape from a LAN without carrier waits as other moves do',
    change: { mark: 'escape-at-once', becomes: 'const damped = holdDownMs(machine.peerLostAt, ms(0), now);' },
    kind: 'carrier lost again and again',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'a claim that the kernel refuses is tried again at once',
    change: {
      mark: 'refused-claim-pauses',
      becomes: "if (whyNotClaim(machine, now) !== undefined) return { verdict: 'calm' };",
    },
    also: [{ mark: 'refused-address-tried-again', becomes: "return place === 'here' && refusal !== undefined;" }],
    kind: 'the kernel refuses, and nobody else is left',
    invariant: 'retry-pace',
    within: 20,
  },
  {
    name: 'a peer that was never heard is not resolved',
    change: { mark: 'unheard-peer-resolved', becomes: 'if (!last) return undefined;' },
    kind: 'heartbeats never arrive',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'each of two routers that never heard each other goes first',
    change: {
      mark: 'unheard-ranked',
      becomes: 'return last && priority !== last.priority ? priority > last.priority : !last || nodeId < peerNodeId;',
    },
    kind: 'heartbeats never arrive',
    invariant: 'liveness',
    within: 400,
  },
  {
    name: 'a claim of a peer that was never heard is no sign of life',
    change: { mark: 'claim-is-a-sign-of-life', becomes: 'now >= silenceAt(machine, idle)' },
    kind: 'neither heartbeats nor probes ever arrive',
    invariant: 'one-owner',
    within: 20,
  },
  {
    name: 'a longer lease is used before the peer has heard of it',
    change: { mark: 'longer-lease-later', becomes: 'leaseMs: b.leaseMs,' },
    kind: RELOAD_STALL,
    invariant: 'too-early',
    within: 100,
  },
  {
    name: "a shorter D is used at once, whatever is known of the peer's lease",
    change: { mark: 'shorter-dead-time-later', becomes: 'deadMs: b.deadMs,' },
    also: [{ mark: 'peer-lease-outlasted', becomes: 'return machine.settings.deadMs;' }],
    kind: RELOAD_STALL,
    invariant: 'too-early',
    within: 400,
  },
  {
    name: 'a shorter lease is told before the old one is over',
    change: { mark: 'shorter-lease-said-later', becomes: 'leaseMs: wanted.leaseMs,' },
    kind: RELOAD_STALL,
    invariant: 'lease',
    within: 50,
  },
  {
    name: 'version 2 is sent to a peer that has not said that it reads it',
    change: { mark: 'version-2-if-read', becomes: 'return isHeard(peer, silentBefore) && true ? 2 : 1;' },
    kind: 'handover',
    invariant: 'liveness',
    within: 200,
  },
  {
    name: 'version 2 goes on to a peer that is silent and may come back as a version that does not read it',
    change: { mark: 'version-2-if-heard', becomes: 'return peer.last?.readsVersion2 === true ? 2 : 1;' },
    kind: 'both started again, then old datagrams are played back, then a handover',
    invariant: 'liveness',
    within: 100,
  },
  {
    name: 'an owner that can hold a part asks for all',
    change: { mark: 'asks-for-what-it-can', becomes: 'return [...machine.addresses.keys()];' },
    kind: NEITHER_KERNEL,
    invariant: 'unit-unserved',
    within: 20,
  },
  {
    name: 'vipd keeps what the term holds no more',
    change: { mark: 'vipd-drops-what-is-not-wanted', becomes: '' },
    kind: 'the interface of the gateway goes on both',
    invariant: 'unit-unserved',
    within: 20,
  },
  {
    name: 'a peer that can hold more idles',
    change: { mark: 'peer-that-holds-more', becomes: '' },
    kind: 'the kernel of the owner takes one address no more',
    invariant: 'liveness',
    within: 20,
  },
  {
    name: 'a standby promises again what its kernel has refused, as soon as it might try',
    change: {
      mark: 'no-promise-after-refusal',
      becomes: 'return refusal !== undefined && pauses(refusal.retry, now) ? refusal.text : undefined;',
    },
    kind: NEITHER_KERNEL,
    invariant: 'flap',
    within: 20,
  },
  {
    name: 'an owner never tries again what the kernel has refused',
    change: { mark: 'refused-address-tried-again', becomes: 'return false;' },
    kind: 'the owner may hold one address again, and nothing tells it',
    invariant: 'unit-unserved',
    within: 20,
  },
  {
    name: 'what becomes possible waits for the next term',
    change: {
      mark: 'holds-what-becomes-possible',
      becomes:
        'const able = claims ? addressesToClaim(turn.machine, turn.now) : addressesToHold(turn.machine, turn.now).filter(index => lease.asked.includes(index));',
    },
    kind: 'IPv6 is disabled on both, and enabled again on the owner',
    invariant: 'unit-unserved',
    within: 20,
  },
  {
    name: 'a claim that the kernel refuses in part is given up',
    change: { mark: 'claims-the-rest', becomes: '' },
    kind: 'power loss, the standby can hold a part',
    invariant: 'takeover-time',
    within: 20,
  },
];

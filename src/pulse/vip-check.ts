// The standby's own look at the addresses: every 3 D it asks each by an echo, as the election does
// after silence, and sees which answer. It decides nothing; it tells people that nobody is served
// although a heartbeat says so, or that somebody is although no heartbeat arrives. An address
// counts as silent only if it has answered in this term of ownership: where a firewall drops
// echoes, nothing is concluded. One that limits their rate starves whoever is asked last: an
// address that was missed among others is asked alone, and only that counts further. Pure.
import { type At, after, between } from '../units/duration.ts';
import { formatEpoch } from '../units/epoch.ts';
import type { VipdMessage } from '../vip/protocol.ts';
import { peerLacksUnits } from './election/beliefs/holdable.ts';
import { isPeerAbsent, peerMac } from './election/beliefs/peer-heard.ts';
import type { Machine } from './election/machine.ts';
import { vipCheckEvery, vipCheckStaleAfter, vipCheckWindow } from './timing.ts';

/** Numbers of our probes: far above those of the election, which counts from 1. */
const IDS_FROM = 2 ** 40;
/** Questions without an answer that make an address silent: two could be a frame lost twice. */
const SILENT_QUESTIONS = 3;
/** Most of them, for an address that has gone without answers and come back in this term. */
const SILENT_QUESTIONS_MAX = 15;

interface Seen {
  readonly answered: boolean;
  /** It has answered in this term. */
  readonly proven: boolean;
  /** Questions in a row without an answer; those of rounds that ask all count as one. */
  readonly missed: number;
  /** The most of them, in this term, that an answer came after. */
  readonly gap: number;
}

export interface VipCheck {
  readonly round: number;
  readonly askedAt: At;
  /** The term that the findings are about: the epoch that the peer serves under. */
  readonly term: string;
  readonly seen: readonly Seen[];
  /** The only address that this round asks; undefined: all. */
  readonly alone: number | undefined;
  /** The address that was asked alone last: others come first then. */
  readonly aloneLast: number;
}

export interface VipFindings {
  readonly answering: readonly number[];
  readonly silent: readonly number[];
}

interface VipProbe {
  readonly id: number;
  readonly index: number;
  readonly mac: string | undefined;
  readonly windowMs: number;
}

const UNSEEN: Seen = { answered: false, proven: false, missed: 0, gap: 0 };

/**
 * The next round if one is due; undefined when none is. Ends (check undefined) when this router is
 * no standby.
 */
export function nextRound(
  check: VipCheck | undefined,
  machine: Machine,
  now: At,
): { readonly check: VipCheck | undefined; readonly probes: readonly VipProbe[] } | undefined {
  if (machine.state.role !== 'standby') return check && { check: undefined, probes: [] };
  const { addressLans, intervalMs, deadMs } = machine.settings;
  if (check && now < after(check.askedAt, vipCheckEvery(deadMs))) return undefined;
  const term = formatEpoch(machine.peer.last?.epoch ?? machine.highest);
  const before = check?.term === term ? check.seen : addressLans.map(() => UNSEEN);
  const round = (check?.round ?? 0) + 1;
  const seen = check?.term === term ? before.map((one, index) => afterRound(one, index, check.alone)) : before;
  const alone = suspectOf(seen, check);
  const windowMs = vipCheckWindow(intervalMs);
  const probes = [...addressLans.keys()]
    .filter(index => (alone === undefined || index === alone) && !isPeerAbsent(machine, index))
    .map(index => ({ id: IDS_FROM + round, index, mac: peerMac(machine, index), windowMs }));
  return { check: { round, askedAt: now, term, seen, alone, aloneLast: alone ?? check?.aloneLast ?? -1 }, probes };
}

function afterRound(seen: Seen, index: number, alone: number | undefined): Seen {
  const { answered, proven, missed, gap } = seen;
  if (answered) return { answered: false, proven: true, missed: 0, gap: Math.max(gap, missed) };
  if (alone === undefined) return { ...seen, missed: proven ? Math.max(1, missed) : 0 };
  return index === alone ? { ...seen, missed: missed + 1 } : seen;
}

/**
 * The address to ask alone now: one that was missed, until it answers or counts as silent; then all
 * are asked again.
 */
function suspectOf(seen: readonly Seen[], before: VipCheck | undefined): number | undefined {
  const suspects = [...seen.keys()].filter(index => {
    const one = seen[index] as Seen;
    return one.missed > 0 && !isSilent(one);
  });
  const { alone, aloneLast = -1 } = before ?? {};
  if (alone !== undefined) return suspects.includes(alone) ? alone : undefined;
  return suspects.find(index => index > aloneLast) ?? suspects[0];
}

function isSilent({ answered, proven, missed, gap }: Seen): boolean {
  const enough = Math.min(SILENT_QUESTIONS_MAX, Math.max(SILENT_QUESTIONS, 2 * gap + 1));
  return proven && !answered && missed >= enough;
}

/** Whether a word of vipd is about our probes, and so none of the election's business. */
export function isOurs(message: VipdMessage): boolean {
  return (message.type === 'reply' || message.type === 'silent') && message.id >= IDS_FROM;
}

export function hear(check: VipCheck | undefined, message: VipdMessage): VipCheck | undefined {
  if (!check || message.type !== 'reply' || message.via !== 'echo' || message.id !== IDS_FROM + check.round)
    return check;
  const seen = check.seen.map((old, index) => (index === message.index ? { ...old, answered: true } : old));
  return { ...check, seen };
}

/** What is to be told; null before anything has answered. */
export function findingsOf(check: VipCheck | undefined, machine: Machine, now: At): VipFindings | null {
  if (!check?.seen.some(({ answered, proven }) => answered || proven)) return null;
  if (between(check.askedAt, now) > vipCheckStaleAfter(machine.settings.deadMs)) return null;
  const numbers = (which: (seen: Seen) => boolean) => [...check.seen.keys()].filter(i => which(check.seen[i] as Seen));
  return {
    answering: numbers(one => (one.answered || one.proven) && !isSilent(one)),
    // One that cannot hold all says so; what it has let go of is no surprise.
    silent: peerLacksUnits(machine) ? [] : numbers(isSilent),
  };
}

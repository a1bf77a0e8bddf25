// The standby's own look at the addresses: every 3 D it asks each by an echo, as the election does
// after silence, and sees which answer. It decides nothing; it tells people that nobody is served
// although a heartbeat says so, or that somebody is although no heartbeat arrives. An address
// counts as silent only if it has answered in this term of ownership: where a firewall drops
// echoes, nothing is concluded. One that limits their rate starves whoever is asked last: an
// address that was missed among others is asked alone, and only that counts further. Where this
// router itself has no way to an address, no answer is missed. Pure.
import { type At, after, between } from '../units/duration.ts';
import { formatEpoch } from '../units/epoch.ts';
import type { VipdMessage } from '../vip/protocol.ts';
import { peerLacksUnits } from './election/beliefs/holdable.ts';
import { lacksOwnAddress } from './election/beliefs/own-addresses.ts';
import { isPeerAbsent, peerMac } from './election/beliefs/peer-heard.ts';
import type { Machine } from './election/machine.ts';
import { vipCheckEvery, vipCheckStaleAfter, vipCheckWindow } from './timing.ts';

/** Numbers of our probes: far above those of the election, which counts from 1. */
const IDS_FROM = 2 ** 40;
/** Questions without an answer that make an address silent: two could be a frame lost twice. */
const SILENT_QUESTIONS = 3;
/** Most of them, for an address that has gone without answers and come back in this term. */
const SILENT_QUESTIONS_MAX = 15;
/** Rounds after which older answers are nobody's any more, if none has come in them. */
const QUIET_ROUNDS = 2;

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
  /** Rounds in a row that are over, in which no address has answered. */
  readonly quiet: number;
  /** The most of them, in this term, that an answer came after. */
  readonly quietGap: number;
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
  const round = (check?.round ?? 0) + 1;
  const seen =
    check?.term === term
      ? check.seen.map((one, index) =>
          hasWayTo(machine, index, now) ? afterRound(one, index, check.alone) : withoutWay(one),
        )
      : addressLans.map(() => UNSEEN);
  const alone = suspectOf(seen, check);
  const windowMs = vipCheckWindow(intervalMs);
  const probes = [...addressLans.keys()]
    .filter(index => (alone === undefined || index === alone) && !isPeerAbsent(machine, index))
    .map(index => ({ id: IDS_FROM + round, index, mac: peerMac(machine, index), windowMs }));
  const { quiet, quietGap } = check?.term === term ? quietAfter(check) : { quiet: 0, quietGap: 0 };
  const aloneLast = alone ?? check?.aloneLast ?? -1;
  return { check: { round, askedAt: now, term, seen, alone, aloneLast, quiet, quietGap }, probes };
}

function quietAfter({ seen, quiet, quietGap }: VipCheck): Pick<VipCheck, 'quiet' | 'quietGap'> {
  return isAnswered(seen) ? { quiet: 0, quietGap: Math.max(quietGap, quiet) } : { quiet: quiet + 1, quietGap };
}

function isAnswered(seen: readonly Seen[]): boolean {
  return seen.some(({ answered }) => answered);
}

/**
 * Nobody has answered for long, whichever was asked: each alone would take its turn, and with many
 * addresses a minute would pass until all count as silent.
 */
function isQuiet({ seen, quiet, quietGap }: VipCheck): boolean {
  return !isAnswered(seen) && quiet >= enough(QUIET_ROUNDS, quietGap);
}

/** The LAN of an address works here; else it is ours to blame that no answer comes. */
function hasWayTo(machine: Machine, index: number, now: At): boolean {
  const lan = machine.settings.addressLans[index] as number;
  return machine.lanHealth[lan]?.dead !== true && !lacksOwnAddress(machine, lan, now);
}

function withoutWay(seen: Seen): Seen {
  return { ...seen, answered: false, proven: seen.proven || seen.answered, missed: 0 };
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
  return proven && !answered && missed >= enough(SILENT_QUESTIONS, gap);
}

/** Without an answer so often: more where answers came after a gap, as behind a limit. */
function enough(least: number, gap: number): number {
  return Math.min(SILENT_QUESTIONS_MAX, Math.max(least, 2 * gap + 1));
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
    answering: isQuiet(check) ? [] : numbers(one => (one.answered || one.proven) && !isSilent(one)),
    // One that cannot hold all says so; what it has let go of is no surprise.
    silent: peerLacksUnits(machine) ? [] : numbers(isSilent),
  };
}

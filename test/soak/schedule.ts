// The soak's faults from a seed: fault number n of a seed is the same in every run, whatever the routers did meanwhile. Pure.
// Rough blocks draw from every fault; gentle blocks leave all processes alive, so that what they keep of many failovers shows.
import { Random } from '../sim/random.ts';

export const LEGS = ['clients', 'servers', 'cross'] as const;
export type Leg = (typeof LEGS)[number];
/** By its role when the fault begins. */
export type Who = 'active' | 'standby';
export type What = 'pulse' | 'vipd' | 'all';
export type Damage = 'empty' | 'truncated' | 'garbage' | 'missing';
export type Direction = 'in' | 'out';

export type Fault =
  | { readonly kind: 'power-loss'; readonly who: Who; readonly downMs: number }
  | { readonly kind: 'kill'; readonly who: Who; readonly what: What; readonly downMs: number }
  | { readonly kind: 'stop'; readonly who: Who; readonly what: What; readonly stoppedMs: number }
  | { readonly kind: 'sigterm'; readonly who: Who; readonly downMs: number }
  | {
      readonly kind: 'damage';
      readonly who: Who;
      readonly file: 'pulse.json' | 'vipd.state';
      readonly how: Damage;
    }
  | { readonly kind: 'handover'; readonly times: number; readonly pauseMs: number }
  | { readonly kind: 'carrier'; readonly who: Who; readonly leg: Leg; readonly downMs: number }
  | {
      readonly kind: 'flap';
      readonly who: Who;
      readonly leg: Leg;
      readonly times: number;
      readonly periodMs: number;
    }
  | {
      readonly kind: 'cut';
      readonly who: Who;
      readonly legs: readonly Leg[];
      readonly directions: readonly Direction[];
      readonly forMs: number;
    }
  | { readonly kind: 'vip-removed'; readonly times: number; readonly pauseMs: number }
  | { readonly kind: 'foreign-claim'; readonly claims: number; readonly pauseMs: number }
  | { readonly kind: 'hostile'; readonly who: Who; readonly leg: Leg; readonly datagrams: number }
  | { readonly kind: 'hold'; readonly forMs: number };
export type FaultKind = Fault['kind'];

/** Faults in a block of each sort; rough first, so that a short run sees everything. A gentle block takes some twenty minutes. */
export const ROUGH_BLOCK = 60;
export const GENTLE_BLOCK = 600;

const GENTLE = [
  'handover',
  'stop',
  'carrier',
  'flap',
  'cut',
  'vip-removed',
  'foreign-claim',
  'hostile',
  'hold',
] as const;
const ROUGH = [...GENTLE, 'power-loss', 'kill', 'kill', 'stop', 'sigterm', 'damage'] as const;
export const KINDS: readonly FaultKind[] = [...new Set<FaultKind>(ROUGH)];

export interface Draw {
  pick<T>(from: readonly T[]): T;
  /** A whole number of this range, small ones as likely as large ones by their ratio. */
  between(least: number, most: number): number;
  chance(share: number): boolean;
}

export function drawFrom(random: Random): Draw {
  return {
    pick: from => random.pick(from),
    between: (least, most) => Math.min(most, Math.round(least * (most / least) ** random.next())),
    chance: share => random.chance(share),
  };
}

export function isGentle(index: number): boolean {
  return index % (ROUGH_BLOCK + GENTLE_BLOCK) >= ROUGH_BLOCK;
}

export interface Choice {
  /** Only these kinds; default all. */
  readonly only?: readonly FaultKind[];
}

/** Fault number `index` (from 0) of a seed. */
export function faultAt(seed: number, index: number, { only = KINDS }: Choice = {}): Fault {
  const draw = drawFrom(new Random(Math.imul(seed, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)));
  const gentle = isGentle(index);
  const all: readonly FaultKind[] = gentle ? GENTLE : ROUGH;
  const allowed = all.filter(kind => only.includes(kind));
  return make(draw.pick(allowed.length > 0 ? allowed : only), draw, gentle);
}

function make(kind: FaultKind, draw: Draw, gentle: boolean): Fault {
  // The active one is the more interesting victim.
  const who: Who = draw.chance(0.7) ? 'active' : 'standby';
  switch (kind) {
    case 'power-loss':
      return { kind, who, downMs: draw.between(500, 4_000) };
    case 'kill':
      return { kind, who, what: draw.pick(['pulse', 'vipd', 'all'] as const), downMs: draw.between(20, 3_000) };
    case 'stop': {
      // A stopped vipd is replaced: that is no gentle fault.
      const what = gentle ? draw.pick(['pulse', 'all'] as const) : draw.pick(['pulse', 'vipd', 'all'] as const);
      return { kind, who, what, stoppedMs: draw.between(30, 3_000) };
    }
    case 'sigterm':
      return { kind, who, downMs: draw.between(10, 2_000) };
    case 'damage':
      return {
        kind,
        who,
        file: draw.pick(['pulse.json', 'pulse.json', 'vipd.state'] as const),
        how: draw.pick(['empty', 'truncated', 'garbage', 'missing'] as const),
      };
    case 'handover':
      return { kind, times: draw.between(1, 10), pauseMs: draw.between(1, 400) };
    case 'carrier':
      return { kind, who, leg: draw.pick(LEGS), downMs: draw.between(20, 3_000) };
    case 'flap':
      return { kind, who, leg: draw.pick(LEGS), times: draw.between(2, 10), periodMs: draw.between(10, 400) };
    case 'cut':
      return { kind, who, legs: legsCut(draw), directions: directions(draw), forMs: draw.between(200, 4_000) };
    case 'vip-removed':
      return { kind, times: draw.between(1, 5), pauseMs: draw.between(5, 500) };
    case 'foreign-claim':
      return { kind, claims: draw.between(1, 5), pauseMs: draw.between(1, 200) };
    case 'hostile':
      return { kind, who, leg: draw.pick(LEGS), datagrams: draw.between(10, 2_000) };
    case 'hold':
      return { kind, forMs: draw.between(400, 1_500) };
  }
}

function legsCut(draw: Draw): readonly Leg[] {
  return draw.chance(0.5) ? LEGS : [draw.pick(LEGS)];
}

function directions(draw: Draw): readonly Direction[] {
  return draw.pick([['in'], ['out'], ['in', 'out']] as const);
}

/** A fault in words, for transcripts: the kind, then what was drawn. */
export function faultInWords(fault: Fault): string {
  const { kind, ...details } = fault;
  const words = Object.entries(details).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? value.join('+') : value}`,
  );
  return [kind, ...words].join(' ');
}

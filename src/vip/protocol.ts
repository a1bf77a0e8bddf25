// vipd's language: command lines out, answer lines in (docs/internals/vipd.md). Pure.

import type { At } from '../units/duration.ts';
import { type Epoch, formatEpoch, parseEpoch } from '../units/epoch.ts';

/** Longest line in either direction, in bytes. */
export const VIPD_LINE_BYTES_MAX = 1024;

/**
 * A router's own address: here, here without a way to the peer's, gone by itself, or gone with its
 * carrier.
 */
const FIXED_STATES = ['here', 'unrouted', 'gone', 'down'] as const;
export type FixedState = (typeof FIXED_STATES)[number];

/**
 * Others on a LAN without targets: somebody answers, nobody does any more, or nobody who does is
 * known.
 */
const NEIGHBOURS_WORDS = ['answer', 'silent', 'none'] as const;
export type NeighboursWord = (typeof NEIGHBOURS_WORDS)[number];

export type VipdMode = 'armed' | 'alone';

/** Whether the kernel would take a virtual address. */
export type PlaceState = 'here' | 'no-interface' | 'no-ipv6';

export interface LeaseRequest {
  readonly seq: number;
  readonly epoch: Epoch;
  /** Moment of the request, CLOCK_MONOTONIC: the lease counts from here. */
  readonly at: At;
  readonly leaseMs: number;
  readonly mode: VipdMode;
  /** How long addresses stay after the lease when alone. */
  readonly keepMs: number;
  /** Numbers of the addresses that are to be held, ascending. */
  readonly addresses: readonly number[];
}

export type VipdMessage =
  | {
      readonly type: 'hello';
      readonly version: string;
      readonly epoch: Epoch;
      readonly mode: VipdMode | 'none';
      readonly held: number;
    }
  | {
      readonly type: 'held';
      readonly seq: number;
      readonly epoch: Epoch;
      /** Of a claim: microseconds from its request to the first announcement. */
      readonly announcedAfterUs: number | undefined;
    }
  | { readonly type: 'released'; readonly seq: number; readonly epoch: Epoch }
  | { readonly type: 'refused'; readonly seq: number; readonly reason: string }
  | { readonly type: 'expired'; readonly epoch: Epoch }
  | { readonly type: 'repaired'; readonly index: number }
  /** One that a renewal has asked for anew is in the kernel. */
  | { readonly type: 'added'; readonly index: number }
  /** The kernel refused to add an address, or to put it back; text says why. */
  | { readonly type: 'denied'; readonly index: number; readonly text: string }
  | { readonly type: 'place'; readonly index: number; readonly state: PlaceState }
  | { readonly type: 'link'; readonly index: number; readonly up: boolean; readonly mac: string }
  | {
      readonly type: 'reply';
      readonly id: number;
      readonly index: number;
      /** word: the other vipd's, that it serves the address. */
      readonly via: 'echo' | 'word' | 'arp';
      readonly mac: string;
    }
  /**
   * Neither an echo nor the other vipd's word came within the probe's window, and nothing that came
   * in is unread.
   */
  | { readonly type: 'silent'; readonly id: number; readonly index: number }
  /**
   * Somebody else claims an address that we hold. port: where it was heard, the interface or a
   * bridge's port; empty when unknown. from: who sent the frame there, by which a bridge knows its
   * port; a vipd of 0.3.0 does not say it, and has looked the port up itself.
   */
  | {
      readonly type: 'conflict';
      readonly index: number;
      readonly mac: string;
      readonly port: string;
      readonly from?: string;
    }
  /** As a conflict, while we do not hold the address. */
  | { readonly type: 'claimed'; readonly index: number; readonly mac: string }
  /**
   * Somebody answers for an own address of the peer's (index: as of `fixed`). target: a target has
   * answered from that MAC, too.
   */
  | { readonly type: 'peer'; readonly index: number; readonly mac: string; readonly target: boolean }
  /** Another vipd says that own address number `index` is its own. */
  | { readonly type: 'copy'; readonly index: number; readonly mac: string }
  /** A target answers, or has not answered for the window of `sample`. */
  | { readonly type: 'target'; readonly index: number; readonly up: boolean }
  /** Frames came in on an interface within the window, or none did. */
  | { readonly type: 'traffic'; readonly iface: string; readonly alive: boolean }
  /** Of an interface without targets. */
  | { readonly type: 'neighbours'; readonly iface: string; readonly word: NeighboursWord }
  /**
   * Whether this host has an address that the config gives to one of the routers. unrouted: it has,
   * but the kernel has no way from there to the peer's on that LAN. down: it went with its
   * interface's carrier.
   */
  | { readonly type: 'fixed'; readonly index: number; readonly state: FixedState }
  /**
   * The packet lease's rules are not what they should be; `lost` says what: table, shut, lo, or an
   * interface that came back.
   */
  | { readonly type: 'gate'; readonly lost: string }
  | { readonly type: 'error'; readonly text: string };

export function leaseLine(verb: 'claim' | 'renew', request: LeaseRequest): string {
  const { seq, epoch, at, leaseMs, mode, keepMs, addresses } = request;
  const atUs = Math.floor(at * 1000);
  return `${verb} ${seq} ${formatEpoch(epoch)} ${atUs} ${Math.round(leaseMs)} ${mode} ${Math.round(keepMs)} ${formatMask(addresses)}`;
}

/** One bit for each address, as hexadecimal digits. */
function formatMask(addresses: readonly number[]): string {
  return addresses.reduce((mask, index) => mask | (1n << BigInt(index)), 0n).toString(16);
}

export function willLine(datagram: Buffer): string {
  return `will ${datagram.toString('hex')}`;
}

export function releaseLine(seq: number, epoch: Epoch, will: boolean): string {
  return `release ${seq} ${formatEpoch(epoch)} ${will ? 'will' : 'quiet'}`;
}

/**
 * The longest that vipd takes (native/pipe/command.c); a longer one is refused as a bad command.
 */
export const PROBE_WINDOW_MS_MAX = 1_000;

/** `windowMs`: how long vipd waits for an echo before it tells the silence. */
export function probeLine(id: number, index: number, mac: string | undefined, windowMs: number): string {
  return `probe ${id} ${index} ${mac ?? '-'} ${Math.ceil(windowMs)}`;
}

/** How often targets are asked, and how long without an answer makes one silent. */
export function sampleLine(everyMs: number, windowMs: number): string {
  return `sample ${Math.ceil(everyMs)} ${Math.ceil(windowMs)}`;
}

/** Asks who has fixed address number `index`, the peer's; or which other vipd has it, our own. */
export function resolveLine(index: number): string {
  return `resolve ${index}`;
}

/** Reads one line of vipd; undefined when it is none that we know. Never throws. */
export function parseVipdLine(line: string): VipdMessage | undefined {
  const [word, ...rest] = line.split(' ');
  const [first = '', second = '', third = '', fourth = ''] = rest;
  switch (word) {
    case 'hello':
      return parseHello(first, second, third, fourth);
    case 'held':
      return withEpoch(second, epoch =>
        isCount(first)
          ? { type: 'held', seq: Number(first), epoch, announcedAfterUs: isCount(third) ? Number(third) : undefined }
          : undefined,
      );
    case 'released':
      return withEpoch(second, epoch => (isCount(first) ? { type: 'released', seq: Number(first), epoch } : undefined));
    case 'refused':
      return isCount(first) ? { type: 'refused', seq: Number(first), reason: rest.slice(1).join(' ') } : undefined;
    case 'expired':
      return withEpoch(first, epoch => ({ type: 'expired', epoch }));
    case 'repaired':
      return isCount(first) ? { type: 'repaired', index: Number(first) } : undefined;
    case 'added':
      return isCount(first) ? { type: 'added', index: Number(first) } : undefined;
    case 'denied':
      return isCount(first) ? { type: 'denied', index: Number(first), text: rest.slice(1).join(' ') } : undefined;
    case 'place':
      if (!isCount(first) || (second !== 'here' && second !== 'no-interface' && second !== 'no-ipv6')) return undefined;
      return { type: 'place', index: Number(first), state: second };
    case 'link':
      if (!isCount(first) || (second !== 'up' && second !== 'down')) return undefined;
      return { type: 'link', index: Number(first), up: second === 'up', mac: isMac(third) ? third : '' };
    case 'reply':
      return parseReply(first, second, third, fourth);
    case 'silent':
      if (!isCount(first) || !isCount(second)) return undefined;
      return { type: 'silent', id: Number(first), index: Number(second) };
    case 'conflict':
      if (!isCount(first) || !isMac(second)) return undefined;
      return {
        type: 'conflict',
        index: Number(first),
        mac: second,
        port: third,
        ...(isMac(fourth) && { from: fourth }),
      };
    case 'claimed':
      if (!isCount(first) || !isMac(second)) return undefined;
      return { type: 'claimed', index: Number(first), mac: second };
    case 'peer':
      if (!isCount(first) || !isMac(second)) return undefined;
      return { type: 'peer', index: Number(first), mac: second, target: third === 'target' };
    case 'copy':
      return isCount(first) && isMac(second) ? { type: 'copy', index: Number(first), mac: second } : undefined;
    case 'target':
      if (!isCount(first) || (second !== 'up' && second !== 'down')) return undefined;
      return { type: 'target', index: Number(first), up: second === 'up' };
    case 'traffic':
      if (first === '' || (second !== 'alive' && second !== 'silent')) return undefined;
      return { type: 'traffic', iface: first, alive: second === 'alive' };
    case 'neighbours':
      return parseNeighbours(first, second);
    case 'fixed':
      return parseFixed(first, second);
    case 'gate':
      return first === 'lost' && second !== '' ? { type: 'gate', lost: second } : undefined;
    case 'error':
      return { type: 'error', text: rest.join(' ') };
    default:
      return undefined;
  }
}

function parseNeighbours(iface: string, said: string): VipdMessage | undefined {
  const word = NEIGHBOURS_WORDS.find(known => known === said);
  return iface === '' || word === undefined ? undefined : { type: 'neighbours', iface, word };
}

function parseFixed(index: string, said: string): VipdMessage | undefined {
  const state = FIXED_STATES.find(known => known === said);
  return state !== undefined && isCount(index) ? { type: 'fixed', index: Number(index), state } : undefined;
}

function parseReply(id: string, index: string, via: string, mac: string): VipdMessage | undefined {
  if (!isCount(id) || !isCount(index) || !isMac(mac)) return undefined;
  if (via !== 'echo' && via !== 'word' && via !== 'arp') return undefined;
  return { type: 'reply', id: Number(id), index: Number(index), via, mac };
}

function parseHello(version: string, epochText: string, mode: string, held: string): VipdMessage | undefined {
  if ((mode !== 'armed' && mode !== 'alone' && mode !== 'none') || !isCount(held)) return undefined;
  return withEpoch(epochText, epoch => ({ type: 'hello', version, epoch, mode, held: Number(held) }));
}

function withEpoch(text: string, make: (epoch: Epoch) => VipdMessage | undefined): VipdMessage | undefined {
  const epoch = parseEpoch(text);
  return epoch && make(epoch);
}

function isCount(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function isMac(text: string): boolean {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text);
}

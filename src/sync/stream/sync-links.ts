// The links to the peer's director as the machine sees them: which can be used, and which is best.
// Deterministic.
import type { At } from '../../units/duration.ts';
import type { Extension, Id } from './frame.ts';

/** More than the config allows heartbeat links. */
export const LINKS_MAX = 8;
/** A link whose queue was full is left alone for this long. */
const CONGESTED_MS = 20;
/** An old round-trip time counts this much against a new one. */
const RTT_SMOOTHING = 0.75;

interface SyncLink {
  connected: boolean;
  /** The other end knows `takes`. */
  saysTakes: boolean;
  /** The frames that it has said it takes beside those of version 1. */
  takes: ReadonlySet<string>;
  /** Instance of the director that said hello on it since it is up. */
  instance: Id | null;
  /** Our hello was refused: it must be said again. */
  helloDue: boolean;
  rttMs: number | null;
  smoothedMs: number;
  congestedUntil: number;
}

export class SyncLinks {
  readonly all: SyncLink[] = [];
  /** The peer's director that counts: links to a former one are not used. */
  peer: Id | null = null;

  /** Undefined when the index is out of bounds. */
  at(index: number): SyncLink | undefined {
    if (!Number.isInteger(index) || index < 0 || index >= LINKS_MAX) return undefined;
    while (this.all.length <= index) {
      this.all.push({
        connected: false,
        saysTakes: false,
        takes: new Set(),
        instance: null,
        helloDue: false,
        rttMs: null,
        smoothedMs: Number.POSITIVE_INFINITY,
        congestedUntil: 0,
      });
    }
    return this.all[index];
  }

  reset(index: number, connected: boolean, saysTakes = false): void {
    const link = this.at(index);
    if (link === undefined) return;
    link.connected = connected;
    link.saysTakes = saysTakes;
    link.takes = new Set();
    link.instance = null;
    link.helloDue = false;
    link.rttMs = null;
    link.smoothedMs = Number.POSITIVE_INFINITY;
    link.congestedUntil = 0;
  }

  said(index: number, takes: readonly string[]): void {
    const link = this.at(index);
    if (link !== undefined) link.takes = new Set(takes);
  }

  usable(index: number): boolean {
    const link = this.all[index];
    return link?.connected === true && link.instance !== null && link.instance === this.peer;
  }

  get usableOnes(): number[] {
    return this.all.map((_, index) => index).filter(index => this.usable(index));
  }

  congest(index: number, now: At): void {
    const link = this.at(index);
    if (link !== undefined) link.congestedUntil = now + CONGESTED_MS;
  }

  measured(index: number, rttMs: number): void {
    const link = this.at(index);
    if (link === undefined || !(rttMs >= 0)) return;
    link.rttMs = rttMs;
    link.smoothedMs = Number.isFinite(link.smoothedMs)
      ? link.smoothedMs * RTT_SMOOTHING + rttMs * (1 - RTT_SMOOTHING)
      : rttMs;
  }

  /** Usable links that take frames now, the fastest first, but for those in the bit set `not`. */
  ready(now: At, not = 0): number[] {
    return this.usableOnes
      .filter(index => (this.all[index] as SyncLink).congestedUntil <= now && (not & (1 << index)) === 0)
      .sort((a, b) => compareMs((this.all[a] as SyncLink).smoothedMs, (this.all[b] as SyncLink).smoothedMs) || a - b);
  }

  best(now: At, not = 0): number | undefined {
    return this.ready(now, not)[0];
  }

  /** Whether one of them takes this frame, now or in a moment. */
  anyTakes(frame: Extension): boolean {
    return this.usableOnes.some(index => this.all[index]?.takes.has(frame) === true);
  }

  /** The best one whose other end takes this frame. */
  bestFor(frame: Extension, now: At): number | undefined {
    return this.ready(now).find(index => this.all[index]?.takes.has(frame) === true);
  }
}

/** Infinity minus infinity is no number. */
function compareMs(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

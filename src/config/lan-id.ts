// How the routers name a LAN to each other: by its name alone, so that LANs added or renamed on one
// of them do not change what the others are called. Pure.
import { createHash } from 'node:crypto';

/** Most LANs with virtual addresses: what fits into a heartbeat with the MAC of each. */
export const VIRTUAL_LANS_MAX = 16;

/** 16 bits of the SHA-256 of the LAN's name; a rule of `check` refuses two LANs with the same. */
export function lanId(name: string): number {
  return createHash('sha256').update(`tandem lan ${name}`).digest().readUInt16BE(0);
}

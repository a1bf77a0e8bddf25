// The two clocks: CLOCK_MONOTONIC, the one that vipd counts leases on too, for every interval; and
// wall time for what people read.
import { readFileSync } from 'node:fs';
import type { At } from '../duration.ts';

/** CLOCK_MONOTONIC in milliseconds with a fraction. */
export function monotonicNow(): At {
  return (Number(process.hrtime.bigint()) / 1e6) as At;
}

/** The kernel's id of this boot, with which the monotonic clock began; empty when there is none. */
export function kernelBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** ISO 8601 wall time, for people and logs. */
export function wallTime(): string {
  return new Date().toISOString();
}

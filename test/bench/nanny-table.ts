// The table of scripts/bench nanny. Pure.
import type { Lateness, Tls } from './nanny-plan.ts';

/** What pulse did meanwhile. */
export interface Heartbeats {
  /** Heartbeats of the owner that came to the standby. */
  readonly beats: number;
  /** Of these, how many came after a silence that makes the standby suspicious. */
  readonly late: number;
  readonly longestMs: number;
  /** Times that an event loop of pulse was late by more than a heartbeat interval, both routers. */
  readonly lateLoops: number;
  /** Owner and standby are what they were. */
  readonly isCalm: boolean;
}

export interface Measured {
  readonly servers: number;
  readonly tls: Tls;
  readonly up: number;
  /** From the director's start until all servers were up; undefined: not within two minutes. */
  readonly allUpMs: number | undefined;
  readonly lateness: Lateness;
  /** Processor time of a processor: the director's own, and that of what it ran. */
  readonly cpu: { readonly own: number; readonly children: number };
  readonly mib: { readonly rss: number; readonly most: number };
  readonly socketsMost: number;
  readonly pulse: Heartbeats;
  readonly complete: number;
  readonly broken: number;
  /** Events CHECKS_LATE. */
  readonly late: number;
  /** Of the machine, over the last minute. */
  readonly load: number;
}

export function tableOf(measured: readonly Measured[], alone: Heartbeats): string {
  const line = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0);
  return [
    line(
      'servers',
      'TLS',
      'all up after s',
      'checks',
      'late p50 ms',
      'p99',
      'max',
      'director',
      'its commands',
      'RSS MiB',
      'sockets',
      'heartbeats late',
      'longest gap ms',
      'load',
    ),
    `|${'---|'.repeat(14)}`,
    ...measured.map(one =>
      line(
        one.servers,
        one.tls,
        one.allUpMs === undefined ? `only ${one.up}` : (one.allUpMs / 1_000).toFixed(1),
        one.lateness.checks,
        ms(one.lateness.p50),
        ms(one.lateness.p99),
        ms(one.lateness.max),
        percent(one.cpu.own),
        percent(one.cpu.children),
        one.mib.rss,
        one.socketsMost,
        `${one.pulse.late} of ${one.pulse.beats}`,
        `${one.pulse.longestMs.toFixed(0)}${one.pulse.isCalm ? '' : ', roles changed'}`,
        one.load.toFixed(1),
      ),
    ),
    '',
    `without a director: ${alone.late} of ${alone.beats} heartbeats late, longest gap ${alone.longestMs.toFixed(0)} ms`,
  ].join('\n');
}

// Tries out what this kernel does with injected entries instead of assuming it from its version.
// Not pure. The entries are templates of a mark and of addresses that nobody can have. They are put
// in, seen, sent again with a time-out of one second, seen to go: on a starved machine, too, they
// cannot be gone before they were looked for. That they go takes two seconds, for which nobody has
// to wait.

import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNow } from '../../../units/io/clocks.ts';
import { type Entry, type RawAddress, templateOf } from '../../table/entry.ts';
import type { KernelInjector } from './kernel-injector.ts';

export interface Trial {
  /** By name, for the log and the status. */
  readonly found: Readonly<Record<string, string>>;
  /** Each a sentence that says what to do. */
  readonly problems: readonly string[];
  readonly injection: boolean;
}

interface Trying {
  /** What is known once the entries were seen. */
  readonly trial: Trial;
  /** The same with whether they go by themselves. Never rejects. Undefined: that is all. */
  readonly whole: Promise<Trial> | undefined;
}

interface TrialPorts {
  readonly injector: Pick<KernelInjector, 'inject'>;
  /** The kernel's table as text. */
  readonly readTable: () => Promise<string>;
  /** Ends the wait for the entries to go. */
  readonly signal: AbortSignal;
}

/** An unused mark: the config allows smaller ones only (and none that large makes sense). */
const TRIAL_MARK = 0x7fff_fffe;
const TRIAL_COLUMN = { ipv4: /^IP +00000001 0000 7FFFFFFE /m, ipv6: /^IP +0100(?::0000){6}:0001 0000 7fff:fffe:/m };
/** 0.0.0.1 and the discard prefix 100::/64 (RFC 6666): neither can be a client. */
const TRIAL_CLIENT = { ipv4: '00000001', ipv6: '01000000000000000000000000000001' } as const;
const TRIAL_SERVER = { ipv4: '00000002', ipv6: '01000000000000000000000000000002' } as const;
const FAMILIES = ['ipv4', 'ipv6'] as const;
/**
 * Reading a larger table for this would take seconds (it is quadratic): then it is assumed to work,
 * and said.
 */
export const TRIAL_ENTRIES_MAX = 20_000;
const SHOWN_MS_MAX = 5_000;
/** Should we be killed in between, they go by themselves. */
const SHOWN_S = 60;
const GONE_S = 1;
const POLL_MS = 20;
/** A time-out of 1 s ends within two; later where processors are scarce. */
const GONE_MS_MAX = 10_000;

/** `entries`: about how many the kernel has. Never rejects. */
export async function tryKernel(ports: TrialPorts, messageBytes: number, entries: number): Promise<Trying> {
  const found: Record<string, string> = {
    kernel: release(),
    message: `${messageBytes} bytes`,
    nf_conntrack_events: await settingOf('net/netfilter/nf_conntrack_events'),
  };
  if (entries > TRIAL_ENTRIES_MAX) {
    const trial = { found: { ...found, injection: `not tried: ${entries} entries` }, problems: [], injection: true };
    return { trial, whole: undefined };
  }
  try {
    const shown = await injectAndSee(ports);
    if (!shown.ipv4) return { trial: judge(found, shown, false), whole: undefined };
    const whole = goWhenTold(ports).then(
      gone => judge(found, shown, gone),
      (error: unknown) => notFoundOut(found, error),
    );
    return { trial: judge(found, shown, undefined), whole };
  } catch (error) {
    return { trial: notFoundOut(found, error), whole: undefined };
  }
}

function notFoundOut(found: Trial['found'], error: unknown): Trial {
  const words = error instanceof Error ? error.message : String(error);
  return {
    found: { ...found, injection: 'failed' },
    problems: [`whether this kernel takes sync entries cannot be found out: ${words}`],
    injection: false,
  };
}

/** `gone` undefined: not known yet. */
function judge(
  found: Trial['found'],
  shown: Readonly<Record<(typeof FAMILIES)[number], boolean>>,
  gone: boolean | undefined,
): Trial {
  const problems: string[] = [];
  const { kernel } = found;
  if (!shown.ipv4) {
    problems.push(
      `this kernel (${kernel}) does not take sync entries from its own lo: no connection survives a takeover; is there a firewall rule against UDP port 8848 on lo?`,
    );
  } else {
    if (!shown.ipv6)
      problems.push(`this kernel (${kernel}) takes no IPv6 sync entries: services on IPv6 are not synced`);
    if (gone === false)
      problems.push(
        `this kernel (${kernel}) keeps injected entries past their time-out: extra ones stay on the standby`,
      );
  }
  const word = (ok: boolean) => (ok ? 'works' : 'does not work');
  return {
    found: {
      ...{ ...found, injection: word(shown.ipv4), 'injection of IPv6': word(shown.ipv6) },
      ...(gone !== undefined && { expiry: word(gone) }),
    },
    problems,
    injection: shown.ipv4,
  };
}

async function injectAndSee({ injector, readTable }: TrialPorts): Promise<Record<(typeof FAMILIES)[number], boolean>> {
  // One message each: a kernel that refuses IPv6 refuses the whole message.
  for (const family of FAMILIES) await injector.inject([trialEntry(family, SHOWN_S)]);
  const end = monotonicNow() + SHOWN_MS_MAX;
  const shown = { ipv4: false, ipv6: false };
  for (;;) {
    const table = await readTable();
    for (const family of FAMILIES) shown[family] ||= TRIAL_COLUMN[family].test(table);
    if ((shown.ipv4 && shown.ipv6) || monotonicNow() > end) return shown;
    await sleep(POLL_MS);
  }
}

/** Undefined: the wait was ended. */
async function goWhenTold({ injector, readTable, signal }: TrialPorts): Promise<boolean | undefined> {
  for (const family of FAMILIES) await injector.inject([trialEntry(family, GONE_S)]);
  const end = monotonicNow() + GONE_MS_MAX;
  for (;;) {
    const table = await readTable();
    if (!FAMILIES.some(family => TRIAL_COLUMN[family].test(table))) return true;
    if (monotonicNow() > end) return false;
    if (signal.aborted) return undefined;
    await sleep(10 * POLL_MS);
  }
}

function trialEntry(family: (typeof FAMILIES)[number], timeoutS: number): Entry {
  const [client, server] = [TRIAL_CLIENT[family] as RawAddress, TRIAL_SERVER[family] as RawAddress];
  return templateOf({ client, server, mark: TRIAL_MARK, flags: 0 }, timeoutS);
}

async function settingOf(name: string): Promise<string> {
  return (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => 'not there')).trim();
}

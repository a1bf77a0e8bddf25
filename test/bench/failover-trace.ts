// What a client felt of one fault: reads the lines of failover-probe (its header says what they mean) and counts. Pure. All times are
// CLOCK_MONOTONIC in microseconds until they become figures, which are milliseconds.

export type Side = 'r1' | 'r2';

export interface Answer {
  readonly roundTripUs: number;
  /** Whose MAC the answer came from. */
  readonly by: Side | 'other';
}

export interface Probe {
  readonly sentUs: number;
  /** By the kernel's own neighbour table, as any client's packet goes. */
  readonly client: Answer | undefined;
  /** To the MAC of one router, whatever the neighbour table says. */
  readonly direct: Readonly<Record<Side, Answer | undefined>>;
}

export interface Trace {
  readonly probes: readonly Probe[];
  /** Gratuitous ARP for the VIP, as it arrived at the client. */
  readonly announcements: readonly { readonly atUs: number; readonly by: Side | 'other' }[];
  /** Changes of the VIP in the routers' kernels; the first of each router tells what was there at the start, if anything. */
  readonly addresses: readonly { readonly atUs: number; readonly router: Side; readonly held: boolean }[];
  /** Probes that were due and never sent, because the prober was late. */
  readonly unsent: number;
  readonly lateMaxUs: number;
}

export interface Fault {
  readonly atUs: number;
  /** The router it happened to, which served until then. */
  readonly router: Side;
  /** The router is without power: what its kernel still holds serves nobody. */
  readonly dead?: boolean;
}

/** Of one run. A gap of 1 ms is no gap: probes are a millisecond apart. */
export interface Figures {
  /** Longest time between two answers after the fault (or from the last answer to the end of the observation). */
  readonly gapMs: number;
  /** Unanswered probes of those sent after the fault. */
  readonly lost: number;
  /** Time in which each router answered probes to its own MAC: double service, on the packet path. */
  readonly bothServedMs: number;
  /** Both still answered when the observation ended. */
  readonly bothServedAtEnd: boolean;
  /** Time in which both kernels had the address. */
  readonly bothHeldMs: number;
  /** From the fault to the other router's address, first announcement, first answer; null: not seen. */
  readonly heldMs: number | null;
  readonly announcedMs: number | null;
  readonly servedMs: number | null;
  /** The last probes were answered: service is back. */
  readonly restored: boolean;
  /** Unanswered probes before the fault. */
  readonly lostBefore: number;
  /** The router that the fault was for no longer served when it came: the VIP had moved by itself. */
  readonly movedBefore: boolean;
  /** How late the prober itself was at most, in ms: no gap is more precise than that. */
  readonly proberLateMs: number;
}

const OTHER: Readonly<Record<Side, Side>> = { r1: 'r2', r2: 'r1' };
const sideOf = (text: string | undefined): Side | 'other' => (text === '1' ? 'r1' : text === '2' ? 'r2' : 'other');
/** Answers of the last probes may be under way when the prober is told to end. */
const TAIL_PROBES = 5;
/** A service counts as back when all of this many last probes are answered. */
const RESTORED_PROBES = 20;
/** A probe this much before the fault's time may already feel it: the time is taken when the signals or commands have gone out. */
const FAULT_BLUR_US = 5_000;

/** Throws when a line is none of the prober's: a cut trace must not become a figure. */
export function parseTrace(text: string): Trace {
  const probes: Probe[] = [];
  const announcements: { atUs: number; by: Side | 'other' }[] = [];
  const addresses: { atUs: number; router: Side; held: boolean }[] = [];
  let end: { unsent: number; lateMaxUs: number } | undefined;
  for (const line of text.split('\n')) {
    const [kind, first, second, third, fourth] = line.split(' ');
    if (kind === 'p') {
      const direct = { r1: answerOf(third), r2: answerOf(fourth) };
      probes.push({ sentUs: Number(first), client: answerOf(second), direct });
    } else if (kind === 'g') announcements.push({ atUs: Number(first), by: sideOf(second) });
    else if (kind === 'a') {
      const router = sideOf(second);
      if (router !== 'other') addresses.push({ atUs: Number(first), router, held: third === 'set' });
    } else if (kind === 'm') end = { unsent: Number(first), lateMaxUs: Number(second) };
    else if (line !== '' && line !== 'ready') throw new Error(`not a line of failover-probe: "${line.slice(0, 80)}"`);
  }
  if (!end) throw new Error('the trace of failover-probe has no end; it was killed or its output was cut');
  return { probes, announcements, addresses: addresses.toSorted((a, b) => a.atUs - b.atUs), ...end };
}

function answerOf(text: string | undefined): Answer | undefined {
  if (text === undefined || text === '-') return undefined;
  const [roundTrip, by] = text.split(':');
  return { roundTripUs: Number(roundTrip), by: sideOf(by) };
}

export function figuresOf(trace: Trace, fault: Fault): Figures {
  const settled = trace.probes.slice(0, -TAIL_PROBES);
  const from = fault.atUs - FAULT_BLUR_US;
  const before = settled.filter(({ sentUs }) => sentUs < from);
  const after = settled.filter(({ sentUs }) => sentUs >= from);
  const taker = OTHER[fault.router];
  const since = (atUs: number | undefined): number | null => (atUs === undefined ? null : toMs(atUs - fault.atUs));
  const served = after.find(({ client }) => client?.by === taker);
  const both = after.filter(serveBoth);
  return {
    gapMs: toMs(longestSilenceUs(settled, from)),
    lost: after.filter(({ client }) => !client).length,
    bothServedMs: both.length,
    bothServedAtEnd: after.slice(-RESTORED_PROBES).every(serveBoth) && after.length > 0,
    bothHeldMs: toMs(bothHeldUs(trace, fault.dead ? fault.atUs : (settled.at(-1)?.sentUs ?? fault.atUs))),
    heldMs: since(trace.addresses.find(({ atUs, router, held }) => held && router === taker && atUs >= from)?.atUs),
    announcedMs: since(trace.announcements.find(({ atUs, by }) => by === taker && atUs >= from)?.atUs),
    servedMs: since(served?.client && served.sentUs + served.client.roundTripUs),
    restored: after.length > 0 && after.slice(-RESTORED_PROBES).every(({ client }) => client),
    lostBefore: before.filter(({ client }) => !client).length,
    movedBefore: before.findLast(({ client }) => client)?.client?.by !== fault.router,
    proberLateMs: toMs(trace.lateMaxUs),
  };
}

function serveBoth({ direct }: Probe): boolean {
  return direct.r1?.by === 'r1' && direct.r2?.by === 'r2';
}

/** Between answers as they arrived, those before `fromUs` counting as the start of the first silence only. */
function longestSilenceUs(probes: readonly Probe[], fromUs: number): number {
  const arrivals = probes
    .flatMap(({ sentUs, client }) => (client ? [sentUs + client.roundTripUs] : []))
    .sort((a, b) => a - b);
  const end = probes.at(-1)?.sentUs ?? fromUs;
  let last = arrivals[0] ?? probes[0]?.sentUs ?? fromUs;
  let longest = 0;
  for (const arrival of [...arrivals, Math.max(end, last)]) {
    if (arrival >= fromUs) longest = Math.max(longest, arrival - last);
    last = arrival;
  }
  return longest;
}

function bothHeldUs({ addresses }: Trace, endUs: number): number {
  const held: Record<Side, boolean> = { r1: false, r2: false };
  let since: number | undefined;
  let total = 0;
  for (const { atUs, router, held: now } of addresses.filter(({ atUs }) => atUs <= endUs)) {
    held[router] = now;
    if (held.r1 && held.r2) since ??= atUs;
    else if (since !== undefined) {
      total += atUs - since;
      since = undefined;
    }
  }
  return since === undefined ? total : total + Math.max(0, endUs - since);
}

/** Of a time without any fault: what load alone did. */
export interface LoadFigures {
  readonly minutes: number;
  readonly probes: number;
  /** Times at which a router got the VIP that did not have it: each is a failover nobody needed. */
  readonly falseFailovers: number;
  readonly lost: number;
  readonly gapMaxMs: number;
  readonly bothServedMs: number;
  readonly bothHeldMs: number;
  readonly proberLateMs: number;
}

export function loadFiguresOf(trace: Trace): LoadFigures {
  const settled = trace.probes.slice(0, -TAIL_PROBES);
  const [first, last] = [settled[0]?.sentUs ?? 0, settled.at(-1)?.sentUs ?? 0];
  return {
    minutes: Math.round((last - first) / 6_000) / 10_000,
    probes: settled.length,
    falseFailovers: Math.max(0, gains(trace.addresses) - 1),
    lost: settled.filter(({ client }) => !client).length,
    gapMaxMs: toMs(longestSilenceUs(settled, first)),
    bothServedMs: settled.filter(serveBoth).length,
    bothHeldMs: toMs(bothHeldUs(trace, last)),
    proberLateMs: toMs(trace.lateMaxUs),
  };
}

/** How often a router came to hold the VIP; a renewal of what it holds is none. */
function gains(addresses: Trace['addresses']): number {
  const held: Record<Side, boolean> = { r1: false, r2: false };
  let count = 0;
  for (const { router, held: now } of addresses) {
    if (now && !held[router]) count += 1;
    held[router] = now;
  }
  return count;
}

function toMs(us: number): number {
  return Math.round(us / 10) / 100;
}

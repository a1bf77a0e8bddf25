// What scripts/bench scale --load measures: the services of scale-plan.ts in keepalived's words, what is in the kernel of them, and
// the table. Pure.
import { median, type Size, serviceAt, servicesOf } from './scale-plan.ts';

/** The same services by the same marks, without checks, so that nothing but the loading is measured. `weight`: of the first server of all. */
export function keepalivedLoadConfig(size: Size, weight = 1): string {
  const server = (address: string, ours: number) => `  real_server ${address} 0 {\n    weight ${ours}\n  }`;
  const services = servicesOf(size).map(
    ({ mark, servers }, index) => `virtual_server fwmark ${mark} {
  delay_loop 10
  lb_algo wlc
  lb_kind NAT
  persistence_timeout 360
${servers.map((address, n) => server(address, index === 0 && n === 0 ? weight : 1)).join('\n')}
}
`,
  );
  return `global_defs {\n  router_id r1\n}\n${services.join('')}`;
}

export interface Listed {
  readonly services: number;
  readonly servers: number;
  /** Of these, those with a weight. */
  readonly weighty: number;
  /** Of the first server of the first service; undefined when it is not there. */
  readonly weight: number | undefined;
}

/** Counts what /proc/net/ip_vs lists (net/netfilter/ipvs/ip_vs_ctl.c): services by mark, servers by address. */
export function listedIn(text: string): Listed {
  const { mark, servers } = serviceAt(0, { services: 1, servers: 1 });
  const first = `FWM  ${mark.toString(16).padStart(8, '0').toUpperCase()} `;
  const hex = (servers[0] ?? '').split('.').map(part => Number(part).toString(16).padStart(2, '0').toUpperCase());
  let [services, all, weighty, under] = [0, 0, 0, false];
  let weight: number | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('FWM ')) {
      services += 1;
      under = line.startsWith(first);
      continue;
    }
    const found = /^ {2}-> ([0-9A-F]{8}):[0-9A-F]{4}\s+\S+\s+(\d+)/.exec(line);
    if (!found) continue;
    all += 1;
    if (found[2] !== '0') weighty += 1;
    if (under && found[1] === hex.join('')) weight = Number(found[2]);
  }
  return { services, servers: all, weighty, weight };
}

/** User and system time of a process and of its ended children, in ticks of the clock, of /proc/PID/stat (proc_pid_stat(5)). */
export function ticksOf(stat: string): number {
  // The name may have spaces and brackets; the third field follows the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
}

/** How long something took, and the processor time of the manager and of what it ran, both in ms. */
export interface Took {
  readonly ms: number;
  readonly cpuMs: number;
}

/** Both managers in one round, one after the other. */
export interface LoadRound {
  readonly tandem: {
    /** From the start of the program until its config is read. */
    readonly started: Took;
    /** Until all services and servers are in IPVS. */
    readonly servers: Took;
    /** Until nft's table is in, too. */
    readonly rules: Took;
    /** Until every server has passed its first check and has its weight. */
    readonly weights: Took;
    /** From SIGHUP until the new weight is in IPVS. */
    readonly change: Took;
    /** An audit that finds nothing to do. */
    readonly audit: Took;
  };
  readonly keepalived: {
    /** `nft -f` of the rules of Tandem, without which marks mean nothing; keepalived sets none. */
    readonly nft: Took;
    readonly servers: Took;
    readonly change: Took;
  };
}

/** Ratios are medians over the rounds, of figures of the same round. */
export function loadTable(size: Size, rounds: readonly LoadRound[]): string {
  const of = (pick: (round: LoadRound) => Took) => {
    const took = rounds.map(pick);
    return `${median(took.map(({ ms }) => ms)).toFixed(0)} (${median(took.map(({ cpuMs }) => cpuMs)).toFixed(0)})`;
  };
  const row = (name: string, ours: (round: LoadRound) => Took, theirs?: (round: LoadRound) => Took) => {
    if (!theirs) return `| ${name} | ${of(ours)} | – | – |`;
    const ratio = (of: (took: Took) => number) =>
      median(rounds.map(round => of(ours(round)) / of(theirs(round)))).toFixed(2);
    return `| ${name} | ${of(ours)} | ${of(theirs)} | ${ratio(({ ms }) => ms)} (${ratio(({ cpuMs }) => cpuMs)}) |`;
  };
  const both = ({ keepalived: { nft, servers } }: LoadRound): Took => ({
    ms: nft.ms + servers.ms,
    cpuMs: nft.cpuMs + servers.cpuMs,
  });
  return [
    `| ${size.services} services of ${size.servers} servers: ms (processor time) | Tandem | keepalived | ratio |`,
    '|---|---|---|---|',
    row('start of the program, until its config is read', round => round.tandem.started),
    row(
      '… until all servers are in IPVS',
      round => round.tandem.servers,
      round => round.keepalived.servers,
    ),
    row('… until the rules are in, too; keepalived: and `nft -f` before it', round => round.tandem.rules, both),
    row('… until every server has passed a check and has its weight', round => round.tandem.weights),
    row(
      'SIGHUP, until one other weight is in IPVS',
      round => round.tandem.change,
      round => round.keepalived.change,
    ),
    row('an audit with nothing to do', round => round.tandem.audit),
  ].join('\n');
}

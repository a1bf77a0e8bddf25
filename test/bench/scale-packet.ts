// What a packet pays for 200 services where it paid for one: TCP segments through a router with the rules of none, of one and of
// many services, by turns in one run, on the host's own kernel. Io; scripts/bench scale runs it. It needs no IPVS: what grows with
// services is nftables, IPVS looks services up by a hash.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { parseConfig } from '../../src/config/document.ts';
import { firewallOf, removal, ruleset } from '../../src/firewall/ruleset.ts';
import { killAllIn, run, runIn } from '../lab/pair/netns.ts';
import { buildSegmentSender, type Segment } from '../lab/pair/segments.ts';
import { type PacketCase, packetTable, serviceAt, tandemConfig } from './scale-plan.ts';

const [ROUTER, OTHERS] = [`bs${process.pid}-router`, `bs${process.pid}-others`];
/** Short bursts that other processes do not interrupt. */
const REAL_TIME = ['chrt', '--rr', '40'];
const CLIENT = '192.0.2.10';
/** A version with rules for each service needs half a minute. */
const NFT_MS = 120_000;
/** Rules of no service, of one alone, of all. */
const KINDS = ['none', 'first', 'last', 'many'] as const;
type Kind = (typeof KINDS)[number];

interface Way extends Segment {
  readonly name: string;
  /** The service whose rules alone are compared with all. */
  readonly alone: 'first' | 'last';
}

/** Every way of a packet on which rules are: to a VIP, back from a server, and one that is none of ours. */
function waysOf(services: number): readonly Way[] {
  const size = { services, servers: 10 };
  const [first, last] = [serviceAt(0, size), serviceAt(services - 1, size)];
  const toFirst = { from: CLIENT, sport: 30_000, to: first.vip, alone: 'first' } as const;
  const toLast = { ...toFirst, to: last.vip, alone: 'last' } as const;
  const back = { to: CLIENT, dport: 30_000, flags: 'ack', alone: 'last' } as const;
  return [
    { ...toFirst, name: 'SYN to the first service', dport: first.controlPort, flags: 'syn' },
    { ...toLast, name: 'SYN to the last service', dport: last.controlPort, flags: 'syn' },
    { ...toLast, name: 'in mid-stream, to the last service', dport: last.passive.first, flags: 'ack' },
    { ...back, name: 'back from a server of the last service', from: last.servers[0] ?? '', sport: last.controlPort },
    { ...back, name: 'forwarded, none of ours', from: '198.18.255.9', sport: 80 },
  ];
}

function rulesOf(kind: Kind, services: number): string {
  if (kind === 'none') return removal();
  const parsed = parseConfig(tandemConfig({ services, servers: 10 }, '/nowhere'));
  if (!parsed.ok) throw new Error(`the config is wrong: ${JSON.stringify(parsed.mistakes).slice(0, 500)}`);
  const all = firewallOf(parsed.config, 'r1', { adopting: false });
  const chosen = { first: all.services.slice(0, 1), last: all.services.slice(-1), many: all.services };
  return ruleset({ ...all, services: chosen[kind] });
}

/** A router with a leg to the clients and one to the servers; both are one namespace. */
async function build(services: number): Promise<void> {
  const lines = (...commands: readonly string[]) => ({ input: `${commands.join('\n')}\n` });
  const size = { services, servers: 10 };
  const all = Array.from({ length: services }, (_, index) => serviceAt(index, size));
  const vips = [...new Set(all.map(({ vip }) => vip))];
  const servers = new Set(waysOf(services).flatMap(({ from }) => (from.startsWith('198.') ? [from] : [])));
  await run('ip', ['-batch', '-'], lines(`netns add ${ROUTER}`, `netns add ${OTHERS}`));
  await runIn(ROUTER, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0']);
  const legs = ['c0', 's0'].map(name => `link add ${name} type veth peer name ${name} netns ${OTHERS}`);
  await runIn(ROUTER, 'ip', ['-batch', '-'], lines(...legs));
  await runIn(
    ROUTER,
    'ip',
    ['-batch', '-'],
    lines(
      ...['lo', 'c0', 's0'].map(name => `link set ${name} up`),
      'address add 192.0.2.2/24 dev c0',
      ...vips.map(vip => `address add ${vip}/32 dev c0`),
      'address add 198.18.0.1/16 dev s0',
    ),
  );
  await runIn(
    OTHERS,
    'ip',
    ['-batch', '-'],
    lines(
      ...['lo', 'c0', 's0'].map(name => `link set ${name} up`),
      `address add ${CLIENT}/24 dev c0`,
      ...[...servers].map(address => `address add ${address}/16 dev s0`),
      // What comes from a server goes to the client by way of the router, although both are here.
      'rule add from 198.18.0.0/16 priority 10 lookup 100',
      'route add default via 198.18.0.1 dev s0 table 100',
      'rule add priority 20 lookup local',
      'rule delete priority 0 lookup local',
    ),
  );
}

async function send(way: Way, packets: number): Promise<number> {
  const words = [...REAL_TIME.slice(1), ...sender.command(way, packets)];
  const { stdout } = await runIn(OTHERS, REAL_TIME[0] as string, words);
  return Number(stdout);
}

async function measure(services: number, rounds: number, packets: number): Promise<PacketCase[]> {
  const ways = waysOf(services);
  const ns = ways.map(() => ({ none: [] as number[], one: [] as number[], many: [] as number[] }));
  const rules = new Map(KINDS.map(kind => [kind, rulesOf(kind, services)]));
  for (let round = 0; round < rounds; round += 1) {
    process.stderr.write(`\rround ${round + 1} of ${rounds}`);
    // Every other round backwards: what drifts slowly meets all alike.
    for (const kind of round % 2 ? KINDS.toReversed() : KINDS) {
      await runIn(ROUTER, 'nft', ['-f', '-'], { input: rules.get(kind) ?? '', timeoutMs: NFT_MS });
      for (const [n, way] of ways.entries()) {
        const column = kind === 'none' || kind === 'many' ? kind : kind === way.alone ? 'one' : undefined;
        if (column) ns[n]?.[column].push(await send(way, packets));
      }
    }
  }
  process.stderr.write('\n');
  return ways.map(({ name }, n) => ({ name, ns: ns[n] as PacketCase['ns'] }));
}

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '21' },
    packets: { type: 'string', default: '20000' },
    json: { type: 'string' },
  },
});
const services = Number(values.services);
const sender = await buildSegmentSender();
try {
  await build(services);
  const cases = await measure(services, Number(values.rounds), Number(values.packets));
  process.stdout.write(`${packetTable(cases, services)}\n`);
  if (values.json) await writeFile(values.json, `${JSON.stringify({ services, cases }, null, 2)}\n`);
} finally {
  for (const name of [ROUTER, OTHERS]) await killAllIn(name);
  await run('ip', ['-force', '-batch', '-'], { input: `netns delete ${ROUTER}\nnetns delete ${OTHERS}\n` });
  await sender.remove();
}

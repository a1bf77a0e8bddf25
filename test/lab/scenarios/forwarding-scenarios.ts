// DR and TUN: what the kernel does, shown by rules that are typed here (ipvsadm, nft), and then what the pair does with it. Io. Sources:
// net/netfilter/ipvs/ip_vs_xmit.c (KNOWN_NH), ip_vs_proto_tcp.c (what is scheduled), net/netfilter/nft_rt.c.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferMode, TransferResult } from '../ftp/ftp-client.ts';
import { prepareHost, printedFor } from '../ftp/ftp-servers.ts';
import { openSessions } from '../ftp/session.ts';
import {
  type Job,
  measureFailover,
  rolesNow,
  startService,
  startTransfers,
  untilUnderWay,
} from '../measure/failover.ts';
import { demoResult } from '../measure/failover-report.ts';
import { addOutside, OUTSIDE, outsideAddress } from '../pair/outside.ts';
import type { SyncSeen } from '../pair/pair.ts';
import {
  CLIENT_ADDRESSES,
  clientAddress,
  clientAddress6,
  DIRECT_ADDRESSES,
  DIRECT_ADDRESSES6,
  FILE_SERVERS,
  type FileServer,
  ROUTERS,
  type Router,
  SERVER_ADDRESSES,
  SERVER_ADDRESSES6,
  VIP,
  VIP6,
  wallNow,
} from '../pair/topology.ts';
import { fetchBig, UDP_PORT, whoAnswers } from '../plain/plain-servers.ts';
import { assertWhole, handOver } from './failover-scenarios.ts';
import { hasTemplate, startPlain, untilPast } from './kind-scenarios.ts';
import { entriesOf, segmentsToPort20 } from './plane-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

interface Plane {
  readonly family: 4 | 6;
  readonly forwarding: 'dr' | 'tun';
  /** Clients of one network share a server: its netmask; default: each has his own. IPv4 only. */
  readonly mask?: string;
}

const MARK = 21;
const BIG_BYTES = 1_000_000;
/**
 * As Tandem sets them. Without vs.conntrack IPVS takes each packet from conntrack before it is confirmed, and conntrack calls every one
 * new (seen): nothing is invalid then, unless nf_conntrack_tcp_loose is 0.
 */
const SETTINGS = ['net.ipv4.vs.sloppy_tcp=1', 'net.ipv4.vs.conntrack=1'];
const SYN = 'tcp flags & (fin | syn | rst | ack) == syn';

function serversOf({ family, forwarding }: Plane): readonly string[] {
  const straight = family === 4 ? DIRECT_ADDRESSES : DIRECT_ADDRESSES6;
  const routed = family === 4 ? SERVER_ADDRESSES : SERVER_ADDRESSES6;
  return FILE_SERVERS.map(host => (forwarding === 'dr' ? straight : routed)[host]);
}

function services(plane: Plane, servers: readonly string[] = serversOf(plane)): string {
  const service = `-f ${MARK}${plane.family === 6 ? ' -6' : ''}`;
  const method = plane.forwarding === 'dr' ? '-g' : '-i';
  const server = (address: string) => (plane.family === 6 ? `[${address}]:0` : `${address}:0`);
  return [
    `-A ${service} -s rr -p 360${plane.mask === undefined ? '' : ` -M ${plane.mask}`}`,
    ...servers.map(address => `-a ${service} -r ${server(address)} ${method} -w 1`),
    '',
  ].join('\n');
}

/** `tracked`: without the notrack rule, to show what it is for. `known`: who is, and may be adopted in mid-stream. */
function rules(plane: Plane, tracked: boolean, known: readonly string[] = []): string {
  const [ip, vip] = plane.family === 4 ? ['ip', VIP] : ['ip6', VIP6];
  const to = `iifname "c0" ${ip} daddr ${vip}`;
  const way = (server: string) => (plane.forwarding === 'dr' ? `rt ${ip} nexthop ${server}` : `${ip} daddr ${server}`);
  // Of a tunnelled packet nft sees the outer header only; the mark is the whole packet's.
  const inner = plane.forwarding === 'dr' ? `${ip} daddr ${vip} ${SYN}` : `meta l4proto ${plane.family === 4 ? 4 : 41}`;
  const client = `${ip} saddr${plane.mask === undefined ? '' : ` & ${plane.mask}`}`;
  const adopted = known.length === 0 ? '' : `${to} tcp flags & (syn | rst) == 0 ${client} @known meta mark set ${MARK}`;
  const elements = known.length === 0 ? '' : `elements = { ${known.join(', ')} }`;
  return `add table inet hand
delete table inet hand
table inet hand {
  set known { type ipv${plane.family}_addr; flags dynamic,timeout; size 65536; timeout 6m; ${elements} }
  chain untracked {
    type filter hook prerouting priority raw; policy accept;
    ${tracked ? '' : `${to} tcp dport { 20, 21, 10000-20000 } notrack`}
  }
  chain marks {
    type filter hook prerouting priority mangle; policy accept;
    ${to} tcp dport { 21, 10000-20000 } ${SYN} meta mark set ${MARK} update @known { ${client} }
    ${to} tcp dport 20 tcp flags & (fin | syn | rst | ack) == syn | ack ${client} @known meta mark set ${MARK} counter
    ${adopted}
  }
  chain ways {
    type filter hook postrouting priority filter; policy accept;
    ${serversOf(plane)
      .map(server => `meta mark ${MARK} ${inner} ${way(server)} counter log group 5 prefix "${server}"`)
      .join('\n    ')}
  }
  chain foreign {
    type filter hook input priority filter; policy accept;
    ct state invalid counter drop
  }
}
`;
}

async function serve(lab: Lab, plane: Plane, tracked = false): Promise<void> {
  const on = (file: string, args: readonly string[], input?: string) =>
    lab.topology.exec('r1', file, args, input === undefined ? {} : { input });
  await on('ipvsadm', ['-C']);
  await on('ipvsadm', ['-R'], services(plane));
  await on('nft', ['-f', '-'], rules(plane, tracked));
}

/** Packets of the rules whose text has `part`, by the rest of their text. */
async function counted(lab: Lab, part: string): Promise<number[]> {
  const { stdout } = await lab.topology.exec('r1', 'nft', ['list', 'table', 'inet', 'hand']);
  return stdout
    .split('\n')
    .filter(line => line.includes(part))
    .map(line => Number(/counter packets (\d+)/.exec(line)?.[1]));
}

async function carry(lab: Lab, plane: Plane, modes: readonly TransferMode[]): Promise<void> {
  const ftp = await ftpServers(lab);
  for (const [index, mode] of modes.entries()) {
    const from = plane.family === 4 ? CLIENT_ADDRESSES[index] : clientAddress6(index);
    assert.ok(from);
    const host = plane.family === 4 ? VIP : VIP6;
    for (const kind of ['download', 'upload'] as const) {
      const result: TransferResult = await lab.transfer(ftp, { kind, mode, from, host, timeoutMs: 30_000 }).finished;
      lab.record(`${plane.forwarding} IPv${plane.family} ${mode} ${kind}`, result);
      assert.equal(result.error, undefined, `${mode} ${kind}`);
      assert.ok(result.sha256Ok, `${mode} ${kind}: the file is whole`);
    }
  }
}

/** Servers of DR and TUN at once. */
async function startServers(lab: Lab): ReturnType<Lab['ftpServers']> {
  const options = { bigBytes: BIG_BYTES, rateBytesPerS: 400_000, ipv6: true } as const;
  const ftp = await lab.ftpServers({ ...options, forwarding: 'dr' });
  for (const host of FILE_SERVERS)
    for (const sections of printedFor(host, { ipv6: true, forwarding: 'tun' }))
      await prepareHost(lab.topology, host, sections);
  return ftp;
}

const started = new WeakMap<Lab, ReturnType<Lab['ftpServers']>>();
function ftpServers(lab: Lab): ReturnType<Lab['ftpServers']> {
  const known = started.get(lab);
  if (known !== undefined) return known;
  const servers = startServers(lab);
  started.set(lab, servers);
  return servers;
}

async function kernelForwards(lab: Lab): Promise<void> {
  await lab.topology.exec('r1', 'sysctl', ['-qw', 'net.ipv4.ip_forward=0', ...SETTINGS]);
  for (const vip of [`${VIP}/32`, `${VIP6}/128`])
    await lab.topology.exec('r1', 'ip', ['address', 'add', vip, 'dev', 'c0', ...(vip.includes(':') ? ['nodad'] : [])]);
  for (const forwarding of ['dr', 'tun'] as const) {
    for (const family of [4, 6] as const) {
      const plane = { forwarding, family };
      lab.say(`${forwarding}, IPv${family}`);
      await serve(lab, plane);
      const modes: readonly TransferMode[] =
        family === 4 ? ['passive', 'active', 'extended-passive'] : ['extended-passive', 'extended-active'];
      await carry(lab, plane, modes);
      const [synAcks] = await counted(lab, 'dport 20 ');
      assert.ok(synAcks !== undefined && synAcks > 0, "active mode: the clients' SYN+ACKs were marked");
      const ways = await counted(lab, 'log prefix');
      lab.record(`${forwarding} IPv${family} ways`, ways);
      assert.ok(
        ways.every(packets => packets > 0) || family === 6,
        `each server's SYNs are known by their way: ${ways}`,
      );
      assert.deepEqual(await counted(lab, 'ct state invalid'), [0]);
    }
  }
}

/** So that the scenario above can fail: without `notrack` a usual rule takes what follows the SYN. */
async function trackedIsDropped(lab: Lab): Promise<void> {
  await lab.topology.exec('r1', 'sysctl', ['-qw', ...SETTINGS]);
  await lab.topology.exec('r1', 'ip', ['address', 'add', `${VIP}/32`, 'dev', 'c0']);
  await serve(lab, { forwarding: 'dr', family: 4 }, true);
  const ftp = await ftpServers(lab);
  const request = { kind: 'download', mode: 'passive', from: CLIENT_ADDRESSES[0], timeoutMs: 25_000 } as const;
  const { error } = await lab.transfer(ftp, request).finished;
  lab.record('error', error);
  assert.ok(error, 'the transfer does not go through');
  const [invalid = 0] = await counted(lab, 'ct state invalid');
  assert.ok(invalid > 0, 'packets after the SYN are invalid for conntrack');
}

interface WhoIsKnown {
  readonly mask?: string;
  /** What the new owner knows: an address, or the first one of a network. */
  readonly known: string;
  /** Who makes the template, who is taken by it in mid-stream, and who is not. */
  readonly first: string;
  readonly client: string;
  readonly stranger: string;
}

/**
 * A router that has a client's template, and nothing of its connections, takes them in mid-stream to the right server: two of three would be
 * wrong, and reset them.
 */
async function templateIsEnough(lab: Lab, who: WhoIsKnown): Promise<void> {
  const plane: Plane = { family: 4, forwarding: 'dr', ...(who.mask !== undefined && { mask: who.mask }) };
  const on = (router: Router, file: string, args: readonly string[], input?: string) =>
    lab.topology.exec(router, file, args, input === undefined ? {} : { input });
  const vip = (router: Router, verb: 'add' | 'delete') => on(router, 'ip', ['address', verb, `${VIP}/32`, 'dev', 'c0']);
  const ftp = await ftpServers(lab);
  for (const router of ROUTERS) {
    await on(router, 'sysctl', ['-qw', ...SETTINGS]);
    await on(router, 'ipvsadm', ['-R'], services(plane, [serverAddress('fs2')]));
    await on(router, 'nft', ['-f', '-'], rules(plane, false, router === 'r2' ? [who.known] : []));
  }
  // Each has one server only when the client comes; r2 gets the others before it takes over, and it is their turn.
  await vip('r2', 'add');
  const download = { kind: 'download', mode: 'passive', from: who.client, timeoutMs: 40_000 } as const;
  assert.equal((await lab.transfer(ftp, { ...download, from: who.first }).finished).server, 'fs2');
  await on('r2', 'ipvsadm', ['-R'], addMore(plane, ['fs1', 'fs3']));
  await vip('r2', 'delete');
  await vip('r1', 'add');
  await forgetVip(lab);
  const moved = lab.transfer(ftp, { ...download, timeoutMs: 60_000 });
  const other = lab.transfer(ftp, { ...download, from: who.stranger, timeoutMs: 20_000 });
  await untilUnderWay([moved, other], lab.say, 100_000);
  await vip('r1', 'delete');
  await vip('r2', 'add');
  await forgetVip(lab);
  const [whole, broken] = await Promise.all([moved.finished, other.finished]);
  lab.record('moved', whole);
  lab.record('other', broken);
  assertWhole([whole]);
  assert.equal(whole.server, 'fs2');
  assert.ok(broken.error, 'who is not known is not taken');
}

const serverAddress = (host: FileServer): string => DIRECT_ADDRESSES[host];

function addMore(plane: Plane, hosts: readonly FileServer[]): string {
  const [, ...lines] = services(plane, hosts.map(serverAddress)).split('\n');
  return lines.join('\n');
}

/** The client asks anew who has the VIP. */
async function forgetVip({ topology }: Lab): Promise<void> {
  await topology.exec('client', 'ip', ['neighbour', 'flush', 'dev', 'c0']);
}

/** What many a router has: nothing that conntrack calls invalid gets in. */
const FOREIGN = `table inet foreign {
  chain input {
    type filter hook input priority filter; policy accept;
    ip daddr ${VIP} ct state invalid counter drop
    ip6 daddr ${VIP6} ct state invalid counter drop
    ct state invalid drop
  }
}
`;

/** `first`: number of the first client. */
const jobs = (ipv6: boolean, first = 0): readonly Job[] => [
  { kind: 'download', mode: 'passive', from: clientAddress(first) },
  { kind: 'download', mode: 'active', from: clientAddress(first + 1) },
  { kind: 'upload', mode: 'passive', from: clientAddress(first + 2) },
  ...(ipv6
    ? ([
        { kind: 'download', mode: 'extended-passive', from: clientAddress6(first), host: VIP6 },
        { kind: 'upload', mode: 'extended-active', from: clientAddress6(first + 1), host: VIP6 },
      ] as const)
    : []),
];

async function pairSurvives(lab: Lab, forwarding: 'dr' | 'tun'): Promise<void> {
  for (const router of ROUTERS) await lab.topology.exec(router, 'nft', ['-f', '-'], { input: FOREIGN });
  const measured = await measureFailover(lab, jobs(true), { forwarding, ipv6: true });
  const { stdout } = await lab.topology.exec(measured.taker, 'nft', ['list', 'table', 'inet', 'foreign']);
  lab.record('foreign', stdout);
  assert.equal(await clientsKnown(lab, measured.taker), 5, 'the new owner knows the clients by the sync');
  lab.record('result', demoResult(measured));
  lab.record('transfers', measured.transfers);
  assertWhole(measured.transfers);
  assert.equal(stdout.match(/invalid counter packets 0 /g)?.length, 2, 'nothing to the VIPs is invalid');
}

/** How many the new owner's director told the rules of. */
async function clientsKnown(lab: Lab, taker: Router): Promise<number> {
  const log = await readFile(path.join(lab.results, `${taker}-director.log`), 'utf8');
  return Number(/"code":"CLIENTS_KNOWN".*"clients":(\d+)\b/.exec(log)?.[1]);
}

/**
 * Sessions of active mode that were idle in the power cut: the new owner knows their networks only, and must mark what the client
 * answers to the server's SYN.
 */
async function networksAreKnown(lab: Lab): Promise<void> {
  const fields = { ftp: 'persistence_prefix: 24', ftp6: 'persistence_prefix: 64' };
  const { ftp, pair } = await startService(lab, { forwarding: 'dr', ipv6: true, bigBytes: 100_000, fields });
  const sessions = await openSessions(lab.topology, ftp, [
    { from: clientAddress(0), mode: 'active', scratch: lab.dir },
    { from: clientAddress6(0), host: VIP6, mode: 'active', scratch: lab.dir },
  ]);
  for (const session of sessions) await session.download();
  const { active, standby } = rolesNow(pair);
  await pair.untilWarm(standby, 60_000);
  await sleep(KERNEL_SYNC_MS);
  await lab.topology.cutPower(active);
  await pair.feed(standby).until(({ role }) => role === 'active', 'the standby to take over', 10_000);
  for (const session of sessions) await session.download();
  assert.deepEqual(
    sessions.map(session => session.logins()),
    [1, 1],
  );
  assert.equal(await clientsKnown(lab, standby), 2, 'two networks');
  for (const session of sessions) await session.close();
}

/** There and back by command, under transfers: each time the standby's kernel is compared with what the owner has. */
async function handsOverAndBack(lab: Lab, forwarding: 'dr' | 'tun'): Promise<void> {
  const sizes = { bigBytes: 8_000_000, rateBytesPerS: 400_000 };
  const service = await startService(lab, { forwarding, ipv6: true, ...sizes });
  const transfers = startTransfers(lab, service.ftp, jobs(true), sizes.rateBytesPerS);
  await untilUnderWay(transfers, lab.say, 1_000_000);
  const other = await handOver(lab, service, service.active);
  await service.pair.untilWarm(service.active, 60_000);
  await untilUnderWay(transfers, lab.say, Math.max(...transfers.map(t => t.progress().bytes)) + 500_000);
  assert.equal(await handOver(lab, service, other), service.active);
  await service.pair.untilWarm(other, 60_000);
  assert.ok(transfers.every(transfer => transfer.progress().bytes < sizes.bigBytes));
  const synced = Object.fromEntries(
    await Promise.all(ROUTERS.map(async router => [router, await service.pair.sync(router)] as const)),
  );
  lab.record('sync', synced);
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  assertWhole(results);
  const { counters = {}, templates, connections } = synced[other] ?? {};
  assert.ok(templates !== undefined && templates >= 5 && connections !== undefined && connections >= 10);
  for (const name of ['repaired', 'expired_extra', 'entries_out_of_scope', 'entries_invalid', 'kernel_table_unknown'])
    assert.equal(counters[name], 0, name);
}

/** Nobody has a table any more but the file. */
async function storeBringsBack(lab: Lab, forwarding: 'dr' | 'tun'): Promise<void> {
  const sizes = { bigBytes: 24_000_000, rateBytesPerS: 400_000 };
  const { ftp, pair } = await startService(lab, { forwarding, ipv6: true, ...sizes, sync: '{}' });
  const { active } = rolesNow(pair);
  const transfers = startTransfers(lab, ftp, jobs(true), sizes.rateBytesPerS, 150_000);
  await untilUnderWay(transfers, lab.say, 500_000);
  const isSaved = ({ store }: SyncSeen) => (store?.templates ?? 0) >= 5 && (store?.connections ?? 0) >= 10;
  await pair.untilSync(active, isSaved, 'five clients and their connections in the store', 60_000);
  const before = transfers.map(transfer => transfer.progress().bytes);
  assert.ok(
    before.every(bytes => bytes < sizes.bigBytes / 2),
    `too late to show anything: ${before}`,
  );
  await pair.rebootBoth();
  await pair.untilReady(120_000, lab.say);
  lab.record('restored', (await pair.sync(rolesNow(pair).active)).store);
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  for (const { kind, mode, error, sha256Ok } of results) {
    assert.equal(error, undefined, `${mode} ${kind}`);
    assert.ok(sha256Ok, `${mode} ${kind}: checksum`);
  }
}

/** IPv4 by DR, IPv6 by NAT, on the same servers: of the latter conntrack knows, of the former not. */
async function mixedSurvive(lab: Lab): Promise<void> {
  for (const router of ROUTERS) await lab.topology.exec(router, 'nft', ['-f', '-'], { input: FOREIGN });
  const sizes = { bigBytes: 12_000_000, rateBytesPerS: 1_000_000 };
  const options = { forwarding: 'dr', forwarding6: 'nat', ipv6: true, ...sizes } as const;
  const { ftp, pair } = await startService(lab, options);
  for (const host of FILE_SERVERS) {
    await lab.topology.exec(host, 'ip', ['-6', 'address', 'flush', 'dev', 'c0']);
  }
  const transfers = startTransfers(lab, ftp, jobs(true), sizes.rateBytesPerS);
  await untilUnderWay(transfers, lab.say, 4_000_000);
  await lab.topology.cutPower(rolesNow(pair).active);
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  assertWhole(results);
}

async function strangersGetNoEntry(lab: Lab): Promise<void> {
  const { ftp, pair } = await startService(lab, { forwarding: 'dr', bigBytes: 100_000 });
  const { active } = rolesNow(pair);
  const [stranger, client] = [clientAddress(1), clientAddress(0)];
  // As if a server had asked for it.
  const answers = await segmentsToPort20(lab, 'syn-ack');
  await answers.send(stranger);
  assert.equal(await entriesOf(lab, active, stranger), 0, 'a SYN+ACK alone makes neither connection nor template');
  // So that the check above can fail.
  const { error } = await lab.transfer(ftp, { kind: 'download', mode: 'passive', from: client, timeoutMs: 30_000 })
    .finished;
  assert.equal(error, undefined);
  const before = await entriesOf(lab, active, client);
  await answers.send(client);
  await answers.remove();
  assert.equal(await entriesOf(lab, active, client), before + 1, 'that of a client makes one');
}

/** The kernel's own sync tells of a connection by then. */
const KERNEL_SYNC_MS = 3_000;

/** Clients of two rounds of jobs. */
const YOUNG_CLIENTS = 6;
/** So many have carried data for as long as the sync takes when the power goes, and none is older than YOUNG_MS. */
const IN_FLIGHT = 3;
const SYNCED_MS = 100;
const GROWN_MS = 400;
const YOUNG_MS = 900;

/** Younger than a second, control connections too: the kernel's own sync has not told of any of them. */
async function youngSurvive(lab: Lab, forwarding: 'dr' | 'tun'): Promise<void> {
  for (const router of ROUTERS) await lab.topology.exec(router, 'nft', ['-f', '-'], { input: FOREIGN });
  const sizes = { bigBytes: 3_000_000, rateBytesPerS: 1_000_000 };
  const { ftp, pair } = await startService(lab, { forwarding, ipv6: true, ...sizes });
  await pair.untilWarm(rolesNow(pair).standby, 60_000);
  const { active, standby } = rolesNow(pair);
  const began = wallNow();
  // One or the other server takes a second for a login (seen), and may have any of the clients: those
  // sessions are cut in the middle of it. With so many, the others have three.
  const all = [...jobs(true), ...jobs(true, YOUNG_CLIENTS / 2)];
  const transfers = startTransfers(lab, ftp, all, sizes.rateBytesPerS);
  const age = () => wallNow() - began;
  const firstBytes = () => transfers.map(transfer => (transfer.arrivals()[0] ?? Infinity) - began);
  const inFlight = () => firstBytes().filter(first => first + SYNCED_MS <= age()).length;
  while (age() < GROWN_MS || (inFlight() < IN_FLIGHT && age() < YOUNG_MS)) await sleep(10);
  const [carrying, firsts] = [inFlight(), firstBytes().map(Math.round)];
  const { at } = await lab.topology.cutPower(active);
  lab.record('ageMs', Math.round(at - began));
  lab.record('firstBytesMs', firsts);
  assert.ok(at - began < 1_000, `the oldest connection was ${at - began} ms old`);
  assert.ok(carrying >= IN_FLIGHT, `${carrying} in flight after ${YOUNG_MS} ms; first bytes at ${firsts} ms`);
  const counters = (await pair.sync(standby)).counters;
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  lab.record('counters', counters);
  assertWhole(results);
}

/** The way to the outside takes small packets only; the client says that it takes larger ones. */
const FAR_MTU = 1_400;

async function addFarClient({ topology }: Lab): Promise<string> {
  await addOutside(topology, { clients: 1, direct: true, mtu: FAR_MTU });
  const client = outsideAddress(0);
  const rules = [
    `rule add from ${client} lookup 100`,
    `route add default via ${OUTSIDE.gateway} dev far0 advmss 1460 table 100`,
  ];
  await topology.exec('client', 'ip', ['-batch', '-'], { input: `${rules.join('\n')}\n` });
  return client;
}

const ERRORS = `table inet errors {
  chain input {
    type filter hook input priority -10; policy accept;
    ip daddr ${VIP} icmp type destination-unreachable counter
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ip saddr ${VIP} icmp type destination-unreachable counter
  }
}
`;

async function errorsAt(lab: Lab, router: Router, chain: 'input' | 'output'): Promise<number> {
  const { stdout } = await lab.topology.exec(router, 'nft', ['list', 'chain', 'inet', 'errors', chain]);
  return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
}

/** The packet that was too large came from a server, but its sender is the VIP: the error comes to the router. */
async function errorsFindTheServer(lab: Lab): Promise<void> {
  const from = await addFarClient(lab);
  for (const router of ROUTERS) await lab.topology.exec(router, 'nft', ['-f', '-'], { input: `${FOREIGN}${ERRORS}` });
  const { ftp, pair } = await startService(lab, { forwarding: 'dr', bigBytes: 8_000_000, rateBytesPerS: 800_000 });
  await pair.untilWarm(rolesNow(pair).standby, 60_000);
  const { active, standby } = rolesNow(pair);
  const transfer = lab.transfer(ftp, { kind: 'download', mode: 'passive', from, timeoutMs: 90_000 });
  await untilUnderWay([transfer], lab.say, 3_000_000);
  lab.record('before', await errorsAt(lab, active, 'input'));
  assert.ok((await errorsAt(lab, active, 'input')) > 0, 'the path was too small for the first packets');
  await lab.topology.cutPower(active);
  await pair.feed(standby).until(({ role }) => role === 'active', 'the standby to take over', 10_000);
  // What the servers have learned of the path is forgotten: they must be told again, by the new owner.
  for (const host of FILE_SERVERS) await lab.topology.exec(host, 'ip', ['route', 'flush', 'cache']);
  const result: TransferResult = await transfer.finished;
  lab.record('after', await errorsAt(lab, standby, 'input'));
  lab.record('transfer', result);
  assertWhole([result]);
  assert.ok((await errorsAt(lab, standby, 'input')) > 0, 'and again after the takeover');
}

const NAMES_MARK = 153;

/** Services that are not FTP, beside it on the pair whose tunnels are looked at. */
const TUNNELLED: Parameters<typeof startPlain>[2] = [
  { name: 'https', family: 4, mark: 443, fields: ['ports: 443', 'persistence: 5m'] },
  {
    ...{ name: 'names', kind: 'udp', family: 4, mark: NAMES_MARK },
    fields: [`ports: ${UDP_PORT}`, 'persistence: 5m', 'scheduler: rr'],
  },
];

async function tunnelTellsItsSize(lab: Lab): Promise<void> {
  // Else the kernel hands packets of any size over between namespaces, as no network card could.
  await lab.topology.exec('client', 'ip', ['link', 'set', 'c0', 'gso_max_segs', '1']);
  for (const router of ROUTERS) await lab.topology.exec(router, 'nft', ['-f', '-'], { input: `${FOREIGN}${ERRORS}` });
  const sizes = { bigBytes: 8_000_000, rateBytesPerS: 800_000 };
  const { ftp, pair, servers } = await startPlain(lab, 'tun', TUNNELLED, sizes);
  const { active, standby } = rolesNow(pair);
  const request = { kind: 'upload', mode: 'passive', from: CLIENT_ADDRESSES[0], uploadBytesPerS: 800_000 } as const;
  const clamped = await lab.transfer(ftp, { ...request, from: CLIENT_ADDRESSES[1], timeoutMs: 90_000 }).finished;
  assertWhole([clamped]);
  assert.equal(await errorsAt(lab, active, 'output'), 0, 'with what server-config prints, no packet is too large');
  const ask = () => whoAnswers(lab.topology, 4, clientAddress(2), 0);
  const answers = [await ask()];
  const from = clientAddress(3);
  const page = { protocol: 'https', family: 4, from, bytesPerS: 800_000, timeoutMs: 90_000 } as const;
  const fetched = await fetchBig(lab.topology, servers, page);
  for (const host of FILE_SERVERS) await lab.topology.exec(host, 'nft', ['delete', 'table', 'inet', 'tandem_mss']);
  const transfer = lab.transfer(ftp, { ...request, timeoutMs: 90_000 });
  await untilUnderWay([transfer], lab.say, 3_000_000);
  await untilPast(lab, [fetched], 2_000_000);
  assert.ok(await hasTemplate(lab, standby, NAMES_MARK), 'the standby knows the client of UDP');
  lab.record('before', await errorsAt(lab, active, 'output'));
  assert.ok((await errorsAt(lab, active, 'output')) > 0, 'the router says that the tunnel takes less');
  await lab.topology.cutPower(active);
  await pair.feed(standby).until(({ role }) => role === 'active', 'the standby to take over', 10_000);
  await lab.topology.exec('client', 'ip', ['route', 'flush', 'cache']);
  const result: TransferResult = await transfer.finished;
  lab.record('after', await errorsAt(lab, standby, 'output'));
  lab.record('transfer', result);
  assertWhole([result]);
  assert.ok((await errorsAt(lab, standby, 'output')) > 0, 'and so does the new owner');
  assert.ok(await fetched.finished, `${fetched.what} is whole`);
  for (let asked = 0; asked < FILE_SERVERS.length; asked++) answers.push(await ask());
  lab.record('answers', answers);
  assert.equal(new Set(answers).size, 1, `a client of UDP is answered by the server that it had: ${answers}`);
}

export const FORWARDING_SCENARIOS: readonly Scenario[] = [
  {
    title:
      'the kernel carries FTP by DR and TUN, IPv4 and IPv6, passive and active, past a rule that drops what is invalid',
    topology: { direct: true, ipv6: true },
    run: kernelForwards,
    timeoutMs: 300_000,
  },
  {
    title: 'without notrack a rule that drops what is invalid takes the DR client',
    topology: { direct: true, ipv6: true },
    run: trackedIsDropped,
    timeoutMs: 120_000,
  },
  {
    title: 'under DR a template is enough to take a connection in mid-stream, and who is not known is not taken',
    topology: { direct: true, ipv6: true },
    run: lab => {
      const [client, stranger] = CLIENT_ADDRESSES;
      return templateIsEnough(lab, { known: client, first: client, client, stranger });
    },
    timeoutMs: 150_000,
  },
  {
    title: "under DR the template of a client's network is enough for another client of it, in mid-stream",
    topology: { direct: true, ipv6: true, clients: 10 },
    run: lab => {
      const [first, client] = CLIENT_ADDRESSES;
      const network = { mask: '255.255.255.248', known: '192.0.2.8' };
      return templateIsEnough(lab, { ...network, first, client, stranger: clientAddress(9) });
    },
    timeoutMs: 150_000,
  },
  ...(['dr', 'tun'] as const).map(
    (forwarding): Scenario => ({
      title: `transfers by ${forwarding.toUpperCase()}, IPv4 and IPv6, outlive a power cut of the active router`,
      topology: { direct: true, ipv6: true },
      run: lab => pairSurvives(lab, forwarding),
      timeoutMs: 240_000,
    }),
  ),
  {
    title: 'sessions of active mode by DR, whose clients are known by their networks, outlive a power cut',
    topology: { direct: true, ipv6: true },
    run: networksAreKnown,
    timeoutMs: 240_000,
  },
  ...(['dr', 'tun'] as const).map(
    (forwarding): Scenario => ({
      title: `transfers by ${forwarding.toUpperCase()} outlive a handover and the way back, and both routers hold the same`,
      topology: { direct: true, ipv6: true },
      run: lab => handsOverAndBack(lab, forwarding),
      timeoutMs: 300_000,
    }),
  ),
  ...(['dr', 'tun'] as const).map(
    (forwarding): Scenario => ({
      title: `the store brings transfers by ${forwarding.toUpperCase()} back after both routers have rebooted`,
      topology: { direct: true, ipv6: true },
      run: lab => storeBringsBack(lab, forwarding),
      timeoutMs: 400_000,
    }),
  ),
  {
    title: 'transfers by DR and by NAT, side by side on one pair, outlive a power cut',
    topology: { direct: true, ipv6: true },
    run: mixedSurvive,
    timeoutMs: 240_000,
  },
  {
    title: "under DR a SYN+ACK to active mode's port makes no entry for a stranger, but for a client",
    topology: { direct: true },
    run: strangersGetNoEntry,
    timeoutMs: 120_000,
  },
  {
    title: 'a DR download by a path of 1,400 bytes: the error finds the right server, also after a power cut',
    topology: { direct: true, store: true },
    run: errorsFindTheServer,
    timeoutMs: 240_000,
  },
  {
    title:
      'a TUN upload by a path of 1,500 bytes: nothing is too large, and without the servers’ clamp the router says how much the tunnel takes, also after a power cut, which HTTPS and UDP by TUN outlive',
    topology: { direct: true, clients: 4 },
    run: tunnelTellsItsSize,
    timeoutMs: 240_000,
  },
  ...(['dr', 'tun'] as const).map(
    (forwarding): Scenario => ({
      title: `connections by ${forwarding.toUpperCase()} that are younger than a second outlive a power cut`,
      topology: { direct: true, ipv6: true, clients: YOUNG_CLIENTS },
      run: lab => youngSurvive(lab, forwarding),
      timeoutMs: 240_000,
    }),
  ),
];

// Proof that the lab itself works, without Tandem: r1 is made a marks-mode router by hand (nft, ipvsadm), and real transfers of
// every kind pass through it to every kind of server. When this fails, look at the lab before looking at Tandem.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { TransferKind, TransferMode, TransferResult } from '../ftp/ftp-client.ts';
import { KINDS } from '../ftp/ftp-servers.ts';
import { CLIENT_ADDRESSES, FILE_SERVERS, type FileServer, GATEWAY, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import type { Lab, Scenario } from './scenario.ts';

const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
const BIG_BYTES = 2_000_000;

const NFT = `table ip handmade {
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iifname "c0" ip daddr ${VIP} tcp dport { 21, 10000-20000 } meta mark set 21
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "c0" ip saddr 198.51.100.0/24 tcp sport 20 snat to ${VIP}
  }
}
`;

/** Makes r1 the router of one real server by hand: VIP, gateway, forwarding, mark, IPVS. */
async function handmadeRouter({ topology }: Lab): Promise<void> {
  await topology.exec('r1', 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  await topology.exec('r1', 'nft', ['-f', '-'], { input: NFT });
  await topology.exec('r1', 'ip', ['-batch', '-'], {
    input: `address add ${VIP}/32 dev c0\naddress add ${GATEWAY}/24 dev s0\n`,
  });
}

/** Points the service at one server, dropping what was there, templates included. */
async function pointAt({ topology }: Lab, server: FileServer): Promise<void> {
  const rules = `-A -f 21 -s wlc -p 60\n-a -f 21 -r ${SERVER_ADDRESSES[server]}:0 -m\n`;
  await topology.exec('r1', 'ipvsadm', ['-C']);
  await topology.exec('r1', 'ipvsadm', ['-R'], { input: rules });
}

function assertWhole(result: TransferResult, server: FileServer): void {
  const what = `${result.mode} ${result.kind} at ${server} (${KINDS[server]})`;
  assert.equal(result.error, undefined, what);
  assert.equal(result.bytes, BIG_BYTES, `${what}: bytes`);
  assert.ok(result.sha256Ok, `${what}: checksum`);
  assert.equal(result.server, server, `${what}: the server that answered`);
}

async function everyTransfer(lab: Lab): Promise<void> {
  const ftp = await lab.ftpServers({ bigBytes: BIG_BYTES, rateBytesPerS: 8_000_000 });
  await handmadeRouter(lab);
  const results: TransferResult[] = [];
  for (const server of FILE_SERVERS) {
    await pointAt(lab, server);
    for (const kind of ['download', 'upload'] as const satisfies readonly TransferKind[]) {
      const request = { kind, from: CLIENT_ADDRESSES[0], timeoutMs: 30_000 };
      const transfers = MODES.map(mode => lab.transfer(ftp, { ...request, mode }));
      const ended = await Promise.all(transfers.map(transfer => transfer.finished));
      for (const result of ended) assertWhole(result, server);
      results.push(...ended);
    }
    lab.say(`${KINDS[server]}: ${MODES.join(', ')}; download and upload`);
  }
  lab.record('transfers', results);
}

async function noFtpHelper(lab: Lab): Promise<void> {
  await handmadeRouter(lab);
  await pointAt(lab, 'fs1');
  const modules = await readFile('/proc/modules', 'utf8').catch(() => '');
  assert.doesNotMatch(modules, /^ip_vs_ftp /m, 'ip_vs_ftp is loaded: it breaks PASV in marks mode; rmmod ip_vs_ftp');
  const { stdout } = await lab.topology.exec('r1', 'ipvsadm', ['-Ln']);
  assert.match(stdout, /FWM {2}21 wlc persistent 60/);
}

async function powerCutIsSilent(lab: Lab): Promise<void> {
  const { topology } = lab;
  // A router that pings its peer a hundred times a second; after the cut nothing may arrive any more.
  topology.start('r1', 'ping', ['-n', '-i', '0.01', '203.0.113.2'], { stdio: 'ignore' });
  await topology.exec('r2', 'ping', ['-c', '3', '-i', '0.2', '-w', '10', '203.0.113.1']);
  await topology.cutPower('r1');
  const { stdout: first } = await topology.exec('r2', 'ip', ['-s', '-o', 'link', 'show', 'x0']);
  await assert.rejects(topology.exec('r2', 'ping', ['-c', '3', '-i', '0.2', '-w', '1', '203.0.113.1']));
  const { stdout: second } = await topology.exec('r2', 'ip', ['-s', '-o', 'link', 'show', 'x0']);
  lab.record('linkStatistics', [first, second]);
  assert.equal(receivedPackets(second), receivedPackets(first), 'packets from a router without power');
  assert.match(second, /LOWER_UP/, 'the peer must not see its own link fall');
  await topology.restorePower('r1');
  await topology.exec('r2', 'ping', ['-c', '1', '-w', '10', '203.0.113.1']);
}

function receivedPackets(statistics: string): number {
  const match = /RX:[^\\]*\\\s*\d+\s+(\d+)/.exec(statistics);
  assert.ok(match, `no RX counter in ${statistics}`);
  return Number(match[1]);
}

export const SMOKE_SCENARIOS: readonly Scenario[] = [
  { title: 'the lab carries marks mode without the ip_vs_ftp module', run: noFtpHelper },
  { title: 'a router whose power is cut falls silent at once and comes back empty', run: powerCutIsSilent },
  {
    title: 'transfers of every mode pass through a handmade router to vsftpd, proftpd and pure-ftpd',
    run: everyTransfer,
    timeoutMs: 180_000,
  },
];

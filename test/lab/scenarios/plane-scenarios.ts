// The data plane beside others, on a real IPVS kernel: services that somebody removes, firewalls that deny by default, strangers at
// port 20. Io. nftables alone is tested in namespaces (test/netns/plane.test.ts); here is what needs IPVS.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferMode } from '../ftp/ftp-client.ts';
import { startService } from '../measure/failover.ts';
import { buildSegmentSender, type Segment } from '../pair/segments.ts';
import { CLIENT_ADDRESSES, type Router, VIP } from '../pair/topology.ts';
import { ipvsadm, setUp, until } from './director-scenarios.ts';
import { handOver } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

/** What is promised. */
const BACK_MS = 1_000;

/** `ipvsadm -C` in the middle of a transfer: the services come back at the next look, and the transfer goes on. */
async function putsServicesBack(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { bigBytes: 6_000_000, rateBytesPerS: 400_000 });
  const servers = async () => ((await ipvsadm(lab, ['-Sn'])).match(/^-a -f 21 /gm) ?? []).length;
  const transfer = lab.transfer(ftp, {
    ...{ kind: 'download', mode: 'passive', from: CLIENT_ADDRESSES[0], timeoutMs: 90_000 },
  });
  await until('bytes', async () => transfer.progress().bytes > 1_000_000);
  const back: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const at = performance.now();
    await ipvsadm(lab, ['-C']);
    await until('three servers again', async () => (await servers()) === 3, BACK_MS);
    back.push(Math.round(performance.now() - at));
    await sleep(1_000);
  }
  lab.record('backMs', back);
  const { error, sha256Ok } = await transfer.finished;
  assert.equal(error, undefined);
  assert.ok(sha256Ok, 'the file is whole');
  const events = await rig.events();
  lab.record(
    'drift',
    events.filter(({ code }) => /^DRIFT/.test(code)),
  );
  assert.ok(events.some(({ code, reason }) => code === 'DRIFT_REPAIRED' && reason === 'IPVS was changed'));
  assert.ok(events.some(({ code }) => code === 'DRIFT_REPEATS'));
}

/** Default-deny on input and forward, `more` and `forward` being what lets FTP pass. */
const DENY = (input: string, forward: string) => `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname { "lo", "s0", "x0" } accept
    ip protocol icmp accept
    ${input}
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ${forward}
  }
}
`;
const TO_VIP = `ip daddr ${VIP} tcp dport { 20, 21, 10000-20000 } accept`;
const FROM_SERVERS = 'ip saddr 198.51.100.0/24 tcp sport { 20, 21, 10000-20000 } accept';
const TO_SERVERS = 'ip daddr 198.51.100.0/24 tcp dport { 20, 21, 10000-20000 } accept';

async function findsForeignDrops(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { bigBytes: 300_000, rateBytesPerS: 4_000_000 });
  const rules = (input: string) => lab.topology.exec('r1', 'nft', ['-f', '-'], { input });
  const replace = (text: string) => rules(`add table inet filter\ndelete table inet filter\n${text}`);
  const connect = () =>
    lab.topology
      .exec('client', 'curl', ['-s', '-m', '8', `ftp://${VIP}/whoami`], { timeoutMs: 20_000 })
      .catch(() => undefined);
  const drops = async (way: string) =>
    (await rig.events()).filter(event => event.code === 'FOREIGN_DROP' && event.way === way);
  const found = async (way: string, chain: string) => {
    await until(`${way} is found`, async () => {
      await connect();
      return (await drops(way)).length > 0;
    });
    assert.match(String((await drops(way))[0]?.problem), new RegExp(`"inet filter ${chain} \\(policy drop\\)"`));
  };
  await replace(DENY('', `${FROM_SERVERS}; ${TO_SERVERS}`));
  await found('from-clients', 'input');
  await replace(DENY(TO_VIP, ''));
  await found('from-servers', 'forward');
  await replace(DENY(TO_VIP, `${FROM_SERVERS}; ${TO_SERVERS}`));
  for (const mode of ['passive', 'active'] as const satisfies readonly TransferMode[]) {
    const result = await lab.transfer(ftp, { kind: 'download', mode, from: CLIENT_ADDRESSES[1], timeoutMs: 40_000 })
      .finished;
    assert.equal(result.error, undefined, mode);
  }
  const over = async (way: string) =>
    (await rig.events()).some(event => event.code === 'FOREIGN_DROP_OVER' && event.way === way);
  await until('both are over', async () => (await over('from-clients')) && (await over('from-servers')), 20_000);
  const before = (await rig.events()).length;
  await connect();
  await sleep(12_000);
  const later = (await rig.events()).slice(before).map(event => event.code);
  assert.ok(!later.includes('FOREIGN_DROP'), 'correct rules are no finding');
  // tandem-sync1 is denied as well: the sync is degraded, and runs.
  await rig.ask('director-control', 'POST', '/audit');
  const events = await rig.events();
  lab.record(
    'sync',
    events.filter(({ code }) => code.startsWith('SYNC')),
  );
  assert.ok(events.some(({ code, problem }) => code === 'SYNC_PROBLEM' && /tandem-sync1/.test(String(problem))));
}

/** Entries of an address in a router's IPVS table, whatever they are. */
export async function entriesOf(lab: Lab, router: Router, address: string): Promise<number> {
  const hex = address
    .split('.')
    .map(part => Number(part).toString(16).padStart(2, '0').toUpperCase())
    .join('');
  const { stdout } = await lab.topology.exec(router, 'cat', ['/proc/self/net/ip_vs_conn']);
  return stdout.split('\n').filter(line => line.split(/\s+/)[1] === hex).length;
}

/** Sends segments with `flags` from an address of the client's machine to port 20 of the VIP. */
export async function segmentsToPort20(
  lab: Lab,
  flags: Segment['flags'],
): Promise<{ send(from: string): Promise<void>; remove(): Promise<void> }> {
  const { command, remove } = await buildSegmentSender();
  return {
    async send(from) {
      const [program, ...args] = command({ from, to: VIP, sport: 40_000, dport: 20, flags }, 3);
      await lab.topology.exec('client', program, args);
      await sleep(1_000);
    },
    remove,
  };
}

const STRANGERS = ['192.0.2.21', '192.0.2.22'] as const;

async function refusesStrangers(lab: Lab): Promise<void> {
  const service = await startService(lab, { bigBytes: 100_000 });
  const { active, standby } = service;
  for (const stranger of STRANGERS)
    await lab.topology.exec('client', 'ip', ['address', 'add', `${stranger}/24`, 'dev', 'c0']);
  const bareAcks = await segmentsToPort20(lab, 'ack');
  // ipvs.adopt_for, by default.
  await sleep(75_000);
  await bareAcks.send(STRANGERS[0]);
  assert.equal(await entriesOf(lab, active, STRANGERS[0]), 0, 'a stranger makes no entry on an owner of long standing');
  // So that the check above can fail: just after a takeover such a packet may be somebody's transfer.
  await handOver(lab, service, active);
  await bareAcks.send(STRANGERS[1]);
  await bareAcks.remove();
  assert.ok((await entriesOf(lab, standby, STRANGERS[1])) > 0, 'a new owner adopts what it does not know');
}

export const planeScenarios: readonly Scenario[] = [
  {
    title: '`ipvsadm -C` is undone at the next look, in the middle of a transfer that goes on',
    run: putsServicesBack,
    timeoutMs: 200_000,
  },
  {
    title: 'a firewall that denies by default is found by what it takes; one that lets FTP pass is no finding',
    run: findsForeignDrops,
    timeoutMs: 300_000,
  },
  {
    title: 'a bare ACK to port 20 makes no entry for a stranger, but on a new owner',
    run: refusesStrangers,
    timeoutMs: 500_000,
  },
];

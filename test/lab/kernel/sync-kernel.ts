// The sync's io parts against a real kernel, in one router's namespace: what the kernel reports of real FTP sessions, what it takes
// when entries are put into it, what it does with them, and that nothing from a wire gets in. Io.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessages } from '../../../src/sync/kernel/wire.ts';
import {
  type Entry,
  entryKeyOf,
  FLAG,
  isTemplate,
  rawOf,
  TCP_STATES,
  templateOf,
} from '../../../src/sync/table/entry.ts';
import type { Address } from '../../../src/units/address.ts';
import { TIMES_ARE_EXACT } from '../pair/config.ts';
import { CLIENT_ADDRESSES, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import type { Lab, Scenario } from '../scenarios/scenario.ts';
import { MARK6, makeRouter, type Rig, SERVER6, startPeer, startRig, until, VIP6 } from './sync-kernel-rig.ts';

const raw = (address: string) => rawOf(address as Address);
const MARK = 21;
const PERSISTENCE_S = 360;
const MANY = 20_000;
/** Some take half a minute on an idle machine; several emulated ones may share it. */
const TIMEOUT_MS = 240_000;
/** Only virtual time is exact; anywhere else a busy host makes everything late. */
const CONNTRACK_MS_MAX = TIMES_ARE_EXACT ? 20 : 1_500;
const MASTER_MS_MAX = TIMES_ARE_EXACT ? 2_500 : 6_000;

async function startKernel(lab: Lab, settings: readonly string[] = []): Promise<Rig> {
  await makeRouter(lab);
  if (settings.length > 0) await lab.topology.exec('r1', 'sysctl', ['-qw', ...settings]);
  const rig = await startRig(lab);
  const result = await rig.ensure();
  lab.record('ensure', result);
  assert.deepEqual(result.problems, []);
  assert.equal(result.running, true);
  return rig;
}

function template(client: string, server: string, timeoutS = PERSISTENCE_S): Entry {
  const mark = client.includes(':') ? MARK6 : MARK;
  return templateOf({ client: raw(client), server: raw(server), mark, flags: 0 }, timeoutS);
}

function connection(client: string, port: number, server: string, more: Partial<Entry> = {}): Entry {
  const six = client.includes(':');
  return {
    protocol: 6,
    client: raw(client),
    clientPort: port,
    virtual: raw(six ? VIP6 : VIP),
    virtualPort: 21,
    server: raw(server),
    serverPort: 21,
    flags: 0,
    state: TCP_STATES.indexOf('ESTABLISHED'),
    mark: six ? MARK6 : MARK,
    timeoutS: 7_200,
    ...more,
  };
}

async function findsOut(lab: Lab): Promise<void> {
  const { topology } = lab;
  await topology.exec('r1', 'sysctl', ['-qw', 'net.ipv4.conf.all.rp_filter=1']);
  const rig = await startKernel(lab);
  const first = await rig.ensure();
  assert.deepEqual([first.changes, first.problems, first.running], [[], [], true], 'a second look');
  let { found } = first;
  await until('it is known whether entries go in time', async () => {
    ({ found } = await rig.ensure());
    return found.expiry !== undefined;
  });
  lab.say(
    Object.entries(found)
      .map(([name, value]) => `${name}: ${value}`)
      .join(', '),
  );
  assert.deepEqual(
    [found.injection, found['injection of IPv6'], found.expiry, found['conntrack events']],
    ['works', 'works', 'works', 'followed'],
  );
  const { stdout: addresses } = await topology.exec('r1', 'ip', ['-o', 'address', 'show']);
  assert.doesNotMatch(addresses, /tandem-sync\d +inet6/);
  rig.stop();
  // What a director that starts anew finds is taken over.
  const again = await startRig(lab);
  assert.deepEqual((await again.ensure()).changes, []);
  await topology.exec('r1', 'ipvsadm', ['--stop-daemon', 'backup']);
  await topology.exec('r1', 'ipvsadm', ['--start-daemon', 'backup', '--mcast-interface', 'x0', '--syncid', '7']);
  const foreign = await again.ensure();
  assert.equal(foreign.running, false);
  assert.match(foreign.problems.join(), /somebody else's backup sync daemon runs on x0 \(sync id 7\)/);
  const { stdout: daemons } = await topology.exec('r1', 'ipvsadm', ['-L', '--daemon']);
  assert.match(daemons, /backup .*mcast=x0, syncid=7/, 'the daemon of others stays');
}

async function reportsSession(lab: Lab): Promise<void> {
  const ftp = await lab.ftpServers({ bigBytes: 6_000_000, rateBytesPerS: 500_000 });
  const rig = await startKernel(lab);
  // A master that stayed bound to an interface that is no more would send nothing, and ipvsadm would show no difference.
  await lab.topology.exec('r1', 'ip', ['link', 'delete', 'tandem-sync0']);
  const repaired = await rig.ensure();
  lab.record('repaired', repaired);
  assert.deepEqual([repaired.running, repaired.problems], [true, []], 'after the interface was deleted');
  const client = startPeer(lab, 'client');
  client.say({ connect: [VIP, 21, CLIENT_ADDRESSES[0], 33_333] });
  const { at } = await client.next('connected');
  await client.next('data');
  const control = (e: Entry) => e.clientPort === 33_333 && e.state === 1;
  const early = await rig.untilTold('the connection, by conntrack', control, 'conntrack');
  lab.record('countersAfterConnect', await rig.counters());
  const late = await rig.untilTold('the connection, by the master', control, 'master');
  const tpl = await rig.untilTold('the template', e => isTemplate(e) && e.client === raw(CLIENT_ADDRESSES[0]));
  const [byConntrack, byMaster] = [early, late].map(one => one.entries.find(control));
  assert.deepEqual(byConntrack, byMaster, 'both tell the same');
  lab.record('afterConnectMs', { conntrack: early.at - at, template: tpl.at - at, master: late.at - at });
  lab.say(
    `told by conntrack after ${(early.at - at).toFixed(0)} ms, its template after ${(tpl.at - at).toFixed(0)} ms, by the master after ${(late.at - at).toFixed(0)} ms`,
  );
  assert.ok(early.at - at < CONNTRACK_MS_MAX, `${early.at - at} ms`);
  assert.ok(late.at - at < MASTER_MS_MAX, `${late.at - at} ms`);
  client.end();

  const transfer = lab.transfer(ftp, {
    kind: 'download',
    mode: 'active',
    from: CLIENT_ADDRESSES[1],
    timeoutMs: 60_000,
  });
  const data = await rig.untilTold('the data connection of active mode', e => e.virtualPort === 20 && e.state === 1);
  const entry = data.entries.find(e => e.virtualPort === 20 && e.state === 1) as Entry;
  assert.deepEqual(
    [entry.virtual, entry.client, entry.mark, entry.flags],
    [raw(VIP), raw(CLIENT_ADDRESSES[1]), MARK, 0],
  );
  await until('bytes', async () => transfer.progress().bytes > 0);
  const active = await rig.readActiveData();
  assert.ok(active.some(e => e.state === 1 && e.virtualPort === 20 && e.client === raw(CLIENT_ADDRESSES[1])));
  // A demotion deletes the entries of conntrack: that must not look like the connection's end.
  const told = rig.told.length;
  await lab.topology.exec('r1', 'conntrack', ['-D', '-p', 'tcp', '--reply-dst', VIP]);
  await sleep(1_000);
  const after = rig.told.slice(told).flatMap(one => one.entries);
  assert.deepEqual(
    after.filter(e => e.virtualPort === 20 && (e.flags & FLAG.inactive) !== 0),
    [],
  );
  assert.ok((await transfer.finished).sha256Ok);
  const closing = (e: Entry) =>
    e.virtualPort === 20 && e.clientPort === entry.clientPort && (e.flags & FLAG.inactive) !== 0;
  await rig.untilTold('the end of the data connection', closing);
  lab.record('counters', await rig.counters());
  assert.deepEqual(rig.losses, []);
}

async function takesEntries(lab: Lab): Promise<void> {
  const rig = await startKernel(lab);
  const { fs1, fs2, fs3 } = SERVER_ADDRESSES;
  const finWait = { flags: FLAG.inactive, state: TCP_STATES.indexOf('FIN_WAIT'), timeoutS: 100 };
  const sent = [
    template('192.0.2.40', fs1),
    template('2001:db8:1::40', SERVER6),
    connection('192.0.2.40', 4_000, fs1),
    connection('192.0.2.40', 4_001, fs1, { ...finWait, virtualPort: 20, serverPort: 20 }),
    connection('2001:db8:1::40', 4_000, SERVER6),
  ];
  assert.equal((await rig.inject(sent)).dropped, 0);
  const table = new Map((await rig.readTable()).map(entry => [entryKeyOf(entry), entry]));
  for (const entry of sent) {
    const there = table.get(entryKeyOf(entry));
    assert.ok(there, `${entryKeyOf(entry)} is not in the kernel: ${[...table.keys()].join('; ')}`);
    assert.deepEqual({ ...there, timeoutS: 0 }, { ...entry, timeoutS: 0 });
    assert.ok(Math.abs(there.timeoutS - entry.timeoutS) <= 5, `${there.timeoutS} s left of ${entry.timeoutS}`);
  }
  const counts = new Map((await rig.readCounts()).map(c => [`${c.mark} ${c.server}`, [c.templates, c.connections]]));
  assert.deepEqual(
    [counts.get(`21 ${fs1}`), counts.get(`${MARK6} ${SERVER6}`), counts.get(`21 ${fs2}`)],
    [
      [1, 2],
      [1, 1],
      [0, 0],
    ],
  );

  // A template's server is not changed by a second one; it is deleted by a time-out of 1 s.
  const serverOf = async (entry: Entry) =>
    (await rig.readTable()).find(e => entryKeyOf(e) === entryKeyOf(entry))?.server;
  const alone = template('192.0.2.41', fs1);
  await rig.inject([alone]);
  await rig.inject([template('192.0.2.41', fs2)]);
  assert.equal(await serverOf(alone), raw(fs1), 'the second one changed the server');
  await rig.inject([{ ...alone, timeoutS: 1 }]);
  const began = performance.now();
  await until('the template to be gone', async () => (await serverOf(alone)) === undefined);
  lab.record('goneAfterMs', performance.now() - began);
  await rig.inject([template('192.0.2.41', fs2)]);
  assert.equal(await serverOf(alone), raw(fs2));
  // A connection's server is changed by one that is active, not by one that is closing.
  await rig.inject([connection('192.0.2.40', 4_000, fs2, finWait)]);
  const closing = await serverOf(sent[2] as Entry);
  await rig.inject([connection('192.0.2.40', 4_000, fs3)]);
  const active = await serverOf(sent[2] as Entry);
  lab.record('serverOfConnection', { closing, active, fs1: raw(fs1), fs3: raw(fs3) });
  assert.deepEqual([closing, active], [raw(fs1), raw(fs3)]);
  // A template lives while a connection hangs on it, also when told to go.
  await rig.inject([template('192.0.2.42', fs1), connection('192.0.2.42', 4_000, fs1)]);
  await rig.inject([template('192.0.2.42', fs1, 1)]);
  await sleep(4_000);
  lab.record('templateWithConnectionToldToGo', (await serverOf(template('192.0.2.42', fs1))) ?? 'gone');
}

async function losesNone(lab: Lab): Promise<void> {
  // The kernel's own default buffer, as where nobody may raise net.core.rmem_max.
  const rig = await startKernel(lab, ['net.ipv4.vs.sync_sock_size=0']);
  const entries = Array.from({ length: MANY }, (_, i) => template(`10.1.${i >> 8}.${i & 255}`, SERVER_ADDRESSES.fs1));
  const { dropped, tookMs } = await rig.inject(entries);
  const counts = await rig.readCounts();
  const counters = await rig.counters();
  lab.record('injected', { entries: MANY, tookMs, counters });
  lab.say(`${MANY} templates in ${(tookMs / 1000).toFixed(2)} s`);
  assert.equal(dropped, 0);
  assert.equal(counts.find(c => c.server === SERVER_ADDRESSES.fs1)?.templates, MANY);
  assert.equal((await rig.readTable()).length, MANY);
  lab.record('readTableMs', rig.tookMs());
}

/** Sends sync messages out of x0 from the peer's namespace: to the group and to r1 itself, both ports, with a forged source too. */
const ATTACK = `
import socket, sys
message = bytes.fromhex(sys.argv[1]); source = sys.argv[2]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('203.0.113.2'))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
s.setsockopt(socket.SOL_SOCKET, 25, b'x0')
s.bind((source, 0))
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for to in ('224.0.0.81', '203.0.113.1', '203.0.113.255', '255.255.255.255'):
    for port in (8848, 8849):
        try: s.sendto(message, (to, port))
        except OSError as error: print(to, error)
`;

const LOCAL_ATTACK = `
import os, socket, sys
os.setuid(65534)
message = bytes.fromhex(sys.argv[1]); source = sys.argv[2]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
s.bind((source, 0))
for port in (8848, 8849):
    try: s.sendto(message, ('224.0.0.81', port))
    except PermissionError as error: print(error)
`;

async function nothingFromTheWire(lab: Lab): Promise<void> {
  const { topology } = lab;
  const rig = await startKernel(lab);
  await topology.exec('r2', 'sysctl', ['-qw', 'net.ipv4.ip_nonlocal_bind=1']);
  // Somebody else has joined the group on the wire: without that the kernel would not even look.
  await topology.exec('r1', 'ip', ['address', 'add', '224.0.0.81/32', 'dev', 'x0', 'autojoin']);
  const before = await rig.counters();
  const forged = template('192.0.2.66', SERVER_ADDRESSES.fs1);
  const [message] = encodeMessages([forged], 84);
  const { stdout: link } = await topology.exec('r1', 'ip', ['-4', '-o', 'address', 'show', 'dev', 'tandem-sync0']);
  const masterAddress = /inet ([\d.]+)/.exec(link)?.[1] as string;
  const received = async () =>
    Number(
      /RX:[^\\]*\\\s*\d+\s+(\d+)/.exec(
        (await topology.exec('r1', 'ip', ['-s', '-o', 'link', 'show', 'x0'])).stdout,
      )?.[1],
    );
  const packets = await received();
  for (const source of ['203.0.113.2', masterAddress, '127.0.0.1']) {
    await topology.exec('r2', 'python3', ['-c', ATTACK, (message as Buffer).toString('hex'), source]);
  }
  await sleep(1_000);
  const arrived = (await received()) - packets;
  const after = await rig.counters();
  lab.record('attack', { arrived, before, after });
  lab.say(
    `${arrived} packets arrived on the wire, ${(after.events_other_source ?? 0) - (before.events_other_source ?? 0)} reached the listener and were refused`,
  );
  assert.ok(arrived >= 8, `only ${arrived} packets arrived: nothing was proven`);
  assert.deepEqual(rig.told, []);
  assert.equal(after.events_received, before.events_received);
  assert.deepEqual(await rig.readTable(), []);
  // Nor from a local user, by lo or the private link.
  const hex = (message as Buffer).toString('hex');
  for (const source of ['127.0.0.1', masterAddress]) {
    await topology.exec('r1', 'python3', ['-c', LOCAL_ATTACK, hex, source]);
  }
  await sleep(500);
  assert.deepEqual([await rig.readTable(), rig.told], [[], []], 'from a local user');
  const { stdout: guard } = await topology.exec('r1', 'nft', ['list', 'chain', 'inet', 'tandem', 'sync_guard']);
  assert.match(guard, /packets [1-9]/);
  // The same message on lo from root does get in, so the test can fail.
  assert.equal((await rig.inject([forged])).dropped, 0);
  assert.equal((await rig.readTable()).length, 1);
}

/** With vs.conntrack=1 what worked with 0 still works: a port used again, entries deleted in mid-session. */
async function conntrackedConnections(lab: Lab): Promise<void> {
  const { topology } = lab;
  await lab.ftpServers({ bigBytes: 100_000, rateBytesPerS: 1_000_000 });
  await startKernel(lab);
  const { stdout: on } = await topology.exec('r1', 'sysctl', ['-n', 'net.ipv4.vs.conntrack']);
  assert.equal(on.trim(), '1');
  const times: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const client = startPeer(lab, 'client');
    client.say({ connect: [VIP, 21, CLIENT_ADDRESSES[0], 34_000] });
    const { at: began } = await client.next('connecting');
    const { at } = await client.next('connected');
    await client.next('data');
    times.push(Math.round(at - began));
    client.say({ send: 'QUIT\r\n' });
    await client.next('close');
    client.end();
  }
  lab.record('samePortConnectMs', times);
  lab.say(`the same client port four times: connected after ${times.join(', ')} ms`);
  const client = startPeer(lab, 'client');
  client.say({ connect: [VIP, 21, CLIENT_ADDRESSES[1], 34_001] });
  await client.next('data');
  for (const target of ['--orig-dst', '--reply-dst']) {
    await topology.exec('r1', 'conntrack', ['-D', '-p', 'tcp', target, VIP]).catch(() => undefined);
  }
  client.say({ send: 'SYST\r\n' });
  assert.match(String((await client.next('data')).text), /^215 /);
  const { stdout: list } = await topology.exec('r1', 'conntrack', ['-L', '-p', 'tcp', '--orig-dst', VIP]);
  lab.record('pickedUp', list);
  assert.match(list, /ESTABLISHED .*sport=34001 .*src=198\.51\.100\.1\d /, 'picked up, with the server in its answers');
  const { stdout: rules } = await topology.exec('r1', 'nft', ['list', 'chain', 'inet', 'tandem', 'guard_out']);
  lab.record('guardOut', rules);
}

export const SYNC_KERNEL_SCENARIOS: readonly Scenario[] = [
  {
    title: 'sync kernel: what this kernel does is found out at start, adopted and repaired',
    run: findsOut,
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: 'sync kernel: a real FTP session is told at once by conntrack, and by the sync master',
    run: reportsSession,
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: 'sync kernel: injected entries of both families are in the kernel as they were sent, and go when told to',
    run: takesEntries,
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: 'sync kernel: 20,000 entries are injected with default buffers and none is lost',
    run: losesNone,
    // About buffers that fill while a processor works.
    time: 'real',
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: 'sync kernel: nothing that comes from a wire gets into the table or to the listener',
    run: nothingFromTheWire,
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: 'sync kernel: with conntrack on, ports are used again and sessions outlive the deletion of their entries',
    run: conntrackedConnections,
    timeoutMs: TIMEOUT_MS,
  },
];

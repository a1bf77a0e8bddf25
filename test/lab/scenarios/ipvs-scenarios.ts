// What IPVS does with a service's settings, on a real kernel: every scheduler, thresholds that come
// back after a drain, clients known by their network on both routers, and a sorry server that its
// clients leave. Io. The decisions are tested in test/director/plan.test.ts.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SCHEDULERS } from '../../../src/config/scheduler.ts';
import { openSession } from '../ftp/session.ts';
import { startService } from '../measure/failover.ts';
import {
  CLIENT_ADDRESSES,
  clientAddress,
  clientAddress6,
  type FileServer,
  GATEWAY,
  type Router,
  SERVER_ADDRESSES,
  VIP,
  VIP6,
} from '../pair/topology.ts';
import { heard, newClient } from './busy-scenarios.ts';
import { configText, type DirectorRig, ipvsadm, keyFileOf, setUp, startDirector, until } from './director-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';
import { failOver } from './session-scenarios.ts';

const SIZES = { bigBytes: 100_000, rateBytesPerS: 4_000_000 };
const SERVERS = Object.entries(SERVER_ADDRESSES) as [FileServer, string][];
const WARM_MS = 60_000;
/** IPVS keeps what has ended in order for two minutes (TIME_WAIT in ip_vs_proto_tcp.c). */
const FORGOTTEN_MS = 130_000;

/** The director's config with `change` made to its text, and a reload. */
async function reload(lab: Lab, rig: DirectorRig, servers: typeof SERVERS, change: (text: string) => string) {
  await writeFile(path.join(lab.dir, 'tandem.yaml'), change(configText(servers, keyFileOf(lab))));
  return rig.ask('director-control', 'POST', '/reload');
}

async function knowsEveryScheduler(lab: Lab): Promise<void> {
  const { rig } = await setUp(lab, SIZES);
  const inKernel = async () => /^-A -f 21 -s (\S+) .*$/m.exec(await ipvsadm(lab, ['-Sn']));
  const lacking: string[] = [];
  for (const scheduler of SCHEDULERS) {
    const options = scheduler === 'mh' ? '\n    scheduler_options: [fallback, port]' : '';
    await reload(lab, rig, SERVERS, text => text.replace('scheduler: rr', `scheduler: ${scheduler}${options}`));
    const [line, found] = (await inKernel()) ?? [];
    if (found !== scheduler) lacking.push(scheduler);
    else if (scheduler === 'mh') assert.match(line ?? '', / -b mh-fallback,mh-port/);
  }
  lab.record('lacking', lacking);
  assert.ok(lacking.length <= 1, `not taken: ${lacking}`);
  const refused = (await rig.events()).filter(({ code }) => code === 'KERNEL_REFUSED').map(({ problem }) => problem);
  for (const scheduler of lacking) {
    assert.ok(
      refused.some(problem => `${problem}`.includes(`its module ip_vs_${scheduler} is missing`)),
      `${refused}`,
    );
  }
}

async function givesThresholdsBack(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, SIZES);
  const limits = (text: string) =>
    text.replace(/(address: 198\.51\.100\.1\d) \}/g, '$1, upper_threshold: 40, lower_threshold: 30 }');
  const thresholds = async (address: string) => {
    const counts = await ipvsadm(lab, ['-Ln', '--thresholds']);
    return new RegExp(`-> ${address.replaceAll('.', '\\.')}:0 +(\\d+) +(\\d+) `).exec(counts)?.slice(1).map(Number);
  };
  await reload(lab, rig, SERVERS, limits);
  for (const [, address] of SERVERS) assert.deepEqual(await thresholds(address), [40, 30]);

  const session = await openSession(lab.topology, ftp, {
    from: CLIENT_ADDRESSES[0],
    mode: 'passive',
    scratch: lab.dir,
  });
  const name = await session.server();
  const address = SERVER_ADDRESSES[name as FileServer];
  await reload(
    lab,
    rig,
    SERVERS.filter(([server]) => server !== name),
    limits,
  );
  assert.deepEqual(await thresholds(address), [1, 0], 'while it drains');
  await session.download();
  await reload(lab, rig, SERVERS, limits);
  // Until its first verdict it stays as it is.
  await until('both thresholds are back', async () => `${await thresholds(address)}` === '40,30');
  await ipvsadm(lab, ['-R'], `-e -f 21 -r ${address}:0 -m -w 1 -x 7 -y 3\n`);
  await rig.ask('director-control', 'POST', '/audit');
  assert.deepEqual(await thresholds(address), [40, 30], 'after a change by hand');
  assert.equal(await session.server(), name);
  assert.equal(session.logins(), 1);
}

/**
 * A server of two connections at most, three clients with a template each: it is full by their
 * connections until those are forgotten, not by the templates; and who has a template comes all the
 * same. A threshold that was edited counts from the next connection on (ip_vs_bind_dest in
 * ip_vs_conn.c marks a server as full, __ip_vs_update_dest does not): the known client's.
 */
async function countsConnections(lab: Lab): Promise<void> {
  const { rig } = await setUp(lab, SIZES);
  const limit = (text: string) => text.replace(/(address: 198\.51\.100\.11) \}/, '$1, upper_threshold: 2 }');
  const one = SERVERS.slice(0, 1);
  await reload(lab, rig, one, text => text);
  const numbers = async (list: string) => {
    const line = / -> 198\.51\.100\.11:0 .*$/m.exec(await ipvsadm(lab, ['-Ln', list]))?.[0] ?? '';
    return line.trim().split(/ +/).slice(2).map(Number);
  };
  const [stranger = '', ...known] = [3, 0, 1, 2].map(clientAddress);
  for (const from of known) assert.equal(await newClient(lab, from), 'fs1');
  await reload(lab, rig, one, limit);
  assert.equal(await newClient(lab, known[0] ?? ''), 'fs1', 'a client with a template is not kept away');
  assert.match(await newClient(lab, stranger), /^curl/, 'full by connections that have ended a moment ago');
  await sleep(FORGOTTEN_MS);
  assert.deepEqual((await numbers('--thresholds')).slice(0, 4), [2, 0, 0, 0], 'no connection is left');
  assert.equal((await numbers('--persistent-conn'))[1], 3, 'but three templates are');
  assert.equal(await newClient(lab, stranger), 'fs1');
}

/**
 * Clients 0 and 1 are in one network, 2 and 3 in another one; each new client would get the next
 * server otherwise.
 */
async function sharesByNetwork(lab: Lab): Promise<void> {
  const each = 'scheduler: rr, persistence_prefix:';
  const service = await startService(lab, {
    ...{ ipv6: true, bigBytes: 100_000 },
    fields: { ftp: `${each} 30`, ftp6: `${each} 127` },
  });
  const meet = async (index: number, six: boolean) => {
    const [from, host] = six ? [clientAddress6(index), VIP6] : [clientAddress(index), VIP];
    const session = await openSession(lab.topology, service.ftp, {
      ...{ from, mode: 'passive' as const, host, scratch: lab.dir },
    });
    return { session, server: await session.server() };
  };
  const four = [await meet(0, false), await meet(1, false), await meet(2, false)] as const;
  assert.equal(four[1].server, four[0].server, 'of one network');
  assert.notEqual(four[2].server, four[0].server, 'of another one');
  const six = [await meet(0, true), await meet(2, true)] as const;
  await service.pair.untilWarm(service.standby, WARM_MS);
  // On an infinitely fast processor all that took a tenth of a second.
  await sleep(3_000);

  const table = async (router: Router) =>
    lab.record(router, (await lab.topology.exec(router, 'cat', ['/proc/self/net/ip_vs_conn'])).stdout.split('\n'));
  await table(service.active);
  await table(service.standby);
  const { taker } = await failOver(lab, service);
  lab.say(`${taker} is the owner`);
  const later = [await meet(3, false), await meet(1, true), await meet(3, true)] as const;
  assert.deepEqual(
    later.map(({ server }) => server),
    [four[2].server, six[0].server, six[1].server],
    'new clients come to the servers of their networks',
  );
  for (const { session, server } of [...four, ...six]) {
    await session.download();
    assert.equal(await session.server(), server, `the session of ${session.request.from}`);
    assert.equal(session.logins(), 1, `the session of ${session.request.from} had to log in again`);
  }
}

const SORRY = '198.51.100.99';
/** Greets with a reason and hangs up. */
const SORRY_SCRIPT = `require('node:net').createServer(socket => {
  socket.on('error', () => undefined);
  socket.end('421 We are being mended, come back in an hour.\\r\\n');
}).listen(2121, '${SORRY}');`;
/** fs3 has an FTP server on its port 21 already. */
const SORRY_PORT = `table ip sorry {
  chain to { type nat hook prerouting priority dstnat; ip daddr ${SORRY} tcp dport 21 dnat to ${SORRY}:2121; }
}
`;
const DEAD = `table ip dead {
  chain in { type filter hook input priority filter; tcp dport 21 reject with tcp reset; }
}
`;

async function sorryInAndOut(lab: Lab): Promise<void> {
  const { exec, start } = lab.topology;
  const real = SERVERS.filter(([name]) => name !== 'fs3');
  await exec('fs3', 'ip', ['address', 'add', `${SORRY}/24`, 'dev', 's0']);
  await exec('fs3', 'nft', ['-f', '-'], { input: SORRY_PORT });
  start('fs3', process.execPath, ['-e', SORRY_SCRIPT], { stdio: 'ignore' });
  await writeFile(keyFileOf(lab), `${'7f'.repeat(32)}\n`, { mode: 0o600 });
  const text = configText(real, keyFileOf(lab)).replace(
    'scheduler: rr',
    `scheduler: rr\n    sorry_server: { address: ${SORRY} }`,
  );
  await writeFile(path.join(lab.dir, 'tandem.yaml'), text);
  await lab.ftpServers(SIZES);
  const rig = await startDirector(lab, 'director');
  const weights = async () =>
    Object.fromEntries(
      [...(await ipvsadm(lab, ['-Sn'])).matchAll(/^-a -f 21 -r (\S+):0 -m -w (\d+)/gm)].map(([, a, w]) => [
        a,
        Number(w),
      ]),
    );
  const all = { [SERVER_ADDRESSES.fs1]: 1, [SERVER_ADDRESSES.fs2]: 1, [SORRY]: 0 };
  const are = (wanted: object) => async () =>
    JSON.stringify(Object.entries(await weights()).sort()) === JSON.stringify(Object.entries(wanted).sort());
  await until('two servers up, the sorry server waits', are(all));
  await heard(rig, 'KERNEL_RULES_IN');
  await exec('r1', 'ip', ['-batch', '-'], {
    input: `address add ${VIP}/32 dev c0\naddress add ${GATEWAY}/24 dev s0\n`,
  });
  assert.match(await newClient(lab, CLIENT_ADDRESSES[0]), /^fs[12]$/);

  for (const host of ['fs1', 'fs2'] as const) await exec(host, 'nft', ['-f', '-'], { input: DEAD });
  await heard(rig, 'NO_SERVER_UP');
  await until(
    'the sorry server is used',
    are({ ...all, [SERVER_ADDRESSES.fs1]: 0, [SERVER_ADDRESSES.fs2]: 0, [SORRY]: 1 }),
  );
  for (const from of CLIENT_ADDRESSES.slice(0, 2)) {
    assert.match(await newClient(lab, from), /^told 421 We are being mended/, `${from}: known to a server or not`);
  }
  const templates = async () =>
    /-> 198\.51\.100\.99:0 +\d+ +(\d+) /.exec(await ipvsadm(lab, ['-Ln', '--persistent-conn']))?.[1];
  assert.equal(await templates(), '2', 'both clients are bound to it');

  await exec('fs1', 'nft', ['delete', 'table', 'ip', 'dead']);
  await heard(rig, 'SERVERS_UP');
  await until('the sorry server is out', are({ ...all, [SERVER_ADDRESSES.fs2]: 0 }));
  for (const from of CLIENT_ADDRESSES.slice(0, 2)) {
    assert.equal(await newClient(lab, from), 'fs1', `${from} leaves it within its persistence`);
  }
}

export const ipvsScenarios: readonly Scenario[] = [
  {
    title: 'IPVS: every scheduler goes into the kernel, and one that it lacks is named with its module',
    run: knowsEveryScheduler,
    timeoutMs: 200_000,
  },
  {
    title: 'IPVS: the thresholds of a server come back after a drain and after a change by hand',
    run: givesThresholdsBack,
    timeoutMs: 200_000,
  },
  {
    title: 'IPVS: thresholds count connections, and no templates',
    run: countsConnections,
    timeoutMs: 300_000,
    topology: { clients: 4 },
  },
  {
    title: 'IPVS: clients of one network share a server, before and after a failover, in both families',
    run: sharesByNetwork,
    timeoutMs: 400_000,
    topology: { clients: 4, ipv6: true },
  },
  {
    title: 'IPVS: a sorry server gets clients while all servers are dead, and they leave it once one is up',
    run: sorryInAndOut,
    timeoutMs: 300_000,
  },
];

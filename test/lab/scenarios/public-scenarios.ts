// A pair behind a public 1:1 NAT, as many sites have it: clients come from outside and know a public
// address only, which the servers name in PASV (`announce`). Io.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TransferMode } from '../ftp/ftp-client.ts';
import { type Job, rolesNow, type Service, startService, startTransfers, untilUnderWay } from '../measure/failover.ts';
import { addPublicNat, outsideAddress, PUBLIC } from '../pair/outside.ts';
import { askStatusSocket } from '../pair/status-socket.ts';
import { FILE_SERVERS, ROUTERS, VIP } from '../pair/topology.ts';
import { until } from './director-scenarios.ts';
import { assertWhole } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';
import { failOver } from './session-scenarios.ts';

const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
const RATE_BYTES_PER_S = 500_000;
/** Past the kernel's sync latency of up to 2.75 s. */
const CUT_BYTES = 2_000_000;
const SIZES = { bigBytes: 6_000_000, rateBytesPerS: RATE_BYTES_PER_S };

/** Each mode both ways, each from an address of its own. */
const JOBS: readonly Job[] = MODES.flatMap((mode, index) => [
  { kind: 'download' as const, mode, from: outsideAddress(2 * index), host: PUBLIC },
  { kind: 'upload' as const, mode, from: outsideAddress(2 * index + 1), host: PUBLIC },
]);

/** The client's data connections: its own end and the other one. */
async function dataConnections(lab: Lab): Promise<string[]> {
  const { stdout } = await lab.topology.exec('client', 'ss', ['-Htn', 'state', 'established']);
  const ends = stdout.split('\n').map(line => line.trim().split(/\s+/).slice(-2).join(' '));
  return ends.filter(line => line.includes(':') && !line.endsWith(`${PUBLIC}:21`)).sort();
}

function assertByPublic(connections: readonly string[]): void {
  assert.equal(connections.length, JOBS.length, 'a data connection for each transfer');
  assert.ok(
    connections.every(ends => ends.includes(` ${PUBLIC}:`)),
    'with the public address',
  );
  assert.equal(connections.filter(ends => ends.endsWith(`${PUBLIC}:20`)).length, JOBS.length / 2, 'half are active');
}

/** startService waits until the nannies of both routers find every server up, as server-config's lines make it. */
async function publicSurvives(lab: Lab, forwarding: 'nat' | 'dr'): Promise<void> {
  await addPublicNat(lab.topology, { clients: JOBS.length, direct: forwarding !== 'nat' });
  const { ftp, pair } = await startService(lab, { forwarding, announce: PUBLIC, ...SIZES });
  await pair.untilWarm(rolesNow(pair).standby, 60_000);
  const transfers = startTransfers(lab, ftp, JOBS, RATE_BYTES_PER_S);
  await untilUnderWay(transfers, lab.say, CUT_BYTES);
  const before = await dataConnections(lab);
  lab.record('connections', before);
  assertByPublic(before);
  await failOver(lab, { pair });
  const bytes = transfers.map(transfer => transfer.progress().bytes);
  lab.record('bytesAtTakeover', bytes);
  await untilUnderWay(transfers, lab.say, Math.max(...bytes) + 250_000);
  assert.deepEqual(await dataConnections(lab), before, 'the new owner carries on the same connections');
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  assertWhole(results);
  const servers = new Set(results.map(({ server }) => server));
  assert.deepEqual([...servers].sort(), [...FILE_SERVERS], 'servers of all three kinds');
}

/** The operator writes `announce` into the config, and leaves the servers as they were. */
async function addAnnounce({ pair }: Pick<Service, 'pair'>): Promise<void> {
  const text = await readFile(pair.configFile, 'utf8');
  const vip = `    vip: "${VIP}"\n`;
  assert.ok(text.includes(vip));
  await writeFile(pair.configFile, text.replace(vip, `${vip}    announce: ${PUBLIC}\n`));
  for (const router of ROUTERS)
    await askStatusSocket(path.join(pair.runDir(router), 'director-control.sock'), 'POST', '/reload');
}

/** Nothing on the way rewrites 227: PASV names the VIP, and to that no way leads from outside. */
async function vipIsNoUseOutside(lab: Lab): Promise<void> {
  await addPublicNat(lab.topology, { clients: 2 });
  const service = await startService(lab, { bigBytes: 100_000 });
  const download = (mode: TransferMode, index: number) =>
    lab.transfer(service.ftp, { kind: 'download', mode, from: outsideAddress(index), host: PUBLIC, timeoutMs: 60_000 })
      .finished;
  const { error } = await download('passive', 0);
  lab.record('error', error);
  assert.ok(error?.includes(VIP), `PASV fails at the VIP: ${error}`);
  assertWhole([await download('extended-passive', 1)]);
  await addAnnounce(service);
  const sentence = `PASV announces ${VIP}, not ${PUBLIC}; set pasv_address (vsftpd), MasqueradeAddress (proftpd) or ForcePassiveIP (pure-ftpd)`;
  for (const router of ROUTERS) {
    const isSaid = async () => {
      const { services } = await service.pair.status(router);
      const servers = services.flatMap(one => one.servers);
      lab.record(
        router,
        servers.map(({ name, state, words }) => `${name} ${state}: ${words}`),
      );
      return servers.every(({ state, words }) => state === 'misconfigured' && words.includes(sentence));
    };
    await until(`${router} finds every server misconfigured`, isSaid, 90_000);
  }
}

export const PUBLIC_SCENARIOS: readonly Scenario[] = [
  ...(['nat', 'dr'] as const).map(
    (forwarding): Scenario => ({
      title: `behind a public 1:1 NAT, transfers by ${forwarding.toUpperCase()} in all four modes outlive a power cut of the active router`,
      topology: { store: true, direct: forwarding !== 'nat' },
      run: lab => publicSurvives(lab, forwarding),
      timeoutMs: 240_000,
    }),
  ),
  {
    title: 'behind a public 1:1 NAT without announce, PASV fails, and the nannies say what the servers have to name',
    topology: { store: true },
    run: vipIsNoUseOutside,
    timeoutMs: 240_000,
  },
];

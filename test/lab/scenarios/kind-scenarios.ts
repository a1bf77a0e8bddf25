// Services that are not FTP, beside one that is: SFTP and HTTPS transfers, and datagrams,
// through a failover of the pair. Io.
import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunOptions, rolesNow, type Service, startService } from '../measure/failover.ts';
import {
  clientAddress,
  clientAddress6,
  DIRECT_ADDRESSES,
  DIRECT_ADDRESSES6,
  FILE_SERVERS,
  type Router,
  SERVER_ADDRESSES,
  SERVER_ADDRESSES6,
  VIP,
  VIP6,
} from '../pair/topology.ts';
import {
  fetchBig,
  MAPPED_SSH_PORT,
  type PlainServers,
  type PlainTransfer,
  startPlainServers,
  UDP_PORT,
  whoAnswers,
} from '../plain/plain-servers.ts';
import { until } from './director-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';
import { failOver } from './session-scenarios.ts';

const RATE_BYTES_PER_S = 500_000;
const BIG_BYTES = 8_000_000;
/** Past the kernel's sync latency of up to 2.75 s. */
const CUT_BYTES = 2_000_000;
const TRANSFER_MS = 120_000;
const WARM_MS = 60_000;
const UNDER_WAY_MS = 60_000;

type Forwarding = 'nat' | 'dr' | 'tun';

interface Plain {
  readonly name: string;
  /** Default tcp. */
  readonly kind?: 'tcp' | 'udp';
  readonly family: 4 | 6;
  readonly mark: number;
  /** Further fields. */
  readonly fields: readonly string[];
}

/** Each field in two ways at least: with persistence and without, one port and several, mapped where NAT is. */
function plainServices(forwarding: Forwarding): readonly Plain[] {
  const mapped = forwarding === 'nat' ? [`server_port: ${MAPPED_SSH_PORT}`] : [];
  return [
    { name: 'sftp', family: 4, mark: 122, fields: ['ports: 22', ...mapped] },
    { name: 'sftp6', family: 6, mark: 123, fields: ['ports: 22', 'persistence: 5m'] },
    { name: 'https', family: 4, mark: 443, fields: ['ports: [443, 8443]', 'persistence: 5m'] },
    { name: 'https6', family: 6, mark: 444, fields: ['ports: [443, 8443-8444]', 'check: { port: 8443 }'] },
  ];
}

function configOf({ name, kind = 'tcp', family, mark, fields }: Plain, forwarding: Forwarding): string {
  const straight = family === 4 ? DIRECT_ADDRESSES : DIRECT_ADDRESSES6;
  const routed = family === 4 ? SERVER_ADDRESSES : SERVER_ADDRESSES6;
  const addresses = forwarding === 'dr' ? straight : routed;
  const lines = [
    `kind: ${kind}`,
    `vip: "${family === 4 ? VIP : VIP6}"`,
    forwarding === 'nat' ? 'servers_lan: servers' : `forwarding: ${forwarding}`,
    `mark: ${mark}`,
    ...fields,
    'servers:',
    ...FILE_SERVERS.map(host => `  ${host}: { address: "${addresses[host]}" }`),
  ];
  return `  ${name}:\n${lines.map(line => `    ${line}\n`).join('')}`;
}

/** Until each has so many bytes; one that ends before is told with its reason. */
export async function untilPast(lab: Lab, transfers: readonly PlainTransfer[], least: number): Promise<void> {
  const ended: string[] = [];
  for (const { what, finished } of transfers)
    void finished.then(
      whole => ended.push(`${what}: whole: ${whole}`),
      (error: Error) => ended.push(`${what}: ${error.message}`),
    );
  const limit = performance.now() + UNDER_WAY_MS;
  let seen: readonly number[] = [];
  while (performance.now() < limit) {
    seen = await Promise.all(transfers.map(({ bytes }) => bytes()));
    if (ended.length > 0) break;
    if (seen.every(bytes => bytes >= least)) return lab.say(`all past ${least} bytes`);
    await sleep(100);
  }
  assert.fail(`not past ${least} bytes: ${seen.join(', ')}; ${ended.join('; ')}`);
}

/** Lines of the kernel's table with this port of the VIP, and the port of the server in each. */
async function serverPortsOf(lab: Lab, router: Router, port: number): Promise<string[]> {
  const { stdout } = await lab.topology.exec(router, 'cat', ['/proc/self/net/ip_vs_conn']);
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return stdout
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(words => words[0] === 'TCP' && words[4] === hex)
    .map(words => words[6] ?? '');
}

interface Started extends Service {
  readonly servers: PlainServers;
}

/** The pair with these services beside FTP, warm. */
export async function startPlain(
  lab: Lab,
  forwarding: Forwarding,
  services: readonly Plain[],
  ftpOptions: RunOptions = { ipv6: true, bigBytes: BIG_BYTES },
): Promise<Started> {
  const more = services.map(one => configOf(one, forwarding)).join('');
  let servers: PlainServers | undefined;
  // They have the files of the FTP servers, and must listen before the pair is waited for.
  const ftpServers: Lab['ftpServers'] = async options => {
    const ftp = await lab.ftpServers(options);
    servers = await startPlainServers(lab.topology, ftp, path.join(lab.dir, 'plain'));
    return ftp;
  };
  const service = await startService({ ...lab, ftpServers }, { ...ftpOptions, forwarding, more });
  assert.ok(servers);
  await service.pair.untilWarm(rolesNow(service.pair).standby, WARM_MS);
  return { ...service, servers };
}

async function transfersSurvive(lab: Lab, forwarding: Forwarding): Promise<void> {
  const { pair, servers } = await startPlain(lab, forwarding, plainServices(forwarding));
  const wanted = (['sftp', 'https'] as const).flatMap(protocol =>
    ([4, 6] as const).map(family => ({ protocol, family })),
  );
  const pace = { bytesPerS: RATE_BYTES_PER_S, timeoutMs: TRANSFER_MS };
  const transfers = await Promise.all(
    wanted.map(({ protocol, family }, index) => {
      const from = family === 4 ? clientAddress(index) : clientAddress6(index);
      return fetchBig(lab.topology, servers, { protocol, family, from, ...pace });
    }),
  );
  await untilPast(lab, transfers, CUT_BYTES);
  if (forwarding === 'nat') {
    const mapped = MAPPED_SSH_PORT.toString(16).toUpperCase().padStart(4, '0');
    for (const router of ['r1', 'r2'] as const) {
      const ports = await serverPortsOf(lab, router, 22);
      lab.record(`${router} port 22`, ports);
      assert.ok(ports.includes(mapped), `${router} has the connection to the servers' own port: ${ports}`);
    }
  }
  await failOver(lab, { pair });
  lab.say('failed over');
  const wholes = await Promise.all(transfers.map(({ finished }) => finished));
  const ends = transfers.map(({ what }, index) => `${what} ${wholes[index]}`);
  lab.record('transfers', ends);
  assert.deepEqual(
    wholes,
    wholes.map(() => true),
    ends.join(', '),
  );
}

const ASKS = 4;
const OWN_PORT = 40_053;

/** A client is answered by the server that it had: by its template, or by the port that it asks from. */
async function answersSurvive(lab: Lab, forwarding: Forwarding): Promise<void> {
  const port = `ports: ${UDP_PORT}`;
  const { pair } = await startPlain(lab, forwarding, [
    { name: 'names', kind: 'udp', family: 4, mark: 153, fields: [port, 'persistence: 5m', 'scheduler: rr'] },
    { name: 'names6', kind: 'udp', family: 6, mark: 154, fields: [port, 'sync: connections', 'scheduler: rr'] },
  ]);
  const four = () => whoAnswers(lab.topology, 4, clientAddress(0), 0);
  const six = (localPort: number) => whoAnswers(lab.topology, 6, clientAddress6(0), localPort);
  const [byTemplate, byPort] = [await four(), await six(OWN_PORT)];
  lab.say(`IPv4: ${byTemplate}, IPv6 from port ${OWN_PORT}: ${byPort}`);
  // So that the rest can fail: without template and with another port, each asks another server.
  const others = new Set([await six(0), await six(0), await six(0)]);
  assert.equal(others.size, FILE_SERVERS.length, `each in turn: ${[...others]}`);
  const { standby } = rolesNow(pair);
  const isThere = async () => {
    const { stdout } = await lab.topology.exec(standby, 'cat', ['/proc/self/net/ip_vs_conn']);
    const hex = OWN_PORT.toString(16).toUpperCase();
    lab.record('standby before', stdout.split('\n'));
    return (
      stdout.split('\n').some(line => line.startsWith('UDP') && line.includes(` ${hex} `)) && / 00000099 /.test(stdout)
    );
  };
  await until('the standby has the template, and the UDP connection of the service that syncs them', isThere, 30_000);
  await failOver(lab, { pair });
  const after = { byTemplate: [] as string[], byPort: [] as string[] };
  for (let index = 0; index < ASKS; index++) {
    after.byTemplate.push(await four());
    after.byPort.push(await six(OWN_PORT));
  }
  lab.record('answers', { byTemplate, byPort, after });
  assert.deepEqual(new Set(after.byTemplate), new Set([byTemplate]), 'by the template');
  assert.deepEqual(new Set(after.byPort), new Set([byPort]), 'by the connection');
}

const FORWARDINGS: readonly Forwarding[] = ['nat', 'dr'];
/** A client of UDP has a template at this router, by the mark of its service. */
export async function hasTemplate(lab: Lab, router: Router, mark: number): Promise<boolean> {
  const { stdout } = await lab.topology.exec(router, 'cat', ['/proc/self/net/ip_vs_conn']);
  return stdout.includes(` ${mark.toString(16).toUpperCase().padStart(8, '0')} `);
}

const topologyOf = (forwarding: Forwarding) => ({ ipv6: true, clients: 6, direct: forwarding !== 'nat' });

export const KIND_SCENARIOS: readonly Scenario[] = [
  ...FORWARDINGS.map(
    (forwarding): Scenario => ({
      title: `SFTP and HTTPS transfers by ${forwarding.toUpperCase()}, IPv4 and IPv6, outlive a power cut of the active router`,
      topology: topologyOf(forwarding),
      run: lab => transfersSurvive(lab, forwarding),
      timeoutMs: 300_000,
    }),
  ),
  ...FORWARDINGS.map(
    (forwarding): Scenario => ({
      title: `UDP by ${forwarding.toUpperCase()}: after a power cut a client is answered by the server that it had`,
      topology: topologyOf(forwarding),
      run: lab => answersSurvive(lab, forwarding),
      timeoutMs: 300_000,
    }),
  ),
];

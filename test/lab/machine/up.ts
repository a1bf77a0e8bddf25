// Builds the topology with its FTP servers and leaves them running, for `test/lab/lab shell`. Io; run inside the lab.
import { startFtpServers } from '../ftp/ftp-servers.ts';
import { buildTopology, CLIENT_ADDRESSES, GATEWAY, VIP } from '../pair/topology.ts';

const topology = await buildTopology();
const ftp = await startFtpServers(topology, { dir: '/run/lab/up/ftp', bigBytes: 16_000_000, rateBytesPerS: 2_000_000 });
for (const { host, kind, address } of ftp.servers) process.stdout.write(`${host}: ${kind} on ${address}\n`);
process.stdout.write(
  `client: ${CLIENT_ADDRESSES.join(', ')}; r1 and r2: c0, s0, x0; nobody holds ${VIP} and ${GATEWAY} yet\n`,
);
process.exit(0); // the servers stay

// What the lab's servers offer besides FTP and SSH: HTTPS with one directory's files, and datagrams answered with the host's name.
// A program: file-server.js DIRECTORY NAME CERTIFICATE KEY HTTPS_PORTS UDP_PORT.
import { createSocket } from 'node:dgram';
import { createReadStream, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { networkInterfaces } from 'node:os';
import path from 'node:path';

const [directory = '', name = '', certificate = '', key = '', ports = '', udpPort = ''] = process.argv.slice(2);
const FILES: ReadonlySet<string> = new Set(['big', 'whoami']);

for (const port of ports.split(',')) {
  createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
    const file = (request.url ?? '/').slice(1);
    if (!FILES.has(file)) response.writeHead(404).end();
    else createReadStream(path.join(directory, file)).pipe(response);
  }).listen(Number(port), '::');
}

// One socket for each address, so that an answer comes from the address that was asked: with DR that is the VIP.
const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? []);
for (const { address, family } of addresses.filter(one => !one.address.startsWith('fe80:'))) {
  const socket = createSocket(family === 'IPv6' ? 'udp6' : 'udp4');
  socket.on('message', (_, { address: from, port }) => socket.send(`${name}\n`, port, from));
  socket.bind(Number(udpPort), address);
}

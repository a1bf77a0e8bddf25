// Asks by one datagram who answers, and prints it. A program: ask.js HOST PORT FROM LOCAL_PORT (0: any). Ends with 1 when nobody
// answers within five tries, a second apart.
import { createSocket } from 'node:dgram';

const [host = '', port = '', from = '', localPort = ''] = process.argv.slice(2);
const TRIES = 5;
let tries = 0;

const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
function ask(): void {
  if (tries++ === TRIES) process.exit(1);
  socket.send('who', Number(port), host);
  setTimeout(ask, 1_000);
}
socket.on('message', words => {
  process.stdout.write(words);
  process.exit(0);
});
socket.bind(Number(localPort), from, ask);

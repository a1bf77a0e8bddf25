// Connects a terminal to the shell of a lab that runs in the virtual machine: `attach.js RUN/shell.sock [NAMESPACE]`. Io.
// Ctrl-] leaves; without a terminal the input is passed on to its end, so that a script can drive it.
import { connect } from 'node:net';

const CTRL_BRACKET = 0x1d;
/** Time for the last answers when the input is not a terminal. */
const LINGER_MS = 2_000;

const [path, namespace] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('usage: attach.js RUN/shell.sock [NAMESPACE]\n');
  process.exit(64);
}
const { stdin, stdout } = process;
const socket = connect(path);

function leave(status: number): void {
  if (stdin.isTTY) stdin.setRawMode(false);
  stdout.write('\n');
  process.exit(status);
}

socket.on('connect', () => {
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdout.write('(Ctrl-] leaves)\r\n');
    socket.write(`stty rows ${stdout.rows} cols ${stdout.columns}\r`);
  }
  socket.write(namespace === undefined ? '\r' : `enter ${namespace}\r`);
  stdin.on('data', (data: Buffer) => {
    const end = stdin.isTTY ? data.indexOf(CTRL_BRACKET) : -1;
    if (end < 0) return void socket.write(data);
    // Leave the namespace's shell too, for the next one who attaches.
    if (namespace !== undefined) socket.write('\u0015exit\r');
    leave(0);
  });
  stdin.on('end', () => setTimeout(() => leave(0), LINGER_MS));
});
socket.on('data', data => stdout.write(data));
socket.on('close', () => leave(0));
socket.on('error', error => {
  process.stderr.write(`cannot reach the lab's shell at ${path}: ${error.message}\n`);
  leave(69);
});

// Connects a terminal to the shell of a lab that runs in a machine of its own: `attach.js LINE [NAMESPACE]`, LINE being QEMU's socket or User Mode
// Linux's terminal. Io.
// Ctrl-] leaves; without a terminal the input is passed on to its end, so that a script can drive it.
import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { ReadStream } from 'node:tty';

const CTRL_BRACKET = 0x1d;
/** Time for the last answers when the input is not a terminal. */
const LINGER_MS = 2_000;

const [path, namespace] = process.argv.slice(2);
if (path === undefined || path === '') {
  process.stderr.write('usage: attach.js LINE [NAMESPACE]\n');
  process.exit(64);
}
const { stdin, stdout } = process;
const socket = openLine(path);

/** Both ways to the shell. A terminal of the host hands bytes through once it is told to. */
function openLine(line: string): Duplex {
  if (!line.startsWith('/dev/')) return connect(line);
  execFileSync('stty', ['-F', line, 'raw', '-echo']);
  const descriptor = openSync(line, constants.O_RDWR | constants.O_NOCTTY);
  return new ReadStream(descriptor);
}

function leave(status: number): void {
  if (stdin.isTTY) stdin.setRawMode(false);
  stdout.write('\n');
  process.exit(status);
}

function begin(): void {
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
}

if (path.startsWith('/dev/')) begin();
else socket.on('connect', begin);
socket.on('data', data => stdout.write(data));
socket.on('close', () => leave(0));
socket.on('error', (error: NodeJS.ErrnoException) => {
  // The other end of a terminal is gone: the shell has ended, and the machine with it.
  if (error.code === 'EIO') leave(0);
  process.stderr.write(`cannot reach the lab's shell at ${path}: ${error.message}\n`);
  leave(69);
});

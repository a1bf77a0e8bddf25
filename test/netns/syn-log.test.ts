// The helper syn-log, with sanitizers, in a namespace of its own: SYNs that nftables logs come out as lines, and nothing else does.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';

const exec = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SYN_LOG = `${ROOT}dist/syn-log-asan`;
const GROUP = '8848';
/** Its port is closed: the kernel answers each SYN with a reset. */
const PORT = 9;
let serial = 0;

const RULES = `table inet t {
  chain out {
    type filter hook postrouting priority filter
    tcp dport ${PORT} log prefix "21 192.0.2.111" snaplen 128 group ${GROUP}
    tcp sport ${PORT} log prefix "21 answer" snaplen 128 group ${GROUP}
    udp dport ${PORT} log prefix "21 datagram" snaplen 128 group ${GROUP}
  }
}
`;

test.before(async () => {
  await exec(`${ROOT}scripts/build-vipd`, ['--asan']);
});

async function namespace(t: ExecutionContext): Promise<string> {
  serial += 1;
  const name = `syn${process.pid}-${serial}`;
  await exec('ip', ['netns', 'add', name]);
  t.teardown(() => exec('ip', ['netns', 'delete', name]).then(() => undefined));
  await exec('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return name;
}

interface Heard {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly words: () => string;
}

function start(t: ExecutionContext, ns: string, args: readonly string[] = [GROUP]): Heard {
  const child = spawn('nsenter', [`--net=/run/netns/${ns}`, '--', SYN_LOG, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, words] = ['', ''];
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  child.stderr.on('data', chunk => {
    words += chunk;
  });
  t.teardown(() => void child.kill('SIGKILL'));
  return { child, out: () => out, words: () => words };
}

/** A connection, or a datagram, from inside; what becomes of it does not matter. */
async function knock(ns: string, host: string, kind: 'tcp' | 'udp' = 'tcp'): Promise<void> {
  const script =
    kind === 'tcp'
      ? `require('net').connect(${PORT}, '${host}').on('error', () => {})`
      : `const s = require('dgram').createSocket('udp4'); s.send('x', ${PORT}, '${host}', () => s.close())`;
  await exec('nsenter', [`--net=/run/netns/${ns}`, '--', process.execPath, '-e', script], { timeout: 20_000 });
}

test('a SYN that is logged is a line: the prefix, client and port, VIP and port; IPv4 and IPv6', async t => {
  const ns = await namespace(t);
  await exec('nsenter', [`--net=/run/netns/${ns}`, '--', 'sh', '-c', `nft -f - <<'END'\n${RULES}END\n`]);
  const { out, words } = start(t, ns);
  // The first may come before it listens, and the line of the one before may be read after the next one's knock: an
  // address of their own keeps them apart.
  for (let tries = 0; tries < 50 && out() === ''; tries++) await knock(ns, '127.0.0.2');
  const lines = (): string[] =>
    out()
      .split('\n')
      .slice(0, -1)
      .filter(line => !line.includes('127.0.0.2'));
  await knock(ns, '127.0.0.1', 'udp');
  await knock(ns, '::1');
  await knock(ns, '127.0.0.1');
  for (let tries = 0; tries < 100 && lines().length < 2; tries++) await new Promise(resolve => setTimeout(resolve, 50));
  t.is(lines().length, 2, out());
  t.regex(lines()[0] ?? '', new RegExp(`^21 192\\.0\\.2\\.111 ::1 \\d+ ::1 ${PORT}$`));
  t.regex(lines()[1] ?? '', new RegExp(`^21 192\\.0\\.2\\.111 127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${PORT}$`));
  t.is(words(), '', 'no sanitizer has anything to say');
});

test('a second one for the same group ends and says why', async t => {
  const ns = await namespace(t);
  await exec('nsenter', [`--net=/run/netns/${ns}`, '--', 'sh', '-c', `nft -f - <<'END'\n${RULES}END\n`]);
  const first = start(t, ns);
  for (let tries = 0; tries < 50 && first.out() === ''; tries++) await knock(ns, '127.0.0.1');
  const second = start(t, ns);
  const status = await new Promise(resolve => second.child.on('close', resolve));
  t.is(status, 69);
  t.regex(second.words(), /^syn-log: the kernel does not log to group 8848: .*another program has this group/);
});

test('a group that is none is refused', async t => {
  const ns = await namespace(t);
  for (const args of [[], ['x'], ['65536'], ['1', '2']]) {
    const { child, words } = start(t, ns, args);
    t.is(await new Promise(resolve => child.on('close', resolve)), 64, args.join(' '));
    t.regex(words(), /^usage: syn-log GROUP/);
  }
});

// The rule set on the host's own kernel, with real packets and without IPVS: what the guard drops in silence and whom it must not
// hurt. A client, a router with the VIP, a real server; three namespaces, one set for each test.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { firewallOf, removal, ruleset } from '../../src/firewall/ruleset.ts';
import { configOf, FTP, FTP6, NODE } from '../director/fixture.ts';

const exec = promisify(execFile);
const PEER = fileURLToPath(new URL('./io/tcp-peer.js', import.meta.url));
const VIP = '192.0.2.100';
const CLIENT = '192.0.2.10';
const SERVER = '198.51.100.11';
const RULES = ruleset(firewallOf(configOf({ services: { ftp: FTP, ftp6: FTP6 } }), NODE));
/** Long enough for several retransmissions (200 ms, doubling), short enough for a test. */
const SILENCE_MS = 900;
let serial = 0;

interface Peer {
  say(command: object): void;
  /** The next event of this name; rejects when it does not come. */
  next(event: string, timeoutMs?: number): Promise<Readonly<Record<string, unknown>>>;
  /** Whether an event of this name comes within SILENCE_MS. */
  comes(event: string): Promise<boolean>;
  end(): Promise<void>;
}

interface Net {
  in(host: 'client' | 'router' | 'server', ...command: readonly string[]): Promise<string>;
  nft(text: string): Promise<void>;
  /** Packets that a chain of the guard has dropped. */
  dropped(chain: 'guard_in' | 'guard_out'): Promise<number>;
  peer(host: 'client' | 'router' | 'server'): Peer;
}

async function netOf(t: ExecutionContext): Promise<Net> {
  serial += 1;
  const id = `fw${process.pid}-${serial}`;
  const ns = { client: `${id}-c`, router: `${id}-r`, server: `${id}-s` };
  const peers: Peer[] = [];
  t.teardown(async () => {
    for (const peer of peers) await peer.end();
    for (const name of Object.values(ns)) await exec('ip', ['netns', 'delete', name]).catch(() => undefined);
  });
  for (const name of Object.values(ns)) await exec('ip', ['netns', 'add', name]);
  const inside = async (host: keyof typeof ns, ...command: readonly string[]) =>
    (await exec('ip', ['netns', 'exec', ns[host], ...command], { timeout: 10_000 })).stdout;
  await exec('ip', ['-n', ns.router, 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c0', 'netns', ns.client]);
  await exec('ip', ['-n', ns.router, 'link', 'add', 's0', 'type', 'veth', 'peer', 'name', 's0', 'netns', ns.server]);
  const setUp = (host: keyof typeof ns, lines: readonly string[]) =>
    pipe('ip', ['-n', ns[host], '-batch', '-'], ['link set lo up', ...lines].join('\n'));
  await setUp('client', ['link set c0 up', `address add ${CLIENT}/24 dev c0`, 'route add default via 192.0.2.2']);
  await setUp('router', [
    'link set c0 up',
    'link set s0 up',
    'address add 192.0.2.2/24 dev c0',
    `address add ${VIP}/32 dev c0`,
    'address add 198.51.100.1/24 dev s0',
  ]);
  await setUp('server', ['link set s0 up', `address add ${SERVER}/24 dev s0`, 'route add default via 198.51.100.1']);
  await inside('router', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.netfilter.nf_conntrack_tcp_be_liberal=1');
  return {
    in: inside,
    nft: text => pipe('ip', ['netns', 'exec', ns.router, 'nft', '-f', '-'], text),
    dropped: async chain => {
      const text = await inside('router', 'nft', 'list', 'chain', 'inet', 'tandem', `${chain}_ip`);
      return [...text.matchAll(/counter packets (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
    },
    peer: host => {
      const peer = startPeer(ns[host]);
      peers.push(peer);
      return peer;
    },
  };
}

function pipe(program: string, args: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { timeout: 10_000 }, (error, _stdout, stderr) =>
      error ? reject(new Error(`${program}: ${stderr}`, { cause: error })) : resolve(),
    );
    child.stdin?.end(`${input}\n`);
  });
}

function startPeer(namespace: string): Peer {
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, process.execPath, PEER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const events: Readonly<Record<string, unknown>>[] = [];
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    events.push(...lines.map(line => JSON.parse(line) as Readonly<Record<string, unknown>>));
  });
  const next = async (event: string, timeoutMs = 5_000) => {
    for (const end = performance.now() + timeoutMs; performance.now() < end; ) {
      const found = events.findIndex(candidate => candidate.event === event);
      if (found >= 0) return events.splice(found, 1)[0] as Readonly<Record<string, unknown>>;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    throw new Error(`no ${event} within ${timeoutMs} ms; seen: ${JSON.stringify(events)}`);
  };
  return {
    say: command => child.stdin?.write(`${JSON.stringify(command)}\n`),
    next,
    comes: event =>
      next(event, SILENCE_MS).then(
        () => true,
        () => false,
      ),
    end: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('nft takes the rules of both families, twice, and takes them away again', async t => {
  const net = await netOf(t);
  const list = () => net.in('router', 'nft', '-s', 'list', 'table', 'inet', 'tandem');
  await net.nft('table ip other { }');
  await net.nft(RULES);
  const first = await list();
  await net.nft(RULES);
  t.is(await list(), first);
  for (const chain of ['marks', 'active_data', 'guard_in', 'guard_out'])
    t.regex(first, new RegExp(`chain ${chain} \\{`));
  await net.nft(removal());
  await net.nft(removal());
  t.is((await net.in('router', 'nft', 'list', 'tables')).trim(), 'table ip other');
});

test('a new connection to the VIP that IPVS does not take gets no answer, neither reset nor accept', async t => {
  const net = await netOf(t);
  const refused = net.peer('client');
  refused.say({ connect: [VIP, 21, CLIENT, 0] });
  t.is((await refused.next('error')).code, 'ECONNREFUSED', 'without the guard the router refuses');
  await net.nft(RULES);
  const client = net.peer('client');
  client.say({ connect: [VIP, 21, CLIENT, 0] });
  await client.next('connecting');
  t.false(await client.comes('error'));
  t.true((await net.dropped('guard_in')) >= 1);
  // The guard is for the ports of the service alone.
  const other = net.peer('client');
  other.say({ connect: [VIP, 22, CLIENT, 0] });
  t.is((await other.next('error')).code, 'ECONNREFUSED');
});

for (const guarded of [false, true]) {
  const title = guarded
    ? 'a packet in mid-stream to the VIP whose state is not there is dropped in silence'
    : 'without the guard a packet in mid-stream to the VIP is answered with a reset (so the test above can fail)';
  test(title, async t => {
    const net = await netOf(t);
    const router = net.peer('router');
    router.say({ listen: [VIP, 15_000] });
    await router.next('listening');
    const client = net.peer('client');
    client.say({ connect: [VIP, 15_000, CLIENT, 0] });
    await client.next('connected');
    await router.next('accepted');
    // The owner dies without a word: its address is gone before its socket is.
    await net.in('router', 'ip', 'address', 'delete', `${VIP}/32`, 'dev', 'c0');
    await router.end();
    if (guarded) await net.nft(RULES);
    await net.in('router', 'conntrack', '-F');
    await net.in('router', 'ip', 'address', 'add', `${VIP}/32`, 'dev', 'c0');
    client.say({ send: 'data of an upload' });
    if (guarded) {
      t.false(await client.comes('error'));
      t.true((await net.dropped('guard_in')) >= 1);
    } else {
      // EPIPE when the reset was there before the packet was written.
      const { code } = await client.next('error');
      t.true(code === 'ECONNRESET' || code === 'EPIPE', String(code));
    }
  });
}

test("the router's own connections from the VIP, out of the passive range, get their answers", async t => {
  const net = await netOf(t);
  await net.nft(RULES);
  const client = net.peer('client');
  client.say({ listen: [CLIENT, 8080] });
  await client.next('listening');
  const router = net.peer('router');
  router.say({ connect: [CLIENT, 8080, VIP, 15_002] });
  await router.next('connected');
  await client.next('accepted');
  client.say({ send: 'answer' });
  t.is((await router.next('data')).text, 'answer');
});

test("a real server's own connections, out of the passive range, live", async t => {
  const net = await netOf(t);
  await net.nft(RULES);
  const client = net.peer('client');
  client.say({ listen: [CLIENT, 8080] });
  await client.next('listening');
  const server = net.peer('server');
  server.say({ connect: [CLIENT, 8080, SERVER, 15_001] });
  await server.next('connected');
  t.is((await client.next('accepted')).from, SERVER);
  server.say({ send: 'question' });
  t.is((await client.next('data')).text, 'question');
  client.say({ send: 'answer' });
  t.is((await server.next('data')).text, 'answer');
  t.is(await net.dropped('guard_out'), 0);
});

async function connectsInActiveMode(t: ExecutionContext, net: Net): Promise<void> {
  const client = net.peer('client');
  client.say({ listen: [CLIENT, 3000] });
  await client.next('listening');
  const server = net.peer('server');
  server.say({ connect: [CLIENT, 3000, SERVER, 20] });
  await server.next('connected');
  t.like(await client.next('accepted'), { from: VIP, port: 20 });
  client.say({ send: 'data of an upload' });
  t.is((await server.next('data')).text, 'data of an upload');
  t.is(await net.dropped('guard_out'), 0);
}

test('a connection in active mode leaves with the VIP as its source, and its answers come back', async t => {
  const net = await netOf(t);
  await net.nft(RULES);
  await connectsInActiveMode(t, net);
});

const MASQUERADE = `table ip other {
  chain nat {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "c0" masquerade
  }
}`;

/** Of chains with one priority the one that was put in last comes first. */
const ORDERS = ['before', 'after'] as const;

for (const order of ORDERS) {
  test(`a masquerade of others that is put in ${order} our rules leaves active mode the VIP`, async t => {
    const net = await netOf(t);
    for (const text of order === 'before' ? [MASQUERADE, RULES] : [RULES, MASQUERADE]) await net.nft(text);
    await connectsInActiveMode(t, net);
  });
}

test("a real server's data without state does not leave with its own address, and nobody resets it", async t => {
  const net = await netOf(t);
  await net.nft(RULES);
  const server = net.peer('server');
  server.say({ listen: [SERVER, 15_000] });
  await server.next('listening');
  const client = net.peer('client');
  // Straight to the server's own address: others may do that, and the guard must let the answers pass.
  client.say({ connect: [SERVER, 15_000, CLIENT, 0] });
  await client.next('connected');
  await server.next('accepted');
  server.say({ send: 'known' });
  t.is((await client.next('data')).text, 'known');
  // As on a router that has just taken over: the state is not there.
  await net.in('router', 'conntrack', '-F');
  server.say({ send: 'unknown' });
  t.false(await client.comes('data'));
  t.true((await net.dropped('guard_out')) >= 1);
  t.false(await server.comes('error'));
  // The state comes (here: by the client's own packet), and the transfer goes on where it stalled.
  client.say({ send: 'x' });
  t.is((await client.next('data')).text, 'unknown');
});

// With vs.conntrack=1 conntrack knows IPVS's connections. Whatever IPVS itself has lost of them must stay silent all the same.
for (const opened of ['by the client', 'by the server'] as const) {
  test(`what conntrack knows to be with the VIP (opened ${opened}) never passes untranslated, nor to the router itself`, async t => {
    const net = await netOf(t);
    const server = net.peer('server');
    server.say({ listen: [SERVER, 15_000] });
    await server.next('listening');
    const client = net.peer('client');
    client.say({ connect: [SERVER, 15_000, CLIENT, 34_000] });
    await client.next('connected');
    await server.next('accepted');
    await net.nft(RULES);
    await net.in('router', 'conntrack', '-F');
    const [there, back] = [`-s ${CLIENT} -d ${VIP} --sport 34000 --dport 15000`, `-r ${SERVER} -q ${CLIENT}`];
    const flow =
      opened === 'by the client'
        ? `${there} ${back} --reply-port-src 15000 --reply-port-dst 34000`
        : `-s ${SERVER} -d ${CLIENT} --sport 15000 --dport 34000 -r ${CLIENT} -q ${VIP} --reply-port-src 34000 --reply-port-dst 15000`;
    await net.in('router', 'conntrack', ...`-I -p tcp --state ESTABLISHED -t 100 -u SEEN_REPLY ${flow}`.split(' '));
    server.say({ send: 'from the wrong address' });
    t.false(await client.comes('data'));
    t.true((await net.dropped('guard_out')) >= 1);
    t.false(await server.comes('error'));
    const stranger = net.peer('client');
    stranger.say({ connect: [VIP, 15_000, CLIENT, 34_001] });
    await stranger.next('connecting');
    t.false(await stranger.comes('error'));
    t.true((await net.dropped('guard_in')) >= 1);
  });
}

test('marks are on initial SYNs of the control port and the passive range only', async t => {
  const net = await netOf(t);
  await net.nft(RULES);
  await net.nft(`table inet probe {
    chain c {
      type filter hook prerouting priority filter; policy accept;
      meta mark 21 tcp dport 20 counter
      meta mark 21 tcp dport 15000 tcp flags & (syn | ack) == syn counter
      meta mark 21 tcp dport 15000 tcp flags & syn == 0 counter
      meta mark 21 tcp dport { 22, 20001 } counter
    }
  }`);
  await net.nft('delete chain inet tandem guard_in\n');
  const router = net.peer('router');
  router.say({ listen: [VIP, 15_000] });
  await router.next('listening');
  const client = net.peer('client');
  client.say({ connect: [VIP, 15_000, CLIENT, 0] });
  await client.next('connected');
  client.say({ send: 'more' });
  await router.next('data');
  for (const port of [20, 22, 20_001]) {
    const other = net.peer('client');
    other.say({ connect: [VIP, port, CLIENT, 0] });
    await other.next('error');
  }
  t.deepEqual(await marked(net), [false, true, false, false]);
});

const RESTORE_MARK = `table ip other {
  chain pre {
    type filter hook prerouting priority mangle; policy accept;
    meta mark set ct mark
  }
}`;

for (const order of ORDERS) {
  test(`rules of others at mangle that are put in ${order} ours take no mark away`, async t => {
    const net = await netOf(t);
    for (const text of order === 'before' ? [RESTORE_MARK, RULES] : [RULES, RESTORE_MARK]) await net.nft(text);
    await net.nft(`table inet probe {
      chain c {
        type filter hook input priority filter; policy accept;
        meta mark 21 tcp dport 21 counter
        tcp dport 21 counter
      }
    }`);
    const client = net.peer('client');
    client.say({ connect: [VIP, 21, CLIENT, 0] });
    await client.next('connecting');
    t.false(await client.comes('connected'));
    t.deepEqual(await marked(net), [true, true]);
  });
}

/** For each rule of the probing table, whether it has seen a packet. */
async function marked(net: Net): Promise<boolean[]> {
  const text = await net.in('router', 'nft', 'list', 'table', 'inet', 'probe');
  return [...text.matchAll(/counter packets (\d+)/g)].map(match => Number(match[1]) > 0);
}

for (const adopting of [true, false]) {
  const who = adopting ? 'a standby or a new owner marks' : 'an owner that has long been it does not mark';
  test(`${who} a packet to port 20 in mid-stream that nobody knows`, async t => {
    const net = await netOf(t);
    await net.nft(ruleset(firewallOf(configOf({ services: { ftp: FTP } }), NODE, { adopting })));
    await net.nft(`table inet probe {
      chain c {
        type filter hook prerouting priority filter; policy accept;
        meta mark 21 tcp dport 20 counter
        tcp dport 20 tcp flags & (syn | ack) == ack counter
      }
    }`);
    await net.nft('delete chain inet tandem guard_in\n');
    const router = net.peer('router');
    router.say({ listen: [VIP, 20] });
    await router.next('listening');
    const client = net.peer('client');
    client.say({ connect: [VIP, 20, CLIENT, 0] });
    await client.next('connected');
    await router.next('accepted');
    client.say({ send: 'known' });
    await router.next('data');
    t.deepEqual(await marked(net), [false, true], 'what conntrack knows needs no mark');
    await net.in('router', 'conntrack', '-F');
    client.say({ send: 'unknown' });
    await router.next('data');
    t.deepEqual(await marked(net), [adopting, true]);
  });
}

// What the installed conntrack really prints, on the host's own kernel, read by the parser that the director uses. Plain NAT stands in
// for IPVS: to conntrack both look the same.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { createFlowParser, type FlowParser } from '../../src/sync/kernel/conntrack-events.ts';
import { type Entry, FLAG } from '../../src/sync/table/entry.ts';
import { beginStep } from '../runner/step.ts';
import { CONNECTION, CONNECTION6, SERVER, SERVER6, scope, TEMPLATE, TEMPLATE6 } from '../sync/samples.ts';

const exec = promisify(execFile);
const FLOWS = fileURLToPath(new URL('./io/flows.js', import.meta.url));
const RULES = `
table inet flows {
  chain ipvs {
    type nat hook output priority -100;
    ip daddr 192.0.2.100 tcp dport 21 dnat ip to 198.51.100.11
    ip6 daddr 2001:db8:1::100 tcp dport 21 dnat ip6 to 2001:db8:2::11
  }
  chain active_data {
    type nat hook postrouting priority 100;
    ip saddr 198.51.100.11 tcp sport 20 snat ip to 192.0.2.100
    ip6 saddr 2001:db8:2::11 tcp sport 20 snat ip6 to 2001:db8:1::100
  }
}`;
const CONTROL_AND_ACTIVE = [
  '203.0.113.9 40001 192.0.2.100 21 198.51.100.11',
  '198.51.100.11 20 203.0.113.9 40002 203.0.113.9',
  '2001:db8:9::9 40001 2001:db8:1::100 21 2001:db8:2::11',
  '2001:db8:2::11 20 2001:db8:9::9 40002 2001:db8:9::9',
];
const CONTROL: Entry = { ...CONNECTION, virtualPort: 21, serverPort: 21 };
const CONTROL6: Entry = { ...CONNECTION6, virtualPort: 21, serverPort: 21 };
const DATA: Entry = { ...CONNECTION, clientPort: 40_002, virtualPort: 20, serverPort: 20 };
const DATA6: Entry = { ...CONNECTION6, clientPort: 40_002, virtualPort: 20, serverPort: 20 };
const ESTABLISHED = [TEMPLATE, CONTROL, DATA, TEMPLATE6, CONTROL6, DATA6];
const ended = (data: Entry): Entry => ({ ...data, flags: FLAG.inactive, state: 4, timeoutS: 120 });

let serial = 0;

/** A namespace with the addresses of client, VIP and server on `lo`, with rules like ours. */
async function namespace(t: ExecutionContext): Promise<string> {
  serial += 1;
  const name = `ct${process.pid}-${serial}`;
  await exec('ip', ['netns', 'add', name]);
  t.teardown(() => exec('ip', ['netns', 'delete', name]).catch(() => undefined));
  await exec('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  for (const address of ['192.0.2.100', '198.51.100.11', '203.0.113.9']) {
    await exec('ip', ['-n', name, 'address', 'add', `${address}/32`, 'dev', 'lo']);
  }
  for (const address of ['2001:db8:1::100', '2001:db8:2::11', '2001:db8:9::9']) {
    await exec('ip', ['-n', name, 'address', 'add', `${address}/128`, 'dev', 'lo', 'nodad']);
  }
  const nft = spawn('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  nft.stdin?.end(RULES);
  t.is(await new Promise(resolve => nft.on('close', resolve)), 0);
  return name;
}

function inside(t: ExecutionContext, name: string, command: readonly string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', name, ...command], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.teardown(() => child.kill());
  return child;
}

interface Heard {
  readonly entries: Entry[];
  readonly parser: FlowParser;
}

function listen(t: ExecutionContext, name: string, options: string): Heard {
  const parser = createFlowParser(() => scope());
  const entries: Entry[] = [];
  const events = inside(t, name, ['conntrack', '-E', '-o', options]);
  events.stdout?.on('data', (chunk: Buffer) => entries.push(...parser.push(chunk)));
  return { entries, parser };
}

/** The tool does not say when it begins to listen: a connection to nobody is tried until one is heard of. */
async function heardOf(name: string, parser: FlowParser): Promise<void> {
  for (let i = 0; i < 50 && parser.counts().foreign === 0; i++) {
    const attempt = ['netns', 'exec', name, 'bash', '-c', 'exec 3<>/dev/tcp/192.0.2.100/80'];
    await exec('ip', attempt).catch(() => undefined);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

async function until(condition: () => boolean): Promise<boolean> {
  beginStep('waits for conntrack');
  for (let i = 0; i < 2_000 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 10));
  return condition();
}

const has = (entries: readonly Entry[], wanted: readonly Entry[]) =>
  wanted.every(each => entries.some(entry => isDeepStrictEqual(entry, each)));

for (const options of ['id', 'id,extended', 'timestamp']) {
  test(`real events become templates, connections and their end, at once (-o ${options})`, async t => {
    const name = await namespace(t);
    const { entries, parser } = listen(t, name, options);
    await heardOf(name, parser);
    const flows = inside(t, name, [process.execPath, FLOWS, ...CONTROL_AND_ACTIVE]);
    await new Promise(resolve => flows.stdout?.once('data', resolve));
    t.true(await until(() => has(entries, ESTABLISHED)), 'while they live, without any other event');
    flows.stdin?.write('close\n');
    const gone = [ended(DATA), ended(DATA6)];
    t.true(await until(() => has(entries, gone)), JSON.stringify(entries));
    t.is(parser.counts().unknown, 0);
    t.deepEqual(new Set(entries.map(({ server }) => server)), new Set([SERVER, SERVER6]));
  });
}

test('the list of what conntrack knows reads the same', async t => {
  const name = await namespace(t);
  const flows = inside(t, name, [process.execPath, FLOWS, ...CONTROL_AND_ACTIVE]);
  await new Promise(resolve => flows.stdout?.once('data', resolve));
  const parser = createFlowParser(() => scope());
  const entries: Entry[] = [];
  for (const family of ['ipv4', 'ipv6']) {
    const command = ['netns', 'exec', name, 'conntrack', '-L', '-f', family, '-o', 'id'];
    entries.push(...parser.push(Buffer.from((await exec('ip', command)).stdout)));
  }
  t.true(has(entries, ESTABLISHED));
  t.is(parser.counts().unknown, 0);
});

test('entries that a program deletes are not taken for connections that ended', async t => {
  const name = await namespace(t);
  const { entries, parser } = listen(t, name, 'id');
  await heardOf(name, parser);
  const flows = inside(t, name, [process.execPath, FLOWS, ...CONTROL_AND_ACTIVE]);
  await new Promise(resolve => flows.stdout?.once('data', resolve));
  t.true(await until(() => has(entries, [DATA])));
  const before = parser.counts().foreign;
  await exec('ip', ['netns', 'exec', name, 'conntrack', '-D', '-p', 'tcp', '--sport', '20']);
  t.true(await until(() => parser.counts().foreign > before), 'the event was heard');
  t.deepEqual(
    entries.filter(({ flags }) => (flags & FLAG.inactive) !== 0),
    [],
  );
});

// `tandem import` as a user runs it: where the answer goes, and how it ends.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';

const PROGRAM = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function tandem(...args: string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, [PROGRAM, ...args], { timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
    });
  });
}

/** Files in a directory that goes away with the test; their paths. */
function files(t: ExecutionContext, texts: Readonly<Record<string, string>>): (name: string) => string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-import-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, name), text);
  return name => join(directory, name);
}

const KEEPALIVED = `vrrp_instance one {
  interface eth0
  nopreempt
  include addresses-*.conf
}
`;
const ADDRESSES = 'virtual_ipaddress { 192.0.2.100 }\n';
const host = (last: number) =>
  JSON.stringify([
    { ifname: 'lo', link_type: 'loopback', addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
    { ifname: 'eth0', link_type: 'ether', addr_info: [{ local: `192.0.2.${last}`, prefixlen: 24 }] },
  ]);

test.serial('a file without loss ends with 0, and what it prints passes tandem check', async t => {
  const at = files(t, { 'k.conf': KEEPALIVED, 'addresses-1.conf': ADDRESSES, a: host(2), b: host(3) });
  const hosts = ['--addresses', at('a'), '--peer-addresses', at('b'), '--node', 'r1', '--peer', 'r2'];
  const { code, out, err } = await tandem('import', 'keepalived.conf', at('k.conf'), ...hosts);
  t.is(code, 0, out + err);
  t.is(err, 'tandem: 0 lost, 0 changed, 0 unneeded; see the comments\n');
  writeFileSync(at('new.yaml'), out);
  t.is((await tandem('check', at('new.yaml'))).code, 0);
});

test.serial('loss ends with 6; --json has every note with its place, and what is to be filled in', async t => {
  const at = files(t, { 'k.conf': `${KEEPALIVED}vrrp_script x { script "/bin/x hunter2x" }\n`, a: host(2) });
  const { code, out } = await tandem('import', 'keepalived.conf', at('k.conf'), '--json', '--addresses', at('a'));
  t.is(code, 6);
  const answer = JSON.parse(out);
  t.like(answer, { kind: 'keepalived.conf', whole: false, lost: 2, changed: 0 });
  t.like(answer.notes[0], { effect: 'lost', file: at('k.conf'), line: 4 });
  t.like(answer.notes[1], { effect: 'unneeded', file: at('k.conf'), line: 6 });
  t.true(answer.placeholders.length > 0);
  t.notRegex(out, /hunter2x/);
});

test.serial('a file that is not there, a kind that is none and addresses that are none are told apart', async t => {
  const at = files(t, { a: '{}' });
  const gone = await tandem('import', 'lvs.cf', at('gone'));
  t.is(gone.code, 1);
  t.regex(gone.err, /gone cannot be read/);
  t.is((await tandem('import', 'haproxy.cfg', at('a'))).code, 2);
  const addresses = await tandem('import', 'lvs.cf', at('a'), '--addresses', at('a'));
  t.is(addresses.code, 1);
  t.regex(addresses.err, /is not what `ip -json addr` prints/);
});

test.serial('names that no router can have, or that both would have, are refused before anything is read', async t => {
  const at = files(t, { a: '' });
  const refused = async (...names: string[]) => {
    const { code, out, err } = await tandem('import', 'lvs.cf', at('a'), ...names);
    t.is(code, 2, err);
    t.is(out, '');
    return err;
  };
  t.regex(await refused('--node', 'router_a'), /--node: "router_a" is no name of a router/);
  t.regex(await refused('--peer', ''), /--peer: "" is no name of a router/);
  t.regex(await refused('--node', 'A.example.com', '--peer', 'a'), /--peer: "a" is that of --node/);
  t.regex(await refused('--peer', hostname()), /--peer: .* is this machine's name, which stands for --node/);
});

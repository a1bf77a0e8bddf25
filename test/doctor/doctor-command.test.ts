// `tandem doctor` as a user runs it on a host without daemons: it says what it sees, and what it does not.
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { asAnotherUser, theirs } from '../another-user.ts';

const PROGRAM = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(file: string, args: readonly string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(file, [...args], { timeout: 60_000 }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

const CONFIG = `pair: p
routers: { r1: { priority: 110 }, r2: { priority: 100 } }
lans:
  client:
    interface: nosuch0
    addresses: { r1: 192.0.2.231/24, r2: 192.0.2.232/24 }
    vips: [192.0.2.233]
  cross: { interface: lo, addresses: { r1: 203.0.113.1/24, r2: 203.0.113.2/24 } }
heartbeat: { links: [client, cross], key_file: KEY }
`;

function place(t: ExecutionContext, config: string): { readonly where: string[]; readonly key: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-doctor-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  const key = join(directory, 'pair.key');
  writeFileSync(key, `${'ab'.repeat(32)}\n`);
  chmodSync(key, 0o644);
  const file = join(directory, 'tandem.yaml');
  writeFileSync(file, config.replace('KEY', key), { mode: 0o644 });
  return { where: ['--config', file, '--node', 'r1', '--run-dir', directory], key };
}

test.serial('problems come first, each with its command below it, and the code says how bad it is', async t => {
  const { where, key } = place(t, CONFIG);
  const { code, out } = await run(process.execPath, [PROGRAM, 'doctor', ...where]);
  t.is(code, 5, out);
  t.true(
    out.includes(`its mode is 0644, so that others than its owner may use it\n          chmod 0600 ${key}\n`),
    out,
  );
  t.regex(out, /^PROBLEM {3}LAN client: this host has no interface nosuch0$/m);
  t.regex(out, /^ {10}ip address add 203\.0\.113\.1\/24 dev lo$/m);
  t.regex(out, /^ {10}systemctl start tandem-pulse$/m);
  t.true(out.lastIndexOf('PROBLEM') < out.indexOf('\nok '), out);
  t.regex(out, /\nr1: \d+ problems, \d+ warnings?, \d+ notices?\n$/);
  t.false(out.includes('\u001b'), 'no colour outside a screen');
});

test.serial('as JSON: a schema, counts, and findings with ids', async t => {
  const { where } = place(t, CONFIG);
  const { out } = await run(process.execPath, [PROGRAM, 'doctor', '--json', ...where]);
  const said = JSON.parse(out) as Record<string, unknown> & { findings: Record<string, unknown>[] };
  t.is(said.schema, 'tandem-doctor/1');
  t.is(said.node, 'r1');
  t.is(said.problem, said.findings.filter(({ severity }) => severity === 'problem').length);
  for (const one of said.findings) t.deepEqual(Object.keys(one), ['id', 'severity', 'sentence', 'fix']);
});

test.serial('another user than root learns what he cannot see, and how he would', async t => {
  const { where } = place(t, CONFIG);
  const command = asAnotherUser([theirs('dist/program/tandem.js'), 'doctor', ...where]);
  const { out } = await run(command.file, command.args);
  t.regex(out, /^not seen {2}could not look at the rules of other firewalls: .*\n {10}sudo tandem doctor$/m);
  t.regex(out, /LAN client: this host has no interface nosuch0/);
});

test.serial('a config that cannot be used, or is not there, is the finding', async t => {
  const { where } = place(t, `${CONFIG}nonsense: 1\n`);
  const { code, out } = await run(process.execPath, [PROGRAM, 'doctor', ...where]);
  t.is(code, 5);
  t.regex(out, /^PROBLEM .*tandem\.yaml:10:1: nonsense: .*\n {10}tandem check /m);
  t.notRegex(out, /key is root's alone/, 'nobody knows which key');
});

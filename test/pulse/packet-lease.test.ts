// The packet lease of pulse with an nft and a vipd that do as the test says: what is put in, what
// is tried, and that whatever fails ends with no table, an event, and pulse going on.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CommandError, type Run } from '../../src/command/io/run-command.ts';
import { readPacketLeaseRecord } from '../../src/firewall/io/packet-lease-record.ts';
import { openPacketLease } from '../../src/pulse/io/packet-lease.ts';
import type { Address } from '../../src/units/address.ts';
import { EPOCH_NONE } from '../../src/units/epoch.ts';

interface Rig {
  readonly runDir: string;
  readonly ran: string[];
  readonly events: { code: string; fields: Readonly<Record<string, unknown>> }[];
  /** What fails, by a word of the command or its input. */
  failing: RegExp | undefined;
  open(wanted?: boolean): ReturnType<typeof openPacketLease>;
}

const HELD = { type: 'held', seq: 1, epoch: EPOCH_NONE, announcedAfterUs: undefined } as const;
const RELEASED = { type: 'released', seq: 2, epoch: EPOCH_NONE } as const;

async function rigFor(t: ExecutionContext): Promise<Rig> {
  const runDir = await mkdtemp(join(tmpdir(), 'tandem-gate-'));
  t.teardown(() => rm(runDir, { recursive: true }));
  const runCommand: Run = async (program, args, options) => {
    const words = `${program} ${args.join(' ')} ${options?.input ?? ''}`;
    rig.ran.push(words);
    t.true((options?.timeoutMs ?? Infinity) <= 2_000, 'every command is bounded');
    if (rig.failing?.test(words)) throw new CommandError(program, 'missing', `${program} is not installed`);
    return { status: 0, stdout: args.includes('list') ? 'table netdev tandem_gate {\n}\n' : '', stderr: '' };
  };
  const rig: Rig = {
    runDir,
    ran: [],
    events: [],
    failing: undefined,
    open: (wanted = true) =>
      openPacketLease({
        wanted,
        addresses: [{ address: '192.0.2.100' as Address, interface: 'lo' }],
        lans: [{ interface: 'lo', own: [] }],
        leaseMs: 220,
        keepMs: 5_000,
        runDir,
        trialProgram: '/packet-lease-trial',
        log: { event: (code, fields = {}) => void rig.events.push({ code, fields }) },
        runCommand,
      }),
  };
  return rig;
}

/** Waits, 5 s at most, and then for what follows at once. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 10));
  await new Promise(resolve => setTimeout(resolve, 10));
}
const codes = (rig: Rig) => rig.events.map(({ code }) => code);

test('the trial comes first, then the rules, and the director finds what was put in', async t => {
  const rig = await rigFor(t);
  const gate = await rig.open();
  t.true(gate.installed);
  const order = [
    'tandem_gate_trial renew',
    '/packet-lease-trial 40',
    'delete table netdev tandem_gate_trial',
    'tandem_gate renew',
  ];
  const places = order.map(part => rig.ran.findLastIndex(words => words.includes(part)));
  t.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
  t.deepEqual(codes(rig), ['PACKET_LEASE_ON']);
  t.is((await readPacketLeaseRecord(rig.runDir))?.listing, 'table netdev tandem_gate {\n}\n');
});

for (const [what, failing] of [
  ['nft is missing', /^nft/],
  ['the kernel does not pass the trial', /^\/packet-lease-trial/],
  ['the rules are refused', /tandem_gate renew/],
] as const) {
  test(`${what}: no table is left, the event says why, vipd is not told to watch`, async t => {
    const rig = await rigFor(t);
    rig.failing = failing;
    const gate = await rig.open();
    t.false(gate.installed);
    t.deepEqual(codes(rig), ['PACKET_LEASE_OFF']);
    t.regex(String(rig.events[0]?.fields.reason), /is not installed/);
    t.regex(rig.ran.at(-1) ?? '', /delete table netdev tandem_gate\n/);
    t.is(await readPacketLeaseRecord(rig.runDir), undefined);
    gate.hear({ type: 'gate', lost: 'table' }, () => t.fail());
    await gate.close();
  });
}

test('not wanted: what an earlier life left is removed, and nothing is said', async t => {
  const rig = await rigFor(t);
  t.false((await rig.open(false)).installed);
  t.deepEqual(codes(rig), []);
  t.regex(rig.ran.join('\n'), /delete table netdev tandem_gate\n/);
});

test('another lease: the rules are made for it, the sets are kept, and repairs from then on have it too', async t => {
  const rig = await rigFor(t);
  const gate = await rig.open();
  const grants = () => rig.ran.findLast(words => words.includes('tandem_gate renew')) ?? '';
  t.regex(grants(), /timeout 224ms/);
  await Promise.all([gate.retime(440), gate.retime(110)]);
  t.regex(grants(), /timeout 114ms/, 'the newest one is the last');
  t.notRegex(grants(), /delete set/);
  gate.hear({ type: 'gate', lost: 'table' }, () => undefined);
  await until(() => codes(rig).includes('PACKET_LEASE_REPAIRED'));
  t.regex(grants(), /timeout 114ms/);
  t.deepEqual(codes(rig), ['PACKET_LEASE_ON', 'PACKET_LEASE_REPAIRED'], 'of a change of times nothing is told here');
  rig.failing = /tandem_gate renew/;
  await gate.retime(300);
  t.false(gate.inForce, 'rules that stay the old ones would outlive the lease: better none');
  rig.failing = undefined;
  await gate.close();
});

test('lost rules are put in again and vipd is told to renew; a repair that fails leaves no table, the next one that works says so', async t => {
  const rig = await rigFor(t);
  const gate = await rig.open();
  const told: string[] = [];
  const lose = (lost: string) => gate.hear({ type: 'gate', lost }, line => void told.push(line));
  const removals = () => rig.ran.filter(words => /delete table netdev tandem_gate\n$/.test(words)).length;
  lose('table');
  await until(() => codes(rig).length === 2);
  t.deepEqual(told, ['gate']);
  rig.failing = /^\/packet-lease-trial/;
  lose('shut');
  await until(() => codes(rig).length === 3);
  t.is(removals(), 1);
  lose('lo');
  await until(() => removals() === 2);
  rig.failing = undefined;
  lose('table');
  await until(() => codes(rig).length === 4);
  t.deepEqual(codes(rig), ['PACKET_LEASE_ON', 'PACKET_LEASE_REPAIRED', 'PACKET_LEASE_OFF', 'PACKET_LEASE_ON']);
});

test('rules lost again while they are put in are put in once more', async t => {
  const rig = await rigFor(t);
  const gate = await rig.open();
  const repairs = () => codes(rig).filter(code => code === 'PACKET_LEASE_REPAIRED').length;
  for (const lost of ['table', 'table', 'table']) gate.hear({ type: 'gate', lost }, () => undefined);
  await until(() => repairs() === 2);
  t.is(repairs(), 2, 'all that was told during the first one is one more');
  await gate.close();
});

test('at the end the table goes, unless addresses stay in the kernel', async t => {
  const rig = await rigFor(t);
  const holding = await rig.open();
  holding.hear(HELD, () => undefined);
  const before = rig.ran.length;
  await holding.close();
  t.is(rig.ran.length, before);
  const released = await rig.open();
  released.hear(HELD, () => undefined);
  released.hear(RELEASED, () => undefined);
  await released.close();
  t.regex(rig.ran.at(-1) ?? '', /delete table netdev tandem_gate\n/);
});

// The director's look at the packet lease, with an nft that lists what the test says.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Run } from '../../src/command/io/run-command.ts';
import { createPacketLeaseAudit, type PacketLeaseStanding } from '../../src/director/io/packet-lease-audit.ts';
import { removePacketLeaseRecord, writePacketLeaseRecord } from '../../src/firewall/io/packet-lease-record.ts';

const GOOD = 'table netdev tandem_gate {\n\tset lease {\n\t}\n}\n';
const WITH_ELEMENT = GOOD.replace('lease {\n', 'lease {\n\t\telements = { 0x0 timeout 220ms expires 9ms }\n');

const OWNER: PacketLeaseStanding = { pulseHeard: true, owner: true };
const STANDBY: PacketLeaseStanding = { pulseHeard: true, owner: false };

interface Case {
  readonly recorded?: boolean;
  readonly standing?: PacketLeaseStanding;
  readonly rules?: string;
  /** pulse ends while nft works. */
  readonly ends?: boolean;
}

async function audited(
  t: ExecutionContext,
  listings: (string | undefined)[],
  { recorded = true, standing = OWNER, ends = false, rules = 'the rules' }: Case = {},
) {
  const runDir = await mkdtemp(join(tmpdir(), 'tandem-gate-'));
  t.teardown(() => rm(runDir, { recursive: true }));
  if (recorded) await writePacketLeaseRecord(runDir, { rules, listing: GOOD });
  const applied: string[] = [];
  const nft: Run = async (_, args, options) => {
    if (!args.includes('list')) {
      applied.push(options?.input ?? '');
      if (ends) await removePacketLeaseRecord(runDir);
      return { status: 0, stdout: '', stderr: '' };
    }
    const listing = listings.shift();
    return { status: listing === undefined ? 1 : 0, stdout: listing ?? '', stderr: '' };
  };
  return { finding: await createPacketLeaseAudit(runDir, nft)(standing), applied };
}

test('rules as pulse put them in need nothing, whatever the lease does meanwhile', async t => {
  t.deepEqual(await audited(t, [WITH_ELEMENT]), { finding: {}, applied: [] });
});

test('changed rules are put back as pulse had them', async t => {
  const { finding, applied } = await audited(t, ['table netdev tandem_gate {\n}\n', GOOD]);
  t.deepEqual(applied, ['the rules']);
  t.regex(finding.change ?? '', /put back/);
});

test('rules for an interface that has another name now are left to pulse, which follows it', async t => {
  const rules = 'chain a { type filter hook ingress device "nobody0" priority -500; }';
  t.deepEqual(await audited(t, ['changed', GOOD], { rules }), { finding: {}, applied: [] });
  const here = rules.replace('nobody0', 'lo');
  t.deepEqual((await audited(t, ['changed', GOOD], { rules: here })).applied, [here]);
});

test('rules that cannot be put back are a problem', async t => {
  const { finding } = await audited(t, ['changed', 'changed']);
  t.regex(finding.problem ?? '', /did not put them back/);
});

test('on the owner a table that is gone is left to vipd and pulse; where pulse put none in there is nothing to look at', async t => {
  t.deepEqual(await audited(t, [undefined]), { finding: {}, applied: [] });
  t.deepEqual(await audited(t, [], { recorded: false }), { finding: {}, applied: [] });
});

test('on a standby a table that is gone is put back: nobody renews there who would notice', async t => {
  const { finding, applied } = await audited(t, [undefined, GOOD], { standing: STANDBY });
  t.deepEqual(applied, ['the rules']);
  t.regex(finding.change ?? '', /put back/);
});

test('a table that somebody deleted after pulse had died stays deleted: nobody would open it', async t => {
  const standing = { pulseHeard: false, owner: false };
  t.deepEqual(await audited(t, [undefined, GOOD], { standing }), { finding: {}, applied: [] });
});

test('a table put back while pulse was ending is taken away again', async t => {
  const { finding, applied } = await audited(t, [undefined, GOOD], { standing: STANDBY, ends: true });
  t.deepEqual(finding, {});
  t.deepEqual(applied, ['the rules', 'add table netdev tandem_gate\ndelete table netdev tandem_gate\n']);
});

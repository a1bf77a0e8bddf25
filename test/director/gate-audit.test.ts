// The director's look at the packet lease, with an nft that lists what the test says.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Run } from '../../src/command/io/run.ts';
import { createGateAudit } from '../../src/director/io/gate-audit.ts';
import { writeGateRecord } from '../../src/firewall/io/gate-file.ts';

const GOOD = 'table netdev tandem_gate {\n\tset lease {\n\t}\n}\n';
const WITH_ELEMENT = GOOD.replace('lease {\n', 'lease {\n\t\telements = { 0x0 timeout 220ms expires 9ms }\n');

async function audited(t: ExecutionContext, listings: (string | undefined)[], recorded = true) {
  const runDir = await mkdtemp(join(tmpdir(), 'tandem-gate-'));
  t.teardown(() => rm(runDir, { recursive: true }));
  if (recorded) await writeGateRecord(runDir, { rules: 'the rules', listing: GOOD });
  const applied: string[] = [];
  const nft: Run = async (_, args, options) => {
    if (!args.includes('list')) {
      applied.push(options?.input ?? '');
      return { status: 0, stdout: '', stderr: '' };
    }
    const listing = listings.shift();
    return { status: listing === undefined ? 1 : 0, stdout: listing ?? '', stderr: '' };
  };
  return { finding: await createGateAudit(runDir, nft)(), applied };
}

test('rules as pulse put them in need nothing, whatever the lease does meanwhile', async t => {
  t.deepEqual(await audited(t, [WITH_ELEMENT]), { finding: {}, applied: [] });
});

test('changed rules are put back as pulse had them', async t => {
  const { finding, applied } = await audited(t, ['table netdev tandem_gate {\n}\n', GOOD]);
  t.deepEqual(applied, ['the rules']);
  t.regex(finding.change ?? '', /put back/);
});

test('rules that cannot be put back are a problem', async t => {
  const { finding } = await audited(t, ['changed', 'changed']);
  t.regex(finding.problem ?? '', /did not put them back/);
});

test('a table that is gone is left to vipd and pulse, and where pulse put none in there is nothing to look at', async t => {
  t.deepEqual(await audited(t, [undefined]), { finding: {}, applied: [] });
  t.deepEqual(await audited(t, [], false), { finding: {}, applied: [] });
});

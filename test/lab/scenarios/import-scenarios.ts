// Old configs as people have them, each loaded by the program that it was written for and imported
// for Tandem: IPVS holds the same, or the import said what differs. One machine for all. Io; the
// comparison is test/import/table-differences.ts.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../../../src/config/schema.ts';
import { NOTHING_OWNED } from '../../../src/director/owned.ts';
import { plan } from '../../../src/director/plan.ts';
import type { Directive } from '../../../src/import/directive.ts';
import { keepalivedLines } from '../../../src/import/keepalived-lines.ts';
import { readKeepalived } from '../../../src/import/keepalived-reader.ts';
import { readLdirectordCf } from '../../../src/import/ldirectord-reader.ts';
import { Notes } from '../../../src/import/note.ts';
import { formatBatch } from '../../../src/ipvs/ipvsadm.ts';
import { NOTHING_WATCHED_YET } from '../../../src/nanny/conditions.ts';
import type { Verdict } from '../../../src/nanny/verdict.ts';
import type { At } from '../../../src/units/duration.ts';
import { filled, imported } from '../../import/importing.ts';
import { type Sample, samples } from '../../import/samples.ts';
import { type Difference, differences, judged } from '../../import/table-differences.ts';
import { runOldProgram, tableOfBatch } from '../pair/old-programs.ts';
import { ROUTERS } from '../pair/topology.ts';
import type { Lab, Scenario } from './scenario.ts';

/** What the plan of a director puts into an empty kernel, every server being up. */
function batchOf(config: Config): string {
  const verdicts = Object.entries(config.services).flatMap(([service, { servers }]) =>
    Object.keys(servers).map((server): Verdict => {
      const up = { service, server, state: 'up', alive: true, kept: false } as const;
      return { ...up, last: undefined, conditions: NOTHING_WATCHED_YET, checkedAt: undefined };
    }),
  );
  const { ipvs } = plan({
    ...{ config, node: 'r1', verdicts, otherVerdicts: [], drainOf: () => undefined, now: 0 as At },
    ...{ owned: NOTHING_OWNED, applied: undefined, adopting: false },
    actual: {
      ipvs: { ok: true, value: { table: { services: [] }, timeouts: { tcpS: 900, tcpFinS: 120, udpS: 300 } } },
      ...{ ipvsSignature: '', interfaces: [], nft: { ok: true, value: undefined } },
      ...{ sysctls: new Map(), readOnlySysctls: new Set(), interfaces6: [], ftpHelper: false },
    },
  });
  return formatBatch(ipvs);
}

/** The file as the import reads it, and which of its routers it takes. */
function readOld({ kind, text }: Sample): { readonly tree: readonly Directive[]; readonly view: string } {
  const file = { file: 'old.conf', text };
  const notes = new Notes();
  if (kind !== 'keepalived.conf') return { tree: readLdirectordCf(file, notes), view: '' };
  // Of a file with lines for several routers the import takes the first.
  const [, view = ''] = /^\s*@\^?(\S+)/m.exec(text) ?? [];
  return {
    tree: readKeepalived(
      keepalivedLines(file, view, () => undefined, notes),
      notes,
    ),
    view,
  };
}

async function compare(lab: Lab, sample: Sample): Promise<string[]> {
  const made = imported(sample.kind, sample.text);
  const config = filled(made);
  const { tree, view } = readOld(sample);
  const [old, table] = [await runOldProgram(lab, 'r1', sample, view), await tableOfBatch(lab, 'r2', batchOf(config))];
  const refused = old.refused.map(
    (line): Difference => ({ what: `line ${line} made it end`, lines: [line], name: '', fields: [] }),
  );
  const found = [...refused, ...differences({ tree, theirs: old.table, ours: table, config })];
  const { told, untold } = judged(found, made.notes);
  await writeFile(
    path.join(lab.results, `${sample.name.replace('/', '-')}.json`),
    `${JSON.stringify({ theirs: old.table, ours: table, told, untold }, null, 1)}\n`,
  );
  lab.say(
    `${sample.name}: ${old.table.services.length} services, ${told.length} differences told, ${untold.length} not`,
  );
  return untold.map(({ what }) => `${sample.name}: ${what}`);
}

/** A service with a server: without one there is nothing to compare. */
function hasServices({ kind, text }: Sample): boolean {
  return kind === 'keepalived.conf' ? /^\s*virtual_server\b/m.test(text) : kind === 'ldirectord.cf';
}

async function holdsTheSame(lab: Lab): Promise<void> {
  // A server whose address the router has would be one of its own.
  for (const router of ROUTERS)
    for (const device of ['c0', 's0', 'x0']) await lab.topology.exec(router, 'ip', ['address', 'flush', 'dev', device]);
  const untold: string[] = [];
  for (const sample of samples('own').filter(hasServices)) {
    try {
      untold.push(...(await compare(lab, sample)));
    } catch (error) {
      untold.push(`${sample.name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  assert.deepEqual(untold, [], 'differences of which the import says nothing');
}

export const IMPORT_SCENARIOS: readonly Scenario[] = [
  {
    title: 'Import: IPVS holds what keepalived and ldirectord put there for the same file, or a note says what differs',
    run: holdsTheSame,
    timeoutMs: 300_000,
  },
];

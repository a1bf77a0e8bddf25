// The programs that old configs were written for, in the lab: each is started on such a file in a
// router's namespace until IPVS holds what it makes of it. Io; what is changed in the files is in
// test/import/old-programs.ts. One small script does it all: a process that node starts costs the
// lab ten times one that a shell starts.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseTable, parseThresholds } from '../../../src/ipvs/ipvsadm.ts';
import type { IpvsTable } from '../../../src/ipvs/table.ts';
import { alwaysOn, type OldLine, refusedLine, withoutChecks, withoutLine } from '../../import/old-programs.ts';
import type { Sample } from '../../import/samples.ts';
import type { Lab } from '../scenarios/scenario.ts';
import type { Router } from './topology.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const TREE = path.join(ROOT, '.lab/ldirectord');
const TIMEOUT_MS = 60_000;
/** Lines of one file that ldirectord may refuse. */
const REFUSED_MAX = 20;

export interface OldProgramRun {
  readonly table: IpvsTable;
  /** Lines that the program ended for; they were taken out for it to go on. */
  readonly refused: readonly number[];
}

/** Prints IPVS' table, and empties it. */
const SHOW = 'ipvsadm -Sn; echo ===; ipvsadm -Ln --thresholds; ipvsadm -C';

/** Starts "$@" with its output in $log, and prints the table once it stays as it is; 75: it ended before. */
const RUN = `"$@" >"$log" 2>&1 &
pid=$!
last= reads=0
while :; do
  sleep 0.5
  kill -0 $pid 2>/dev/null || exit 75
  now=$(ipvsadm -Sn)
  if [ -n "$now" ] && [ "$now" = "$last" ]; then break; fi
  last=$now reads=$((reads + 1))
  [ $reads -lt 40 ] || exit 76
done
${SHOW}
kill -$signal $pid
wait $pid
ipvsadm -C
exit 0
`;

/** `view`: which of a file's routers keepalived is. */
export async function runOldProgram(lab: Lab, router: Router, sample: Sample, view: string): Promise<OldProgramRun> {
  return sample.kind === 'keepalived.conf'
    ? runKeepalived(lab, router, sample, view)
    : runLdirectord(lab, router, sample);
}

/** Puts a batch of ipvsadm into IPVS, reads the table, and empties it. */
export async function tableOfBatch(lab: Lab, router: Router, batch: string): Promise<IpvsTable> {
  const script = `ipvsadm -R || exit 1; ${SHOW}`;
  const { stdout, stderr } = await lab.topology.exec(router, 'sh', ['-c', script], { input: batch });
  // Its exit status is that of the last line only.
  if (stderr !== '') throw new Error(`ipvsadm complains: ${stderr}`);
  return tableOf(stdout);
}

function tableOf(output: string): IpvsTable {
  const [rules = '', thresholds = ''] = output.split('===\n');
  const table = parseTable(
    rules,
    parseThresholds(thresholds).map(counts => ({ ...counts, templates: 0 })),
  );
  if (table === undefined) throw new Error(`IPVS changed while it was read: ${output}`);
  return table;
}

async function runKeepalived(lab: Lab, router: Router, sample: Sample, view: string): Promise<OldProgramRun> {
  const { dir, file, log } = await files(lab, sample, withoutChecks(sample.text));
  const pids = ['-p', 'keepalived.pid', '-r', 'vrrp.pid', '-c', 'checkers.pid'];
  const paths = pids.map((word, index) => (index % 2 === 0 ? word : path.join(dir, word)));
  // Without VRRP: its addresses and routers are not what is compared.
  const how = ['--dont-fork', '--check', '--log-console', '--log-detail', '--no-syslog'];
  const names = view === '' ? [] : ['--config-id', view];
  const table = await settled(lab, router, ['keepalived', ...how, ...names, '-f', file, ...paths], {
    log,
    signal: 'TERM',
  });
  if (table === undefined) throw new Error(`keepalived ended: ${(await readFile(log, 'utf8')).slice(-1_000)}`);
  return { table, refused: [] };
}

/** It ends at the first line that it cannot read: that line is taken out, and it starts again. */
async function runLdirectord(lab: Lab, router: Router, sample: Sample): Promise<OldProgramRun> {
  let lines: readonly OldLine[] = alwaysOn(sample.text);
  const refused: number[] = [];
  const program = path.join(TREE, 'usr/sbin/ldirectord');
  // Without PERLIO it starts itself once more.
  const perl = [`PERL5LIB=${await perlLibraries()}`, 'PERLIO=perlio'];
  for (;;) {
    const { file, log } = await files(lab, sample, lines.map(({ text }) => text).join('\n'));
    const table = await settled(lab, router, ['env', ...perl, program, '-d', file, 'start'], { log, signal: 'KILL' });
    if (table !== undefined) return { table, refused };
    const output = await readFile(log, 'utf8');
    const line = refusedLine(output, lines);
    if (line === undefined || refused.includes(line) || refused.length >= REFUSED_MAX)
      throw new Error(`ldirectord ended: ${output.slice(-1_000)}`);
    refused.push(line);
    lines = withoutLine(lines, line);
  }
}

/** As test/lab/fetch-ldirectord prints it. */
async function perlLibraries(): Promise<string> {
  const found = ['usr/share/perl5'];
  for (const machine of await readdir(path.join(TREE, 'usr/lib')))
    for (const version of await readdir(path.join(TREE, 'usr/lib', machine, 'perl5')).catch(() => []))
      found.push(path.join('usr/lib', machine, 'perl5', version));
  return found.map(name => path.join(TREE, name)).join(':');
}

async function files(lab: Lab, { name }: Sample, text: string) {
  const plain = name.replace(/[^a-z0-9.-]/gi, '-');
  const dir = path.join(lab.dir, plain);
  await mkdir(dir, { recursive: true });
  const file = path.join(dir, 'old.conf');
  await writeFile(file, text, { mode: 0o600 });
  return { dir, file, log: path.join(lab.results, `${plain}.log`) };
}

/** What the program puts into IPVS; undefined: it ended. `signal`: what ends it. */
async function settled(
  lab: Lab,
  router: Router,
  command: readonly string[],
  { log, signal }: { readonly log: string; readonly signal: 'TERM' | 'KILL' },
): Promise<IpvsTable | undefined> {
  const script = `log=$0 signal=$1; shift\n${RUN}`;
  try {
    const args = ['-c', script, log, signal, ...command];
    return tableOf((await lab.topology.exec(router, 'sh', args, { timeoutMs: TIMEOUT_MS })).stdout);
  } catch (error) {
    if (error instanceof Error && error.message.includes('ended with 75')) return undefined;
    throw error;
  }
}

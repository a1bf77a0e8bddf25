// Reads the kernel's own lists of connections. Not pure. /proc/net/ip_vs_conn gives a page at each
// read and begins anew to count its way to the place: quadratic (50,000 entries: 10 s under
// emulation), so each read is short and the loop runs between them.
import { open } from 'node:fs/promises';
import type { Run } from '../../../command/io/run-command.ts';
import type { Entry } from '../../table/entry.ts';
import { activeQuestions, type Scope } from '../../table/scope.ts';
import { createFlowParser } from '../conntrack-events.ts';
import { createTableParser, type TableCounts } from '../proc-table.ts';

export const TABLE_FILE = '/proc/self/net/ip_vs_conn';
/** The kernel fills at most a page or two of it. */
const READ_BYTES = 65_536;
/** No router has more; a file without an end would otherwise be read for ever. */
const ENTRIES_MAX = 4_000_000;
const LIST_BYTES_MAX = 256 * 1024 * 1024;
const LIST_MS_MAX = 60_000;

interface ConnectionTable extends TableCounts {
  readonly list: readonly Entry[];
}

/**
 * The table piece by piece, as it is read; gives the counts at its end. Rejects when the kernel has
 * no IPVS, or has more entries than Tandem knows to be possible.
 */
export async function* connectionTable(scope: Scope): AsyncGenerator<readonly Entry[], TableCounts> {
  const parser = createTableParser(scope);
  const file = await open(TABLE_FILE, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) break;
      yield parser.push(buffer.subarray(0, bytesRead));
      if (parser.counts().entries > ENTRIES_MAX)
        throw new RangeError(`${TABLE_FILE} has more than ${ENTRIES_MAX} entries of ours`);
    }
  } finally {
    await file.close();
  }
  parser.end();
  return parser.counts();
}

/** The whole of it. */
export async function readConnectionTable(scope: Scope): Promise<ConnectionTable> {
  const list: Entry[] = [];
  const pieces = connectionTable(scope);
  for (;;) {
    const { value, done } = await pieces.next();
    if (done) return { list, ...value };
    for (const entry of value) list.push(entry);
  }
}

/** Data connections of active mode. Rejects when conntrack cannot be run. */
export async function readActiveData(runCommand: Run, scope: Scope): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (const question of activeQuestions(scope.services)) {
    const args = ['-L', '-p', 'tcp', ...question];
    const options = { timeoutMs: LIST_MS_MAX, outputBytesMax: LIST_BYTES_MAX };
    const { status, stdout, stderr } = await runCommand('conntrack', args, options);
    if (status !== 0) throw new Error(`conntrack -L failed with status ${status}: ${stderr.trim().slice(0, 300)}`);
    const parser = createFlowParser(() => scope);
    for (const entry of parser.push(Buffer.from(stdout, 'latin1'))) entries.push(entry);
  }
  return entries;
}

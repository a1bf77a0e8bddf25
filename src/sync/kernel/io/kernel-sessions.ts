// Who is connected by the kernel's own lists, where nothing follows it: IPVS' table, and conntrack
// for the data connections of active mode. Not pure.
import type { Run } from '../../../command/io/run-command.ts';
import type { SessionEntry } from '../../../status/sessions.ts';
import type { Scope } from '../../table/scope.ts';
import { type Describe, sessionsOfEntries } from '../../table/session-entries.ts';
import { connectionTable, readActiveData } from './connection-table.ts';

/** Rejects when the kernel has no IPVS or conntrack cannot be run, after what could be read. */
export async function* kernelSessions(
  runCommand: Run,
  scope: Scope,
  describe: Describe,
): AsyncGenerator<readonly SessionEntry[]> {
  if (scope.services.length === 0) return;
  for await (const entries of connectionTable(scope)) yield* sessionsOfEntries(entries, describe);
  yield* sessionsOfEntries(await readActiveData(runCommand, scope), describe);
}

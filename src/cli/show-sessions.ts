// `tandem sessions`: who is connected, from the director of this router. Sockets are in io/.
import { STATUS_SOCKET } from '../feed/files.ts';
import {
  type SessionEntry,
  type SessionFilter,
  type SessionHead,
  sessionLineSchema,
  sessionsPath,
} from '../status/sessions.ts';
import { sessionsReport } from '../status/sessions-report.ts';
import { type Address, parseAddress } from '../units/address.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { printable } from './format.ts';
import { jsonLines } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { renderSessions } from './render-sessions.ts';

/** What one command puts together in memory: some 400 MB. */
const ENTRIES_MAX = 500_000;

export interface SessionsArguments {
  readonly runDir: string;
  readonly client?: string;
  readonly service?: string;
  readonly server?: string;
  readonly json?: boolean;
  readonly all?: boolean;
}

/** Exit code 1: the answer is not all that there is, and says why. */
export async function sessions(terminal: Terminal, options: SessionsArguments): Promise<ExitCode> {
  const { runDir, json, all = false, service, server } = options;
  const client = options.client === undefined ? undefined : readAddress(options.client);
  const told = await ask(runDir, {
    ...(client !== undefined && { client }),
    ...(service !== undefined && { service }),
    ...(server !== undefined && { server }),
  });
  const report = sessionsReport(told, { client, all });
  const text = json ? `${JSON.stringify(report, null, 2)}\n` : renderSessions(report, { colour: terminal.colour });
  terminal.out(text);
  return report.problem === '' ? EXIT.ok : EXIT.no;
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  const problem = `--client "${printable(text, 60)}" is no address; write an IPv4 or IPv6 address`;
  throw new CliError(problem, { exitCode: EXIT.usage });
}

async function ask(runDir: string, filter: SessionFilter): Promise<Parameters<typeof sessionsReport>[0]> {
  let head: SessionHead | undefined;
  const entries: SessionEntry[] = [];
  for await (const line of jsonLines(runDir, STATUS_SOCKET, sessionsPath(filter), sessionLineSchema)) {
    if (line.type === 'head') head = line;
    if (line.type === 'entry' && entries.push(line) > ENTRIES_MAX) {
      const help = 'ask for less: --client, --service or --server';
      throw new CliError(`there are more than ${ENTRIES_MAX} connections and templates; ${help}`, {
        exitCode: EXIT.no,
      });
    }
    if (line.type === 'end' && head !== undefined) return { head, entries, problem: line.problem };
  }
  const problem = 'the answer was cut off; look at: journalctl -u tandem-director';
  throw new CliError(problem, { exitCode: EXIT.unreachable });
}

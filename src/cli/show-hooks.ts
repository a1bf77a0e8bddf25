// `tandem hooks` and `tandem hooks test`: what the hooks of this router have done, and one message
// of one of them, now.
import { z } from 'zod';
import { DIRECTOR_CONTROL_SOCKET } from '../feed/files.ts';
import type { StatusReport } from '../status/status-report.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { columns, type Paint, painter, printable, since } from './format.ts';
import { askJson, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';

export interface HooksArguments {
  readonly runDir: string;
  readonly json?: boolean;
}

/** The longest time-out of a hook, a place in the runner, and its start. */
const TEST_MS_MAX = 440_000;
const OUTCOME_LENGTH_MAX = 70;
const REASON_LENGTH_MAX = 500;

export async function showHooks(terminal: Terminal, { runDir, json }: HooksArguments): Promise<ExitCode> {
  const { hooks: all } = await statusOf(runDir);
  terminal.out(json ? `${JSON.stringify(all, null, 2)}\n` : table(all, painter(terminal.colour), terminal.now()));
  return all.some(({ failing }) => failing) ? EXIT.degraded : EXIT.ok;
}

function table(all: StatusReport['hooks'], paint: Paint, now: number): string {
  if (all.length === 0) return 'the config in use has no hooks\n';
  const rows = all.map(({ name, does, failing, waiting, tries, held, sent, lost, dropped, triedAt, outcome }) => [
    name,
    does,
    failing ? paint('bad', 'FAILING') : paint(tries > 0 ? 'warn' : 'good', tries > 0 ? 'trying again' : 'ok'),
    held > 0 ? `${waiting} + ${held} kept back` : `${waiting}`,
    `${sent}`,
    `${lost} + ${dropped}`,
    triedAt === null ? 'never' : since(triedAt, now),
    printable(outcome, OUTCOME_LENGTH_MAX),
  ]);
  const heads = ['hook', 'does', 'state', 'waiting', 'sent', 'lost + dropped', 'last try', 'outcome'];
  return `${columns(paint, heads, rows)}\n`;
}

const testedSchema = z.object({ good: z.boolean(), reason: z.string() });

export async function testHook(terminal: Terminal, name: string, given: HooksArguments): Promise<ExitCode> {
  const path = `/hook-test?${new URLSearchParams({ hook: name })}`;
  const asked = {
    runDir: given.runDir,
    socket: DIRECTOR_CONTROL_SOCKET,
    path,
    method: 'POST',
    forMs: TEST_MS_MAX,
  } as const;
  const { good, reason } = await askJson(asked, testedSchema);
  const said = printable(reason, REASON_LENGTH_MAX);
  if (given.json) terminal.out(`${JSON.stringify({ hook: name, good, reason })}\n`);
  else if (good) terminal.out(`hook ${name}: a test message got through (${said})\n`);
  else terminal.err(`hook ${name}: the test message did not get through: ${said}\n`);
  return good ? EXIT.ok : EXIT.no;
}

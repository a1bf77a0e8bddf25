// `tandem server-config`: what the real servers of a service must have.
import { loadConfig } from '../config/io/load.ts';
import { mistakeLine } from '../config/mistakes.ts';
import type { Daemon } from '../real-server/ftp-daemons.ts';
import { sectionsText } from '../real-server/section.ts';
import { serverConfig } from '../real-server/whole.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Terminal } from './io/terminal.ts';

export interface ServerConfigArguments {
  readonly for?: Daemon;
  readonly server?: string;
  readonly config: string;
  readonly json?: boolean;
}

/** Prints it for copying, or all that stands in its way on stderr: the answer is whole or empty. */
export function printServerConfig(terminal: Terminal, service: string, given: ServerConfigArguments): ExitCode {
  const { for: daemon, server, config: file } = given;
  const loaded = loadConfig(file);
  if (!loaded.ok) {
    for (const mistake of loaded.mistakes) terminal.err(`${mistakeLine(file, mistake)}\n`);
    return loaded.unreadable === 'EACCES' || loaded.unreadable === 'EPERM' ? EXIT.unreachable : EXIT.no;
  }
  const made = serverConfig(loaded.config, { service, daemon, server });
  if (!made.ok) {
    for (const problem of made.problems) terminal.err(`${file}: ${problem}\n`);
    return EXIT.no;
  }
  if (given.json) {
    const { sections } = made;
    terminal.out(`${JSON.stringify({ service, for: daemon ?? null, server: server ?? null, sections }, null, 2)}\n`);
  } else terminal.out(sectionsText(made.sections));
  return EXIT.ok;
}

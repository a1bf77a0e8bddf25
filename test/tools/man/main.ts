// Writes the man pages into a directory: tandem.8, tandem.yaml.5, tandem-events.7. Run by scripts/build.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env, exit, stderr } from 'node:process';
import { fileURLToPath } from 'node:url';
import { processTerminal } from '../../../src/cli/io/terminal.ts';
import { commands } from '../../../src/cli/main.ts';
import { EVENTS } from '../../../src/log/catalogue.ts';
import { packageVersion } from '../../../src/units/io/version.ts';
import { commandManual } from './command-man.ts';
import { configManual } from './config-man.ts';
import { eventsManual } from './events-man.ts';

/** By file name; `at` is what they are dated, ms since 1970. */
export function manualPages(root: string, at: number): Readonly<Record<string, string>> {
  const head = { version: packageVersion(), date: new Date(at).toISOString().slice(0, 10) };
  return {
    'tandem.8': commandManual(
      commands(processTerminal(), () => undefined),
      head,
    ),
    'tandem.yaml.5': configManual(readFileSync(join(root, 'conf/tandem.yaml'), 'utf8'), head),
    'tandem-events.7': eventsManual(EVENTS, head),
  };
}

function main(directory: string | undefined): number {
  const seconds = Number(env.SOURCE_DATE_EPOCH);
  if (directory === undefined || !Number.isInteger(seconds)) {
    stderr.write('usage: SOURCE_DATE_EPOCH=SECONDS node dist/test/tools/man/main.js DIRECTORY\n');
    return 64;
  }
  mkdirSync(directory, { recursive: true });
  for (const [name, page] of Object.entries(manualPages(process.cwd(), seconds * 1_000))) {
    writeFileSync(join(directory, name), page);
  }
  return 0;
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(main(argv[2]));

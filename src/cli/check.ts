// `tandem check` and `tandem keygen`: files before any daemon reads them. Answers go through the
// terminal given.
import { generateKey, KeyFileError } from '../config/io/key.ts';
import { loadConfig } from '../config/io/load.ts';
import { secretFindings } from '../config/io/secrets.ts';
import { mistakeLine } from '../config/mistakes.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Terminal } from './io/terminal.ts';

/**
 * Prints every mistake of a config file, as `file:line:column: error: what is wrong; what to write
 * instead`.
 */
export function checkFile(terminal: Terminal, file: string, options: { readonly json?: boolean }): ExitCode {
  const loaded = loadConfig(file, secretFindings);
  const mistakes = loaded.ok ? loaded.warnings : loaded.mistakes;
  const errors = mistakes.filter(mistake => mistake.severity === 'error').length;
  const warnings = mistakes.length - errors;
  if (options.json) {
    const digest = loaded.ok ? loaded.digest : null;
    terminal.out(`${JSON.stringify({ ok: loaded.ok, file, digest, errors, warnings, mistakes }, null, 2)}\n`);
  } else {
    for (const mistake of mistakes) terminal.out(`${mistakeLine(file, mistake)}\n`);
    if (loaded.ok) {
      const services = Object.keys(loaded.config.services).length;
      const routers = Object.keys(loaded.config.routers).join(' and ');
      terminal.out(
        `${file}: ok, ${routers}, ${count(services, 'service')}, ${count(warnings, 'warning')}, digest ${loaded.digest}\n`,
      );
    } else terminal.out(`${file}: ${count(errors, 'error')}, ${count(warnings, 'warning')}\n`);
  }
  if (loaded.ok) return EXIT.ok;
  return loaded.unreadable === 'EACCES' || loaded.unreadable === 'EPERM' ? EXIT.unreachable : EXIT.no;
}

/** Makes the pair's key. */
export function keygen(terminal: Terminal, file: string, options: { readonly force?: boolean }): ExitCode {
  try {
    generateKey(file, options.force === true);
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    terminal.err(`tandem: ${error.message}\n`);
    return error.code === 'unwritable' ? EXIT.unreachable : EXIT.no;
  }
  terminal.out(`wrote ${file} (mode 0600); copy it to the other router: scp -p ${file} OTHER:${file}\n`);
  return EXIT.ok;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

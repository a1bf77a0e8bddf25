// What a command loads before it runs. Not timed: a busy machine would decide. Read from the compiled files: each module that is
// imported without being asked for, and what that one imports.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const CLI = fileURLToPath(new URL('../../src/cli/', import.meta.url));
const IMPORT = /^(?:import|export)\s(?:[\w\s{},*$]+?\sfrom\s)?['"]([^'"]+)['"]/gm;

/** Packages that `files` of src/cli bring along. */
function packagesOf(...files: string[]): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      if (name.startsWith('.')) visit(join(dirname(file), name));
      else if (!name.startsWith('node:')) packages.add(name);
    }
  };
  for (const file of files) visit(join(CLI, file));
  return [...packages].sort();
}

/** A table of ranges: what writes for people needs it, and it costs next to nothing. */
const WIDTHS = 'get-east-asian-width';

test('tandem --help and --version load the reader of the command line, and no other package', t => {
  t.deepEqual(packagesOf('main.js'), ['commander', WIDTHS]);
});

test('a command that asks a daemon of its own version loads no package for the answer', t => {
  for (const command of ['status.js', 'role.js']) t.deepEqual(packagesOf(command), [WIDTHS], command);
  t.deepEqual(packagesOf('show-sessions.js'), [WIDTHS, 'ipaddr.js', 'zod']);
});

test('the look at imports sees what is there: a check of a config reads YAML', t => {
  t.true(['yaml', 'zod'].every(name => packagesOf('check.js').includes(name)));
});

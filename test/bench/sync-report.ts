// Puts the parts of scripts/bench sync or scripts/bench lab together: `sync-report.js DIRECTORY [--json FILE]`. Tables on
// stdout. Io.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { labTable } from '../lab/measure/protocols.ts';
import { otherTables, type PartResult, rejoinTable, stallTable } from './sync-tables.ts';

const [directory = '.', option, file] = process.argv.slice(2);
const names = (await readdir(directory)).filter(name => name.endsWith('.json')).sort();
const parts: PartResult[] = [];
for (const name of names) parts.push(JSON.parse(await readFile(path.join(directory, name), 'utf8')) as PartResult);
process.stdout.write(
  [...stallTable(parts), ...rejoinTable(parts), ...otherTables(parts), ...labTable(parts)].join('\n'),
);
if (option === '--json' && file !== undefined) {
  await writeFile(
    file,
    `${JSON.stringify(Object.fromEntries(parts.map(({ part, ...rest }) => [part, rest])), null, 2)}\n`,
  );
}

// The generated pages of docs/ say what the code does, and say all of it.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { SECRET_FILES } from '../../../src/config/io/secrets.ts';
import { alternatives, configJsonSchema, fieldsAt, type JsonSchema, keysAt } from '../../../src/config/json-schema.ts';
import { RULES } from '../../../src/config/rules.ts';
import { EVENTS } from '../../../src/log/catalogue.ts';
import { eventReference } from './events-page.ts';
import { outdatedPages } from './main.ts';
import { generatedPages } from './pages.ts';

test('the pages in docs/ are up to date', t => {
  t.deepEqual(outdatedPages('.'), [], 'run scripts/docs and commit what it writes');
});

test('a page that is missing counts as out of date', t => {
  t.deepEqual(outdatedPages('/nonexistent'), Object.keys(generatedPages()));
});

test('every field of the config has a description, and the reference tells each', t => {
  const page = generatedPages()['docs/reference/CONFIG.md'] ?? '';
  const fields = leaves(configJsonSchema(), '');
  t.true(fields.length > 40);
  for (const { path, node } of fields) {
    t.truthy(node.description, path);
    t.true(page.includes(`| \`${path}\` |`), path);
  }
});

test('the reference tells the bounds and defaults of the schema', t => {
  const page = generatedPages()['docs/reference/CONFIG.md'] ?? '';
  const row = (field: string) => page.split('\n').find(line => line.startsWith(`| \`${field}\` |`));
  t.is(
    row('heartbeat.dead'),
    '| `heartbeat.dead` | duration | `"300ms"` | 30ms to 30s | D: silence after which the standby takes over |',
  );
  t.regex(row('services.NAME.mark') ?? '', /\| whole number \| \*\*required\*\* \| 1 to 2147483647 \|/);
  t.regex(row('lans.NAME.vips') ?? '', /\| list of address \| `\[\]` \| 0 to 64 entries \|/);
});

test('the reference tells every rule between fields, each once, those of the witness too', t => {
  const page = generatedPages()['docs/reference/CONFIG.md'] ?? '';
  const told = [...page.matchAll(/^- (.*)$/gm)].map(([, says]) => says);
  t.deepEqual(told, [...new Set([...RULES, SECRET_FILES].map(({ says }) => says))]);
  t.is(told.length, RULES.length + 1);
  t.regex(page, /^- `witness\.lease` >= /m);
});

test('the schema is found by path, through names, lists and alternatives', t => {
  const root = configJsonSchema();
  t.is(fieldsAt(root, ['heartbeat', 'dead'])[0]?.default, '300ms');
  t.is(fieldsAt(root, ['lans', 'x', 'interface', 'a'])[0]?.title, 'interface');
  t.is(fieldsAt(root, ['heartbeat', 'links', 0])[0]?.description, 'A LAN');
  t.deepEqual(keysAt(root, ['services', 'x', 'servers', 'y']), [
    'address',
    'weight',
    'upper_threshold',
    'lower_threshold',
  ]);
  t.deepEqual(fieldsAt(root, ['no', 'such']), []);
});

test('every event is on the events page with its severity and fields', t => {
  const page = readFileSync('docs/reference/EVENTS.md', 'utf8');
  for (const [code, event] of Object.entries(EVENTS)) {
    t.true(page.includes(`\n## ${code}\n\n${event.severity}: ${event.says}\n`), code);
    for (const field of Object.keys(event.fields)) t.true(page.includes(`- \`${field}\`:`), `${code}.${field}`);
  }
});

test('the code that ends an event is in the catalogue', t => {
  for (const [code, event] of Object.entries(EVENTS)) {
    const endedBy = 'endedBy' in event ? event.endedBy : undefined;
    if (endedBy !== undefined) t.true(Object.hasOwn(EVENTS, endedBy), `${code} → ${endedBy}`);
  }
});

test('events are sorted by severity, worst first', t => {
  const entry = { says: 'S.', fields: {} };
  const page = eventReference({
    B: { ...entry, severity: 'info' },
    A: { ...entry, severity: 'info' },
    C: { ...entry, severity: 'crit' },
  });
  t.deepEqual(page.match(/(?<=^## )\w/gm), ['C', 'A', 'B']);
});

/** All fields with their paths as the reference writes them. */
function leaves(node: JsonSchema, path: string): { path: string; node: JsonSchema }[] {
  return alternatives(node).flatMap(option => {
    const entry = option.additionalProperties;
    const below = typeof entry === 'object' ? leaves(entry as JsonSchema, `${path}.NAME`) : [];
    const fields = Object.entries((option.properties ?? {}) as Record<string, JsonSchema>);
    return [
      ...below,
      ...fields.flatMap(([name, field]) => {
        const at = path === '' ? name : `${path}.${name}`;
        return [{ path: at, node: field }, ...leaves(field, at)];
      }),
    ];
  });
}

// The code's own rules, checked: imports point one way, the two daemons share one file, and files that only decide touch no clock,
// socket, disk, process or log. And the documentation's: what a page, a comment or a message names is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(ROOT, 'src');

interface SourceFile {
  /** Path below src/. */
  readonly path: string;
  readonly text: string;
  /** Imported files below src/, and modules by name. */
  readonly imports: readonly string[];
}

function sourceFiles(): SourceFile[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.ts'))
    .map(path => {
      const text = readFileSync(join(SRC, path), 'utf8');
      const specifiers = [...text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
        match => (match[1] ?? match[2]) as string,
      );
      const imports = specifiers.map(name =>
        name.startsWith('.') ? relative(SRC, normalize(join(SRC, dirname(path), name))) : name,
      );
      return { path, text, imports };
    });
}

const FILES = sourceFiles();
const folderOf = (path: string) => path.split('/')[0] as string;

/** What each folder may import, besides itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  units: [],
  log: [],
  socket: [],
  command: ['units', 'socket'],
  config: ['units', 'log'],
  'real-server': ['units', 'config', 'ipvs'],
  drain: ['units'],
  feed: ['units'],
  redis: ['units', 'config'],
  witness: ['units', 'config', 'socket', 'redis'],
  vip: ['units', 'config', 'command'],
  pulse: ['units', 'config', 'feed', 'log', 'socket', 'vip', 'witness', 'command', 'firewall'],
  schedule: ['units'],
  nanny: ['units', 'config', 'log', 'command', 'runner'],
  runner: ['units', 'config', 'log', 'socket'],
  hooks: ['units', 'config', 'feed', 'log', 'runner'],
  ipvs: ['units', 'config', 'command'],
  firewall: ['units', 'config', 'command', 'socket', 'ipvs'],
  sync: [
    'units',
    'config',
    'drain',
    'log',
    'feed',
    'nanny',
    'ipvs',
    'command',
    'socket',
    'redis',
    'schedule',
    'status',
  ],
  status: ['units', 'config', 'feed', 'log', 'socket', 'nanny'],
  director: [
    'units',
    'config',
    'drain',
    'feed',
    'log',
    'socket',
    'command',
    'nanny',
    'runner',
    'hooks',
    'ipvs',
    'firewall',
    'sync',
    'status',
    'schedule',
  ],
  import: ['units', 'config'],
  doctor: ['units', 'config', 'feed', 'command', 'firewall', 'status', 'nanny', 'director'],
  cli: [
    'units',
    'config',
    'import',
    'real-server',
    'drain',
    'feed',
    'log',
    'socket',
    'command',
    'status',
    'pulse',
    'director',
    'doctor',
    'runner',
  ],
};

test('every folder of src has its arrows', t => {
  t.deepEqual([...new Set(FILES.map(file => folderOf(file.path)))].sort(), Object.keys(ARROWS).sort());
});

test('imports point one way', t => {
  const wrong = FILES.flatMap(file =>
    file.imports
      .filter(name => name.endsWith('.ts'))
      .filter(name => folderOf(name) !== folderOf(file.path) && !ARROWS[folderOf(file.path)]?.includes(folderOf(name)))
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

/** Files that import each other in a circle, one list for each. */
function circles(files: readonly SourceFile[]): string[][] {
  const known = new Map(files.map(file => [file.path, file.imports]));
  const order = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (path: string): number => {
    order.set(path, order.size);
    let low = order.get(path) as number;
    open.push(path);
    for (const next of known.get(path) ?? []) {
      if (!known.has(next)) continue;
      if (!order.has(next)) low = Math.min(low, visit(next));
      else if (open.includes(next)) low = Math.min(low, order.get(next) as number);
    }
    if (low === order.get(path)) {
      const circle = open.splice(open.indexOf(path)).sort();
      if (circle.length > 1 || known.get(path)?.includes(path)) found.push(circle);
    }
    return low;
  };
  for (const path of known.keys()) if (!order.has(path)) visit(path);
  return found;
}

test('no file imports itself in a circle, not by types either', t => {
  t.deepEqual(circles(FILES), []);
});

test('a circle is found, also one that is made of types', t => {
  const file = (path: string, ...imports: string[]): SourceFile => ({ path, text: '', imports });
  t.deepEqual(circles([file('a', 'b'), file('b', 'c'), file('c', 'b'), file('d', 'a', 'c')]), [['b', 'c']]);
});

/** The election's floors, from the ground up: a file imports its own floor and those below it. */
const FLOORS: readonly (readonly [name: string, files: RegExp])[] = [
  ['wire and time', /^pulse\/(heartbeat|timing)\.ts$/],
  ['types', /^pulse\/election\/(machine|known)\.ts$/],
  ['copies', /^pulse\/election\/replica\.ts$/],
  ['beliefs', /^pulse\/election\/beliefs\//],
  ['moves', /^pulse\/election\/(step-context|moves)\.ts$/],
  ['voices', /^pulse\/election\/voices\//],
  ['roles', /^pulse\/election\/roles\//],
  ['step', /^pulse\/election\/(step|start)\.ts$/],
  ['around the election', /^pulse\//],
];
const floorOf = (path: string) => FLOORS.findIndex(([, files]) => files.test(path));

test('pulse: a floor knows what is below it, and from around the election only beliefs and step are seen', t => {
  const inside = (path: string) => ['moves', 'voices', 'roles'].includes(FLOORS[floorOf(path)]?.[0] ?? '');
  const wrong = FILES.filter(file => folderOf(file.path) === 'pulse').flatMap(file =>
    file.imports
      .filter(name => folderOf(name) === 'pulse')
      .filter(name => floorOf(name) > floorOf(file.path) || (floorOf(file.path) === FLOORS.length - 1 && inside(name)))
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('pulse: every floor has files, and the floor of types has nothing but types', t => {
  const floors = FLOORS.map((_, floor) => FILES.filter(({ path }) => floorOf(path) === floor));
  t.deepEqual(
    floors.map(files => files.length > 0),
    FLOORS.map(() => true),
  );
  for (const { path, text } of floors[1] ?? [])
    t.notRegex(text, /^export (?!type |interface )|^import (?!type )/m, path);
});

/**
 * The rooms of src/sync, lowest first, and what each may import of the others. `door` is what stands in
 * no room: sync.ts, its loop and its standing.
 */
const SYNC_ROOMS: Readonly<Record<string, readonly string[]>> = {
  table: [],
  kernel: ['table'],
  link: [],
  store: ['table'],
  stream: ['table', 'kernel'],
  door: ['table', 'kernel', 'link', 'store', 'stream'],
};

const syncRoomOf = (path: string) => (path.split('/').length > 2 ? (path.split('/')[1] as string) : 'door');
const isSync = (path: string) => folderOf(path) === 'sync';

test("the sync's rooms import only rooms below them", t => {
  const rooms = Object.keys(SYNC_ROOMS);
  const inside = FILES.filter(file => isSync(file.path));
  t.deepEqual([...new Set(inside.map(file => syncRoomOf(file.path)))].sort(), [...rooms].sort());
  for (const [index, room] of rooms.entries()) {
    t.deepEqual(
      SYNC_ROOMS[room]?.filter(name => !rooms.slice(0, index).includes(name)),
      [],
      room,
    );
  }
  const wrong = inside.flatMap(file =>
    file.imports
      .filter(name => isSync(name) && syncRoomOf(name) !== syncRoomOf(file.path))
      .filter(name => !SYNC_ROOMS[syncRoomOf(file.path)]?.includes(syncRoomOf(name)))
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('the sync has one door', t => {
  const wrong = FILES.filter(file => !isSync(file.path)).flatMap(file =>
    file.imports.filter(name => isSync(name) && name !== SYNC_DOOR).map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('the command line starts the daemons by their main files only', t => {
  const wrong = FILES.filter(file => folderOf(file.path) === 'cli').flatMap(file =>
    file.imports
      .filter(name => /^(pulse|director)\//.test(name) && !/^(pulse|director)\/main\.ts$/.test(name))
      // The election on a file touches no daemon.
      .filter(name => name !== 'pulse/io/state-file.ts' && name !== 'pulse/rerun.ts')
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

/** Makes the sync from its real parts. */
const SYNC_DOOR = 'sync/sync.ts';
/** The edge: files that may touch the world. log.ts is the one set-up of winston, main.ts and loop.ts run the machines. */
const isEdge = (path: string) =>
  /(^|\/)io\//.test(path) || /\/(main|loop)\.ts$/.test(path) || ['log/log.ts', SYNC_DOOR].includes(path);
const PURE_MODULES = [
  'node:crypto',
  'node:buffer',
  'zod',
  'yaml',
  'ipaddr.js',
  'fastest-levenshtein',
  'get-east-asian-width',
  'node:util',
  'node-cron',
  'node:path',
];

/** A command of the CLI is there to talk to daemons; what it shows is made by pure files. */
const isCommand = (path: string) =>
  /^cli\//.test(path) &&
  !/^cli\/(render|render-sync|render-sessions|render-why|role-changes|picture|text-width|format|socket-errors|exit|router-name)\.ts$/.test(
    path,
  );

test('files outside io/, main.ts and loop.ts import nothing that touches the world', t => {
  const wrong = FILES.filter(file => !isEdge(file.path) && !isCommand(file.path)).flatMap(file =>
    file.imports
      .filter(name =>
        name.endsWith('.ts')
          ? (/(^|\/)io\//.test(name) || name === SYNC_DOOR) && !onlyTypes(file, name)
          : !PURE_MODULES.includes(name),
      )
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

/** `import type` is erased: it makes no dependency at run time. */
function onlyTypes(file: SourceFile, name: string): boolean {
  const base = name.split('/').at(-1) as string;
  const statements = file.text.split('\n').filter(line => line.includes(`/${base}'`));
  return statements.length > 0 && statements.every(line => line.trimStart().startsWith('import type'));
}

test('files outside io/, main.ts and loop.ts read no clock, no randomness, no environment', t => {
  const forbidden =
    /\b(Date\.now|new Date\(\)|performance\.now|process\.(env|hrtime|std|pid|on)|Math\.random|randomBytes|setTimeout|setInterval|setImmediate|console\.)/;
  const wrong = FILES.filter(file => !isEdge(file.path)).flatMap(file =>
    file.text
      .split('\n')
      .map((line, i) => ({ line, at: `${file.path}:${i + 1}` }))
      .filter(({ line }) => forbidden.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line))
      .map(({ at, line }) => `${at} ${line.trim()}`),
  );
  t.deepEqual(wrong, []);
});

test('there is one clock for intervals, units/io/clocks.ts', t => {
  // log stands on nothing, and systemd wants whole microseconds.
  const mayRead = (path: string) =>
    folderOf(path) === 'log' || ['units/io/clocks.ts', 'director/io/notify.ts'].includes(path);
  t.deepEqual(
    FILES.filter(({ path, text }) => !mayRead(path) && /performance\.now|process\.hrtime/.test(text)).map(f => f.path),
    [],
  );
});

test('pulse never waits: its loop awaits nothing', t => {
  const loop = FILES.find(file => file.path === 'pulse/loop.ts');
  t.truthy(loop);
  t.notRegex(loop?.text ?? '', /\bawait\b|Sync\(/);
});

test('every time that the election goes by is on one page, src/pulse/timing.ts', t => {
  // A constant that is a time or a number of H, D or W, and a number times a time.
  const derived =
    /\bconst \w+_(MS|DEADS|INTERVALS|LEASES)(_MIN|_MAX)?\b|\b[\d.]+ \* (\w+\()?[\w.]*(Ms|interval|lease|dead)\b|(Ms|interval|lease|dead)\)? [*/] [\d.]/;
  const elsewhere = (path: string) => /^pulse\/(timing|loop|main|rehearsal)\.ts$/.test(path) || /\/io\//.test(path);
  const wrong = FILES.filter(({ path }) => folderOf(path) === 'pulse' && !elsewhere(path)).flatMap(({ path, text }) =>
    text
      .split('\n')
      .filter(line => derived.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line))
      .map(line => `${path}: ${line.trim()}`),
  );
  t.deepEqual(wrong, []);
});

test('every source file opens with a comment that says what it is', t => {
  t.deepEqual(
    FILES.filter(file => !/^(#!.*\n)?\/\//.test(file.text)).map(file => file.path),
    [],
  );
});

test('comments are at most 100 columns wide', t => {
  const wide = FILES.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, i) => ({ line, at: `${path}:${i + 1}` }))
      .filter(({ line }) => line.length > 100 && /^\s*(\/\/|\*|\/\*)/.test(line))
      .map(({ at }) => at),
  );
  t.deepEqual(wide, []);
});

/** Functions and methods with more than `max` lines between their braces, as Biome formats them: "line: how many". */
function longFunctions(text: string, max: number): string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, at) => {
    const opens =
      /^(\s*)(?!\s|\/\/|\*|\/\*)(?!(if|for|while|switch|catch|else|do|try)\b|\}).*(\) \{|\): .* \{|=> \{)$/.exec(line);
    // The parameters may stand on lines of their own, of which the last opens the body.
    const isOpened = opens ?? /^(\s*)\)(: .*)? (=> )?\{$/.exec(line);
    if (!isOpened) return [];
    const end = lines.findIndex((other, index) => index > at && other.startsWith(`${isOpened[1]}}`));
    return end - at - 1 > max ? [`${at + 1}: ${end - at - 1} lines`] : [];
  });
}

test('no function is longer than 70 lines', t => {
  t.deepEqual(
    FILES.flatMap(({ path, text }) => longFunctions(text, 70).map(where => `${path}:${where}`)),
    [],
  );
});

test('a function that is too long is found', t => {
  const body = '  a();\n  if (b) {\n    c();\n  }\n';
  t.deepEqual(longFunctions(`function f(a: X): Y {\n${body}}\n`, 3), ['1: 4 lines']);
  t.deepEqual(longFunctions(`function f(\n  a: X,\n): Y {\n${body}}\nconst g = () => {\n${body}};\n`, 3), [
    '3: 4 lines',
    '9: 4 lines',
  ]);
  t.deepEqual(longFunctions(`function f() {\n${body}}\n`, 4), []);
});

/** What a file exports, by name; a type and a value of one name are one thing. */
function exportsOf({ text }: Pick<SourceFile, 'text'>): string[] {
  const names = text.matchAll(/^export (?:async )?(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm);
  return [...new Set([...names].map(match => match[1] as string))];
}

/** What stands in more than one place: "name: place, place". */
function repeated(named: readonly (readonly [name: string, place: string])[]): string[] {
  const places = new Map<string, string[]>();
  for (const [name, place] of named) places.set(name, [...(places.get(name) ?? []), place]);
  return [...places].filter(([, at]) => at.length > 1).map(([name, at]) => `${name}: ${at.join(', ')}`);
}

test('one name for one thing: no exported name is there twice', t => {
  t.deepEqual(repeated(FILES.flatMap(file => exportsOf(file).map(name => [name, file.path] as const))), []);
});

test('one name for one thing: no file name is there twice, but for main.ts, loop.ts and x.ts beside io/x.ts', t => {
  // A file and the one in the io/ beside it are one thing, its decisions and its hands.
  const things = new Set(FILES.map(({ path }) => path.replace(/\/io\/(?=[^/]+$)/, '/')));
  const named = [...things].map(path => [path.split('/').at(-1) as string, path] as const);
  t.deepEqual(repeated(named.filter(([name]) => name !== 'main.ts' && name !== 'loop.ts')), []);
});

test('what has one name twice is found', t => {
  t.deepEqual(exportsOf({ text: 'export const a = 1;\nexport type a = 1;\nexport async function b() {}\n' }), [
    'a',
    'b',
  ]);
  t.deepEqual(
    repeated([
      ['a', 'x.ts'],
      ['b', 'x.ts'],
      ['a', 'y.ts'],
    ]),
    ['a: x.ts, y.ts'],
  );
});

test('no export is dead: something else in src, test or scripts names it', t => {
  const texts = textFiles().filter(({ path }) => /^(src|test|scripts)\//.test(path));
  const words = texts.map(({ path, text }) => ({ path, words: new Set(text.match(/\w+/g)) }));
  const isNamed = (name: string, at: string) => words.some(file => file.path !== `src/${at}` && file.words.has(name));
  t.deepEqual(
    FILES.flatMap(file =>
      exportsOf(file)
        .filter(name => !isNamed(name, file.path))
        .map(name => `${file.path}: ${name}`),
    ),
    [],
  );
});

test('no file is named for nothing in particular', t => {
  t.deepEqual(
    FILES.filter(file => /(^|\/)(utils?|helpers?|misc|common)\.ts$/.test(file.path)).map(file => file.path),
    [],
  );
});

test('package versions are pinned exactly, and the lock file names no host', t => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    t.regex(version, /^\d+\.\d+\.\d+$/, name);
  }
  t.notRegex(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'), /"resolved"/);
});

interface Page {
  /** Path below the root. */
  readonly path: string;
  /** Without blocks of code, whose lines are no headings and no links. */
  readonly text: string;
  readonly headings: readonly string[];
}

/** CHANGELOG tells the past: it names what is gone, and versions may say the same. */
const HISTORY = 'CHANGELOG.md';

function pages(): Page[] {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map(path => `docs/${path}`);
  return [...readdirSync(ROOT), ...inDocs]
    .filter(path => path.endsWith('.md'))
    .map(path => {
      const text = readFileSync(join(ROOT, path), 'utf8').replace(/^```.*?^```$/gms, '');
      return { path, text, headings: [...text.matchAll(/^#+ (.*)$/gm)].map(match => match[1] as string) };
    });
}

const PAGES = pages();

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

/** Links of a page, as they are written; those to other hosts aside. */
function linksOf({ text }: Page): string[] {
  const prose = text.replace(/`[^`]*`/g, '');
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(match => match[1] as string)
    .filter(link => !/^[a-z]+:/.test(link));
}

/** Where a link leads: a path below the root, and the anchor there ('' for none). */
function targetOf(page: Page, link: string): { readonly path: string; readonly anchor: string } {
  const [path = '', anchor = ''] = link.split('#');
  return { path: path === '' ? page.path : normalize(join(dirname(page.path), path)), anchor };
}

test('every link in the documentation leads somewhere', t => {
  const wrong = PAGES.flatMap(page =>
    linksOf(page).flatMap(link => {
      const { path, anchor } = targetOf(page, link);
      const found = PAGES.find(other => other.path === path);
      const there =
        anchor === '' ? existsSync(join(ROOT, path)) : found?.headings.some(heading => anchorOf(heading) === anchor);
      return there ? [] : [`${page.path}: ${link}`];
    }),
  );
  t.deepEqual(wrong, []);
  t.true(PAGES.flatMap(linksOf).length > 100);
});

test('no page has a heading twice', t => {
  const wrong = PAGES.filter(({ path }) => path !== HISTORY).flatMap(({ path, headings }) =>
    headings.filter((heading, index) => headings.indexOf(heading) !== index).map(heading => `${path}: ${heading}`),
  );
  t.deepEqual(wrong, []);
});

/** Files that people read as text, with their paths below the root. */
function textFiles(): { readonly path: string; readonly text: string }[] {
  return ['src', 'test', 'scripts', 'conf', 'systemd']
    .flatMap(top =>
      readdirSync(join(ROOT, top), { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => relative(ROOT, join(entry.parentPath, entry.name))),
    )
    .map(path => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

test('every rule and every page that the code names is there', t => {
  const rules = new Set(
    PAGES.find(({ path }) => path === 'docs/invariants.md')?.headings.flatMap(heading => /^R\d+/.exec(heading) ?? []),
  );
  t.is(rules.size, 13);
  // A path that climbs out of dist/, or is that of an installation, is meant from the root.
  const isThere = (name: string, from: string) =>
    ['', 'docs', 'docs/reference', dirname(from)].some(at =>
      existsSync(join(ROOT, at, name.replace(/^(\.\.\/)+|^\/usr\/share\/doc\/tandem\//, ''))),
    );
  const wrong = [...textFiles(), ...PAGES.filter(({ path }) => path !== HISTORY)].flatMap(({ path, text }) => [
    ...[...text.matchAll(/\bR\d+\b/g)].filter(([rule]) => !rules.has(rule)).map(([rule]) => `${path}: ${rule}`),
    ...[...text.matchAll(/(?<![\w./@}-])[\w./-]*\w\.(?:md|schema\.json)\b/g)]
      .filter(([name]) => !isThere(name, path))
      .map(([name]) => `${path}: ${name}`),
  ]);
  t.deepEqual(wrong, []);
});

test('every file that a page names is there', t => {
  const named = /(?<![\w./-])(?:src|test|scripts|conf|systemd)\/[\w./-]*\w(?![\w*…-])/g;
  const wrong = PAGES.filter(({ path }) => path !== HISTORY).flatMap(({ path, text }) =>
    [...text.matchAll(named)].filter(([name]) => !existsSync(join(ROOT, name))).map(([name]) => `${path}: ${name}`),
  );
  t.deepEqual(wrong, []);
});

/** From a heading to the next one that is not below it. */
function sectionOf({ text }: Page, anchor: string): string {
  const parts = text.split(/^(?=#+ )/m);
  const start = parts.findIndex(part => anchorOf(/^#+ (.*)$/m.exec(part)?.[1] ?? '') === anchor);
  const depth = (part: string) => /^#*/.exec(part)?.[0].length ?? 0;
  const rest = parts.slice(start + 1);
  const end = rest.findIndex(part => depth(part) <= depth(parts[start] as string));
  return [parts[start], ...rest.slice(0, end < 0 ? undefined : end)].join('');
}

test('each question of a newcomer is answered beside a file or a test that shows it', t => {
  const list = PAGES.find(({ path }) => path === 'docs/internals/README.md') as Page;
  const questions = [...list.text.matchAll(/^\d+\. \[[^\]]+\]\(([^)]+)\)$/gm)].map(match => match[1] as string);
  t.true(questions.length >= 10);
  for (const link of questions) {
    const { path, anchor } = targetOf(list, link);
    const page = PAGES.find(other => other.path === path);
    t.regex(page ? sectionOf(page, anchor) : '', /\b(src|test|scripts)\/\w/, link);
  }
});

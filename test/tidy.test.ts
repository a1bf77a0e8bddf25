// The code's own rules, checked: imports point one way, the two daemons share one file, and files that only decide touch no clock,
// socket, disk, process or log.
import { readdirSync, readFileSync } from 'node:fs';
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
  command: [],
  config: ['units', 'log'],
  feed: ['units'],
  redis: ['units', 'config'],
  witness: ['units', 'config', 'socket', 'redis'],
  vip: ['units', 'config'],
  pulse: ['units', 'config', 'feed', 'log', 'socket', 'vip', 'witness', 'command', 'firewall'],
  schedule: ['units'],
  nanny: ['units', 'config', 'log'],
  ipvs: ['units', 'config', 'command'],
  firewall: ['units', 'config', 'command', 'sync'],
  sync: ['units', 'config', 'log', 'feed', 'nanny', 'ipvs', 'command', 'redis', 'schedule'],
  status: ['units', 'config', 'feed', 'log', 'socket', 'nanny'],
  director: [
    'units',
    'config',
    'feed',
    'log',
    'socket',
    'command',
    'nanny',
    'ipvs',
    'firewall',
    'sync',
    'status',
    'schedule',
  ],
  cli: ['units', 'config', 'feed', 'log', 'socket', 'status', 'pulse', 'director'],
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

test('the command line starts the daemons by their main files only', t => {
  const wrong = FILES.filter(file => folderOf(file.path) === 'cli').flatMap(file =>
    file.imports
      .filter(name => /^(pulse|director)\//.test(name) && !/^(pulse|director)\/main\.ts$/.test(name))
      .filter(name => name !== 'pulse/io/state-file.ts')
      .map(name => `${file.path} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

/** The edge: files that may touch the world. log.ts is the one set-up of winston, main.ts and loop.ts run the machines. */
const isEdge = (path: string) => /(^|\/)io\//.test(path) || /\/(main|loop)\.ts$/.test(path) || path === 'log/log.ts';
const PURE_MODULES = [
  'node:crypto',
  'node:buffer',
  'zod',
  'yaml',
  'ipaddr.js',
  'fastest-levenshtein',
  'cli-table3',
  'node:util',
  'node-cron',
  'node:path',
];

/** A command of the CLI is there to talk to daemons; what it shows is made by pure files. */
const isCommand = (path: string) =>
  /^cli\//.test(path) && !/^cli\/(render|render-sync|words|reach|exit|node)\.ts$/.test(path);

test('files outside io/, main.ts and loop.ts import nothing that touches the world', t => {
  const wrong = FILES.filter(file => !isEdge(file.path) && !isCommand(file.path)).flatMap(file =>
    file.imports
      .filter(name =>
        name.endsWith('.ts') ? /(^|\/)io\//.test(name) && !onlyTypes(file, name) : !PURE_MODULES.includes(name),
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

test('comments of src/pulse are at most 100 columns wide', t => {
  const wide = FILES.filter(({ path }) => folderOf(path) === 'pulse' && !/\/io\//.test(path)).flatMap(
    ({ path, text }) =>
      text
        .split('\n')
        .map((line, i) => ({ line, at: `${path}:${i + 1}` }))
        .filter(({ line }) => line.length > 100 && /^\s*(\/\/|\*|\/\*)/.test(line))
        .map(({ at }) => at),
  );
  t.deepEqual(wide, []);
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

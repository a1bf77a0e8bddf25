// The rules of vipd's C, checked: who calls whom, taken as a symbol that one object uses and another defines; a header for each file;
// rooms that know only those below them. Needs a C compiler and nm.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const NATIVE = join(ROOT, 'src/vip/native');
const OBJECTS = join(ROOT, 'dist/vipd-objects');

/** What each room may call and include, besides itself; '' is the folder itself, with the loop and the start. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  hold: ['base'],
  watch: ['base', 'hold'],
  pipe: ['base', 'hold', 'watch'],
  trial: ['base', 'hold'],
  '': ['base', 'hold', 'watch', 'pipe'],
};
const roomOf = (name: string) => (name.includes('/') ? dirname(name) : '');
const mayCall = (from: string, to: string) => from === to || ROOMS[from]?.includes(to);

interface CObject {
  /** As its source below src/vip/native, without the ending. */
  readonly name: string;
  readonly defined: readonly string[];
  readonly used: readonly string[];
}

let objects: readonly CObject[] = [];
const namesOf = (ending: string) =>
  readdirSync(NATIVE, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith(ending))
    .map(path => path.slice(0, -ending.length))
    .sort();
const SOURCES = namesOf('.c');
const textOf = (path: string) => readFileSync(join(NATIVE, path), 'utf8');
const includesOf = (path: string) =>
  [...textOf(path).matchAll(/^#include "([^"]+)"/gm)].map(match => match[1] as string);

test.before(t => {
  t.timeout(120_000);
  execFileSync(join(ROOT, 'scripts/build-vipd'), ['--objects']);
  objects = SOURCES.map(name => {
    const listing = execFileSync('nm', ['-g', '--format=posix', join(OBJECTS, `${name}.o`)], { encoding: 'utf8' });
    const symbols = listing.split('\n').map(line => line.split(' '));
    const named = (wanted: (type: string) => boolean) =>
      symbols.filter(([, type]) => type !== undefined && wanted(type)).map(([symbol]) => symbol as string);
    return { name, defined: named(type => type !== 'U'), used: named(type => type === 'U') };
  });
});

const isProgram = ({ defined }: CObject) => defined.includes('main');

/** For each object those that define what it uses. */
function arrows(): ReadonlyMap<string, readonly string[]> {
  const home = new Map(objects.flatMap(object => object.defined.map(symbol => [symbol, object.name] as const)));
  return new Map(
    objects.map(({ name, used }) => {
      const targets = used.map(symbol => home.get(symbol)).filter(target => target !== undefined);
      return [name, [...new Set(targets)].sort()];
    }),
  );
}

/** A way from an object back to itself; undefined when there is none. */
function circleIn(calls: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const walk = (name: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of calls.get(name) ?? []) {
      const circle = walk(next, [...path, name]);
      if (circle) return circle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of calls.keys()) {
    const circle = walk(name, []);
    if (circle) return circle;
  }
  return undefined;
}

test('the check itself finds a circle', t => {
  const calls = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', []],
    ['d', ['b']],
  ]);
  t.deepEqual(circleIn(calls), ['b', 'd', 'b']);
  t.is(
    circleIn(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['c']],
      ] as const),
    ),
    undefined,
  );
});

test('calls between the files of vipd have no circle', t => {
  const calls = arrows();
  t.log(`${objects.length} objects, ${[...calls.values()].flat().length} arrows`);
  t.deepEqual(circleIn(calls), undefined);
});

test('every room is known, and calls only those below it: hold/ never watch/', t => {
  t.deepEqual([...new Set(SOURCES.map(roomOf))].sort(), Object.keys(ROOMS).sort());
  const wrong = [...arrows()].flatMap(([name, targets]) =>
    targets.filter(target => !mayCall(roomOf(name), roomOf(target))).map(target => `${name} calls ${target}`),
  );
  t.deepEqual(wrong, []);
});

test('includes keep to the rooms, too; of the folder itself only the page about all of it is open to all', t => {
  const files = [...SOURCES.map(name => `${name}.c`), ...namesOf('.h').map(name => `${name}.h`)];
  const wrong = files.flatMap(file =>
    includesOf(file)
      .filter(name => name !== 'vipd.h' && !mayCall(roomOf(file), roomOf(name)))
      .map(name => `${file} includes ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('every file has a header of its own, which it includes first; a program needs none', t => {
  const rest = objects.filter(object => !isProgram(object)).map(({ name }) => name);
  t.deepEqual(
    rest.filter(name => !existsSync(join(NATIVE, `${name}.h`))),
    [],
  );
  t.deepEqual(
    rest.filter(name => includesOf(`${name}.c`)[0] !== `${name}.h`),
    [],
  );
});

test('what a header offers is used elsewhere', t => {
  const used = new Set(objects.flatMap(object => object.used));
  const idle = objects.flatMap(({ name, defined }) =>
    defined.filter(symbol => symbol !== 'main' && !used.has(symbol)).map(symbol => `${name}: ${symbol}`),
  );
  t.deepEqual(idle, []);
});

test('bytes are received in three places: from the kernel, from the packet lease on lo, from the network', t => {
  const receivers = objects.filter(({ used }) => used.some(symbol => /^_*recv/.test(symbol))).map(({ name }) => name);
  t.deepEqual(receivers, ['hold/gate-frame', 'hold/netlink', 'watch/hear']);
});

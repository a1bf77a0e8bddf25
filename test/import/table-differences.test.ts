import test from 'ava';
import type { Config } from '../../src/config/schema.ts';
import { keepalivedLines } from '../../src/import/keepalived-lines.ts';
import { readKeepalived } from '../../src/import/keepalived-reader.ts';
import { readLdirectordCf } from '../../src/import/ldirectord-reader.ts';
import { type Note, Notes } from '../../src/import/note.ts';
import { parseTable } from '../../src/ipvs/ipvsadm.ts';
import type { IpvsTable } from '../../src/ipvs/table.ts';
import { filled, imported } from './importing.ts';
import { differences, judged } from './table-differences.ts';

const OLD = `virtual_server 192.0.2.100 80 {
  lb_algo rr
  lb_kind DR
  protocol TCP
  persistence_timeout 50
  real_server 192.0.2.11 80 {
    weight 2
  }
  real_server 192.0.2.12 80 {
  }
}
`;
const THEIRS = `-A -t 192.0.2.100:80 -s rr -p 50
-a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 2
-a -t 192.0.2.100:80 -r 192.0.2.12:80 -g -w 1
`;
const OURS = `-A -f 80 -s rr -p 50
-a -f 80 -r 192.0.2.11:0 -g -w 2
-a -f 80 -r 192.0.2.12:0 -g -w 1
`;

/** A table as `ipvsadm -Sn` writes it, without connections and thresholds. */
function table(rules: string): IpvsTable {
  const counts = [...rules.matchAll(/^-a (-f \d+(?: -6)?|-[tu] \S+) -r (\S+):(\d+) /gm)].map(
    ([, key, address, port]) => ({
      ...{ key, address, port: Number(port), upperThreshold: 0, lowerThreshold: 0 },
      ...{ activeConnections: 0, inactiveConnections: 0, templates: 0 },
    }),
  );
  const read = parseTable(rules, counts as unknown as Parameters<typeof parseTable>[1]);
  if (read === undefined) throw new Error('no table');
  return read;
}

function compared(theirs: string, ours: string, { old = OLD, config }: { old?: string; config?: Config } = {}) {
  const tree = readKeepalived(
    keepalivedLines({ file: 'old.conf', text: old }, '', () => undefined, new Notes()),
    new Notes(),
  );
  return differences({
    ...{ tree, theirs: table(theirs), ours: table(ours) },
    config: config ?? filled(imported('keepalived.conf', old)),
  });
}

test('a service by address and a mark that stands for it are the same, and so are port 80 and the port of the client', t => {
  t.deepEqual(compared(THEIRS, OURS), []);
});

const CHANGES: readonly (readonly [what: string, from: string, to: string, lines: readonly number[]])[] = [
  ['the scheduler', '-s rr', '-s wlc', [2]],
  ['the flags of the scheduler', '-p 50', '-p 50 -b sh-port', []],
  ['persistence', ' -p 50', ' -p 60', [5]],
  ['no persistence', ' -p 50', '', [5]],
  ['the mask of persistence', ' -p 50', ' -p 50 -M 255.255.255.0', []],
  ['one-packet scheduling', ' -p 50', ' -p 50 -o', []],
  ['a weight', '-w 2', '-w 3', [6, 7]],
  ['forwarding', '192.0.2.12:0 -g', '192.0.2.12:0 -m', [9, 3]],
  ['a port of a server', '192.0.2.12:0', '192.0.2.12:8080', [9]],
  ['a server that is missing', '-a -f 80 -r 192.0.2.12:0 -g -w 1\n', '', [9]],
  ['another server', '192.0.2.12:0', '192.0.2.13:0', [9]],
];
for (const [what, from, to, lines] of CHANGES)
  test(`a difference that nobody tells is found: ${what}`, t => {
    const found = compared(THEIRS, OURS.replace(from, to));
    t.true(found.length > 0);
    t.deepEqual(found[0]?.lines, lines);
    t.deepEqual(judged(found, []).untold, found);
  });

test('services that only one side has are found', t => {
  t.regex(compared(THEIRS, '')[0]?.what ?? '', /no service for -t 192\.0\.2\.100:80/);
  t.regex(compared(THEIRS, `${OURS}-A -f 81 -s rr\n`)[0]?.what ?? '', /only Tandem has the service -f 81/);
  t.regex(compared(THEIRS.replaceAll(':80', ':81'), OURS)[0]?.what ?? '', /no service for -t 192\.0\.2\.100:81/);
  t.regex(compared(THEIRS.replaceAll('-t', '-u'), OURS)[0]?.what ?? '', /no service for -u/);
});

test('a server that waits as the sorry server is no difference, and with a weight it is', t => {
  const config = filled(imported('keepalived.conf', OLD.replace('persist', 'sorry_server 192.0.2.19 80\n  persist')));
  const sorry = `${OURS}-a -f 80 -r 192.0.2.19:0 -g -w 0\n`;
  t.deepEqual(compared(THEIRS, sorry, { config }), []);
  t.is(compared(THEIRS, sorry.replace('-w 0', '-w 1'), { config }).length, 1);
});

test('more ports than the old service had are a difference, which passive_ports tells of FTP', t => {
  const old = OLD.replace('100 80', '100 21').replaceAll(' 80 {', ' 21 {');
  const made = imported('keepalived.conf', old);
  const ours = OURS.replaceAll('-f 80', '-f 21');
  const found = compared(THEIRS.replaceAll(':80', ':21'), ours, { old, config: filled(made) });
  t.deepEqual(
    found.map(({ what }) => what),
    ['-t 192.0.2.100:21: ports was 21, and is 21, 10000-20000'],
  );
  const { told, untold } = judged(found, made.notes);
  t.deepEqual(untold, []);
  t.is(told[0]?.note.path.at(-1), 'passive_ports');
});

test('a note tells what is at its line or its field, and nothing else', t => {
  const found = compared(THEIRS, OURS.replace('-s rr', '-s wlc'));
  const note = (line: number, path: readonly string[]): Note => ({
    ...{ effect: 'changed', place: { file: 'old.conf', line }, quote: '', why: 'so', path },
  });
  const name = '192-0-2-100-80';
  t.is(judged(found, [note(2, [])]).untold.length, 0);
  t.is(judged(found, [note(1, ['services', name, 'scheduler'])]).untold.length, 0);
  t.is(judged(found, [note(1, ['services', name])]).untold.length, 1, 'of the service as a whole');
  t.is(judged(found, [note(3, ['services', name, 'forwarding'])]).untold.length, 1);
  t.is(judged(found, [note(1, ['services', 'other', 'scheduler'])]).untold.length, 1);
});

test('servers of an ldirectord.cf are found by their lines', t => {
  const text = 'virtual=192.0.2.100:80\n\treal=192.0.2.11:80 gate 2\n\treal=192.0.2.12:80 gate\n\tscheduler=rr\n';
  const made = imported('ldirectord.cf', text);
  const found = differences({
    tree: readLdirectordCf({ file: 'old.conf', text }, new Notes()),
    theirs: table(THEIRS.replace(' -p 50', '')),
    ours: table(OURS.replace(' -p 50', '').replace('-w 2', '-w 1').replace('-s rr', '-s wrr')),
    config: filled(made),
  });
  t.deepEqual(
    found.map(({ lines }) => lines),
    [[4], [2]],
  );
});

// What the runner decides: whom it trusts, who has a place, what is kept of an output.
import test from 'ava';
import { firstLine, keptOutput, NO_OUTPUT, withOutput } from '../../src/runner/output.ts';
import {
  AT_ONCE_MAX,
  forget,
  leavePlace,
  NOBODY,
  type Places,
  takePlace,
  WAITING_MAX,
} from '../../src/runner/places.ts';
import { type FileFacts, mistrust } from '../../src/runner/trust.ts';

const dir = (path: string, mode = 0o755, uid = 0): FileFacts => ({ path, mode, uid, kind: 'directory' });
const file = (mode = 0o755, uid = 0): FileFacts => ({ path: '/etc/checks/a', mode, uid, kind: 'file' });
const WAY = [dir('/'), dir('/etc'), dir('/etc/checks')];

const TRUST: readonly [says: string, way: readonly FileFacts[], problem: RegExp | undefined][] = [
  ['root wrote all of it', [...WAY, file()], undefined],
  ['another user owns it', [...WAY, file(0o755, 1000)], /belongs to user 1000: chown root \/etc\/checks\/a/],
  ['the group may write it', [...WAY, file(0o775)], /\/etc\/checks\/a can be written by others/],
  ['everybody may write it', [...WAY, file(0o757)], /\/etc\/checks\/a can be written by others/],
  ['its directory may be written', [dir('/'), dir('/etc'), dir('/etc/checks', 0o777), file()], /\/etc\/checks can be/],
  ['a sticky directory on the way', [dir('/'), dir('/tmp', 0o1777), file()], /\/tmp can be written/],
  ['a directory on the way is a user’s', [dir('/'), dir('/etc', 0o755, 33), file()], /\/etc belongs to user 33/],
  ['the runner could not run it', [...WAY, file(0o700)], /cannot be run by everybody/],
  ['a directory is no script', [...WAY, dir('/etc/checks/a')], /is not a regular file/],
  ['a link is judged by where it leads', [...WAY, { ...file(0o777), kind: 'link' }], undefined],
  ['a link that a user made', [...WAY, { ...file(0o777, 5), kind: 'link' }], /belongs to user 5/],
];

for (const [says, way, problem] of TRUST) {
  test(`trust: ${says}`, t => {
    const found = mistrust(way);
    if (problem === undefined) t.is(found, undefined);
    else t.regex(found ?? '', problem);
  });
}

test('so many scripts run at once, so many wait, in their order, and the next is refused', t => {
  let places: Places<number> = NOBODY;
  const does = Array.from({ length: AT_ONCE_MAX + WAITING_MAX + 1 }, (_, one) => {
    const step = takePlace(places, one);
    places = step.next;
    return step.does;
  });
  t.deepEqual(new Set(does.slice(0, AT_ONCE_MAX)), new Set(['begins']));
  t.deepEqual(new Set(does.slice(AT_ONCE_MAX, -1)), new Set(['waits']));
  t.is(does.at(-1), 'refused');
  places = forget(places, AT_ONCE_MAX);
  const first = leavePlace(places);
  t.is(first.begins, AT_ONCE_MAX + 1, 'the one before has gone');
  t.is(first.next.running, AT_ONCE_MAX);
  let left: Places<number> = { ...NOBODY, running: AT_ONCE_MAX };
  for (let n = 0; n < AT_ONCE_MAX; n++) left = leavePlace(left).next;
  t.deepEqual(left, NOBODY);
});

test('of an output its first line and its end are kept, however it comes', t => {
  let output = NO_OUTPUT;
  for (const byte of Buffer.from('\n \nno answer\nétat\n')) output = withOutput(output, Buffer.from([byte]));
  t.is(firstLine(output), 'no answer');
  t.is(keptOutput(output), 'no answer\nétat');
  for (let n = 0; n < 1_000; n++) output = withOutput(output, Buffer.alloc(1_000, `${n % 10}`));
  t.is(firstLine(output), 'no answer');
  t.is(output.bytes, 19 + 1_000_000);
  t.is(output.last.length, 4_096);
  t.is(firstLine(withOutput(NO_OUTPUT, Buffer.alloc(5_000, 'x'))).length, 200);
});

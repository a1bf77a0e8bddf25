// vipd, built with AddressSanitizer, after its predecessor: the state file, what a new one adopts, and the clean-up.
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { sleep, VIPS } from './io/vipd.ts';
import { assertClean, assertRemovedBeforeWill, WILL, wills } from './vipd-checks.ts';

buildForAll();

pairTest('a respawned vipd knows the epoch and adopts the addresses without a gap', async (t, pair) => {
  const first = await pair.vipd();
  first.send(`will ${WILL}`);
  await first.claim('7.1', 2_000);
  const witness = await pair.witness();
  first.child.kill('SIGKILL');
  const second = await pair.vipd();
  t.regex(second.lines[0]?.text ?? '', /^hello \S+ 7\.1 armed 4$/);
  t.is(await second.claim('6.1', 400), 'refused 1 stale-epoch');
  t.is(await second.claim('7.1', 400), 'held 2 7.1');
  second.keepRenewing('7.1', 400);
  await sleep(2_500);
  t.is(witness.matching(/ gone /).length, 0);
  t.is(second.matching(/^(repaired|conflict|error)/).length, 0);
  second.closePipe();
  t.is(await second.exited, 0);
  await witness.line(/ udp /);
  assertRemovedBeforeWill(t, witness); // the will came from the state file
  assertClean(t, second);
});

pairTest(
  'a respawned vipd whose pipe closes before any claim ends the armed term of its predecessor',
  async (t, pair) => {
    const first = await pair.vipd();
    first.send(`will ${WILL}`);
    await first.claim('7.1', 5_000);
    const witness = await pair.witness();
    first.child.kill('SIGKILL');
    const second = await pair.vipd();
    second.closePipe();
    t.is(await second.exited, 0);
    t.deepEqual(await pair.vips(), []);
    await witness.line(/ udp /);
    assertRemovedBeforeWill(t, witness);
    assertClean(t, second);
  },
);

pairTest('the state file is private, and plain renewals do not touch it', async (t, pair) => {
  const vipd = await pair.vipd();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 5_000);
  const before = await stat(pair.statePath);
  t.is(before.mode & 0o777, 0o600);
  for (let i = 0; i < 20; i++) await vipd.renew('7.1', 5_000);
  t.is((await stat(pair.statePath)).ino, before.ino);
  const text = await readFile(pair.statePath, 'utf8');
  t.regex(
    text,
    /^vipd-state 1\nepoch 7\.1\nmode armed\nclosed no\nwill c0ffee5a\naddress 192\.0\.2\.100,lan0,192\.0\.2\.2\n/,
  );
  await vipd.renew('7.1', 5_000, 'alone');
  t.regex(await readFile(pair.statePath, 'utf8'), /^mode alone$/m);
  assertClean(t, vipd);
});

for (const [what, damage] of [
  ['cut short', (text: string) => text.slice(0, text.length / 2)],
  ['empty', () => ''],
  ['of random bytes', () => randomBytes(3_000).toString('latin1')],
  ['too long', (text: string) => text.replace('end\n', 'address 192.0.2.9,lan0,-\n'.repeat(2_000))],
  ['with an impossible epoch', (text: string) => text.replace('epoch 7.1', 'epoch 7.1.2')],
] as const) {
  pairTest(`a state file that is ${what} is told and taken as empty`, async (t, pair) => {
    const first = await pair.vipd();
    await first.claim('7.1', 5_000);
    await first.release('7.1', 'quiet');
    first.closePipe();
    await first.exited;
    await writeFile(pair.statePath, damage(await readFile(pair.statePath, 'utf8')), 'latin1');
    const second = await pair.vipd();
    t.regex(second.lines[0]?.text ?? '', /^hello \S+ 0\.0 none 0$/);
    await second.line(/^error the state file .* is damaged/);
    second.closePipe();
    await second.exited;
    const third = await pair.vipd();
    t.is(await third.claim('8.1', 1_000), 'held 1 8.1');
    t.deepEqual(third.matching(/damaged/), [], 'told once');
    assertClean(t, third);
  });
}

pairTest('clean-up after everything was killed: armed removes and sends the will', async (t, pair) => {
  const vipd = await pair.vipd();
  const witness = await pair.witness();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 20_000);
  vipd.child.kill('SIGKILL');
  const { code, stderr } = await pair.once(['--cleanup', '--state', pair.statePath]);
  t.is(code, 0, stderr);
  t.is(stderr, '');
  t.deepEqual(await pair.vips(), []);
  await sleep(30);
  assertRemovedBeforeWill(t, witness);
  t.is(wills(witness).length, 3);
  t.is((await pair.once(['--cleanup', '--state', pair.statePath])).code, 0, 'twice does no harm');
  await sleep(30);
  t.is(wills(witness).length, 3);
  const next = await pair.vipd();
  t.is(await next.claim('7.1', 1_000), 'refused 1 stale-epoch');
  assertClean(t, next);
});

pairTest(
  'clean-up after everything was killed: alone keeps the addresses, a damaged state sends no will',
  async (t, pair) => {
    const vipd = await pair.vipd();
    const witness = await pair.witness();
    vipd.send(`will ${WILL}`);
    await vipd.claim('7.1', 20_000, 'alone', 10_000);
    vipd.child.kill('SIGKILL');
    t.is((await pair.once(['--cleanup', ...pair.args()])).code, 0);
    t.is((await pair.vips()).length, 4);
    await writeFile(pair.statePath, 'nonsense');
    const { code, stderr } = await pair.once(['--cleanup', ...pair.args()]);
    t.is(code, 0);
    t.regex(stderr, /damaged/);
    t.deepEqual(await pair.vips(), []);
    t.is(wills(witness).length, 0);
  },
);

pairTest('a new vipd takes away what the term holds no more', async (t, pair) => {
  const first = await pair.vipd();
  await first.claim('7.1', 5_000);
  first.child.kill('SIGKILL');
  await first.exited;
  const second = await pair.vipd();
  second.mask = '5';
  t.is(await second.claim('7.1', 5_000), 'held 1 7.1');
  await sleep(200);
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[2]].sort());
  assertClean(t, second);
});

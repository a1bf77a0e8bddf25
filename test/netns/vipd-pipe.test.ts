// vipd, built with AddressSanitizer: everything hostile that its pipe may bring, its arguments, and the service manager.
import { randomBytes } from 'node:crypto';
import { PROBE_WINDOW_MS_MAX, probeLine, sampleLine } from '../../src/vip/protocol.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { nowUs, sleep } from './io/vipd.ts';
import { assertClean, WILL } from './vipd-checks.ts';

buildForAll();

pairTest('garbage, oversized, truncated and binary commands are told, counted and survived', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 30_000);
  const wrong = [
    '',
    ' ',
    'claim',
    'claim 1',
    'claim  1 7.1 1 1 armed 1 f',
    'claim x 7.1 1 1 armed 1 f',
    'claim 1 7 1 1 armed 1 f',
    'claim 1 7.1 -1 1 armed 1 f',
    'claim 1 7.1 1 0 armed 1 f',
    'claim 1 7.1 1 1 none 1 f',
    'claim 1 7.1 1 1 armed 1',
    'claim 1 7.1 1 1 armed 1 0',
    'claim 1 7.1 1 1 armed 1 1f',
    'claim 1 7.1 1 1 armed 1 F',
    'claim 1 7.1 1 1 armed 1 00000000000000001',
    'claim 1 7.1 1 1 armed 1 f 1',
    'claim 1 7.1 1 99999999999 armed 1 f',
    'claim 99999999999999999999 7.1 1 1 armed 1 f',
    'renew 1 7.4294967296 1 1 armed 1 f',
    'will',
    'will abc',
    'will zz',
    `will ${'00'.repeat(509)}`,
    'release 1 7.1',
    'release 1 7.1 loud',
    'probe a 4 - 200',
    'probe a 0 02:00 200',
    'probe a 0 - 0',
    'probe a 0 - 1001',
    'probe a 0 -',
    'probe a -1 - 200',
    `probe ${'a'.repeat(33)} 0 - 200`,
    'announce 1',
    'announcement',
    'bogus',
  ];
  // As long as the config may have it (H of 5 s): none of these is an error.
  vipd.send(probeLine(1, 0, undefined, PROBE_WINDOW_MS_MAX));
  vipd.send(sampleLine(2_500, 6_250));
  for (const [i, line] of wrong.entries()) {
    const from = vipd.lines.length;
    vipd.send(line);
    t.regex(await vipd.line(/^error bad command/, 3_000, from), new RegExp(`^error bad command ${i + 1}: `), line);
    await sleep(50); // errors are rate-limited, and each of these is looked at
  }
  vipd.raw(Buffer.alloc(200_000, 'x'));
  vipd.raw(Buffer.from('\n'));
  await vipd.line(/longer than 1024 bytes/);
  for (let i = 0; i < 200; i++) vipd.raw(randomBytes(1 + ((i * 37) % 3_000)));
  vipd.raw(Buffer.from('\n\0claim\0\n\r\n'));
  await sleep(200);
  t.is(await vipd.renew('7.1', 30_000), `held ${vipd.seq} 7.1`);
  const errors = vipd.matching(/^error/).length;
  t.true(errors < 120, `${errors} error lines: a flood of mistakes is told with a limit`);
  vipd.raw(Buffer.from('release 77 7.1 qui')); // cut off by the end of the pipe: not acted upon as it stands
  vipd.closePipe();
  t.is(await vipd.exited, 0);
  t.is(vipd.matching(/^released/).length, 0);
  t.deepEqual(await pair.vips(), []);
  assertClean(t, vipd);
});

pairTest('commands come in any pieces, several in one write or one in several', async (t, pair) => {
  const vipd = await pair.vipd();
  const text = `will ${WILL}\nclaim 1 7.1 ${nowUs()} 5000 armed 0 f\nrenew 2 7.1 ${nowUs()} 5000 armed 0 f\n`;
  for (const byte of Buffer.from(text)) vipd.raw(Buffer.from([byte]));
  t.is(await vipd.line(/^held 2 /), 'held 2 7.1');
  vipd.raw(
    Buffer.from(`renew 3 7.1 ${nowUs()} 5000 armed 0 f\nrenew 4 7.1 ${nowUs()} 5000 armed 0 f\nrelease 5 7.1 quiet\n`),
  );
  t.is(await vipd.line(/^released/), 'released 5 7.1');
  t.deepEqual(
    vipd.matching(/^held/).map(line => line.replace(/^(held 1 7\.1) \d+$/, '$1')),
    ['held 1 7.1', 'held 2 7.1', 'held 3 7.1', 'held 4 7.1'],
  );
  assertClean(t, vipd);
});

pairTest('a pulse that stops reading does not stop the lease, and learns how much it missed', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 3_000);
  vipd.child.stdout.pause();
  for (let i = 0; i < 30_000; i++) vipd.send(`renew ${i} 6.1 ${nowUs()} 3000 armed 0 f`); // refused: answers only
  vipd.keepRenewing('7.1', 3_000);
  await sleep(4_000);
  t.is((await pair.vips()).length, 4, 'renewals count although their answers are not read');
  vipd.stopRenewing();
  await sleep(3_300);
  t.deepEqual(await pair.vips(), [], 'and so does the end of the lease');
  vipd.child.stdout.resume();
  await sleep(100);
  vipd.send('bogus');
  t.regex(await vipd.line(/lines dropped/), /^error \d+ lines dropped: pulse did not read them$/);
  assertClean(t, vipd);
});

pairTest('a notification reaches the service manager', async (t, pair) => {
  const path = `${pair.dir}/notify`;
  const manager = await pair.notifyListener(path);
  const vipd = await pair.vipd('a', pair.args(), undefined, { ...process.env, NOTIFY_SOCKET: path });
  vipd.send('notify STATUS=active, 4 addresses');
  t.is(await manager.line(/STATUS/), 'STATUS=active, 4 addresses');
  assertClean(t, vipd);
});

pairTest('usage: help and version on stdout, mistakes end with code 64 and say what to write', async (t, pair) => {
  const help = await pair.once(['--help']);
  t.is(help.code, 0);
  t.regex(help.lines.join('\n'), /Usage: vipd --state FILE[\s\S]*--cleanup/);
  t.regex((await pair.once(['--version'])).lines[0] ?? '', /^vipd \d+\.\d+\.\d+$/);
  for (const args of [
    [],
    ['--state'],
    ['--state', 'x'],
    ['--bogus'],
    ['--state', 'x', '--address', '192.0.2.1'],
    ['--state', 'x', '--address', '192.0.2.1,,-'],
    ['--state', 'x', '--address', '192.0.2.300,lan0,-'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,2001:db8::1'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--address', '192.0.2.1,lan1,-'],
    ['--state', 'x', '--address', '192.0.2.1,averyveryverylongname,-'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--link', '192.0.2.1,192.0.2.2,0'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--link', '192.0.2.1,2001:db8::1,694'],
  ]) {
    const { code, stderr } = await pair.once(args);
    t.is(code, 64, args.join(' '));
    t.regex(stderr, /^vipd: .*see vipd --help\n$/, args.join(' '));
  }
});

import test from 'ava';
import type { Run } from '../../src/command/io/run-command.ts';
import { createNotify } from '../../src/director/io/notify.ts';

function recorder(): { readonly sent: string[]; readonly run: Run } {
  const sent: string[] = [];
  return {
    sent,
    run: async (program, args) => {
      sent.push([program, ...args].join(' '));
      return { status: 0, stdout: '', stderr: '' };
    },
  };
}

test('outside systemd nothing is run', async t => {
  const { sent, run } = recorder();
  const notify = createNotify({}, run);
  notify.ready('running');
  await notify.stopping();
  notify.close();
  t.deepEqual(sent, []);
});

test('systemd hears of readiness, is fed three times in its watchdog time, and hears of the end', async t => {
  const { sent, run } = recorder();
  const notify = createNotify({ NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '300000' }, run);
  notify.ready('running');
  await new Promise(resolve => setTimeout(resolve, 480));
  await notify.stopping();
  notify.close();
  t.is(sent[0], 'systemd-notify READY=1 STATUS=running');
  t.is(sent.at(-1), 'systemd-notify STOPPING=1');
  const fed = sent.filter(line => line === 'systemd-notify WATCHDOG=1').length;
  t.true(fed >= 2 && fed <= 5, `${fed} times`);
});

test('a systemd-notify that is missing or fails disturbs nothing', async t => {
  const notify = createNotify({ NOTIFY_SOCKET: '/run/systemd/notify' }, async () => {
    throw new Error('not installed');
  });
  notify.ready('running');
  await t.notThrowsAsync(notify.stopping());
  notify.close();
});

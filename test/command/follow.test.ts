// A program that is followed: what it prints, its last words, its end, and that it is started again.
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type Followed, follow } from '../../src/command/io/follow.ts';

interface Heard {
  readonly followed: Followed;
  readonly pids: (number | undefined)[];
  readonly ends: string[];
  text: string;
}

function hear(script: string, onWords?: (words: string) => boolean): Heard {
  const heard = { pids: [] as (number | undefined)[], ends: [] as string[], text: '' };
  const followed = follow({
    command: ['sh', '-c', script],
    install: 'a shell',
    onStart: child => heard.pids.push(child.pid),
    onOutput: chunk => {
      heard.text += chunk.toString('utf8');
    },
    ...(onWords === undefined ? {} : { onWords }),
    onEnd: why => heard.ends.push(why),
  });
  return Object.assign(heard, { followed });
}

async function until(done: () => boolean): Promise<void> {
  for (let tries = 0; tries < 600 && !done(); tries += 1) await sleep(50);
}

test('a program that ends is started again, and its last words are told', async t => {
  const heard = hear('echo out; echo no such luck >&2; exit 3');
  await until(() => heard.pids.length >= 2 && heard.ends.length >= 2);
  heard.followed.close();
  t.is(heard.ends[0], 'ended with 3: no such luck');
  t.regex(heard.text, /^out\nout\n/);
});

test('words that are dealt with are no last words; a missing program is told with what to install', async t => {
  const heard = hear('echo drop >&2; sleep 0.3; exit 1', words => words.includes('drop'));
  const missing = hear('echo "sh: it: not found" >&2; exit 127');
  await until(() => heard.ends.length > 0 && missing.ends.length > 0);
  heard.followed.close();
  missing.followed.close();
  t.is(heard.ends[0], 'ended with 1');
  t.is(missing.ends[0], 'ended with 127: sh: it: not found; install a shell');
});

test('closing ends the program, and that is no end that is told', async t => {
  const heard = hear('echo out; exec sleep 60');
  await until(() => heard.text !== '');
  heard.followed.close();
  const child = heard.followed.child();
  await until(() => child?.signalCode !== null);
  t.is(child?.signalCode, 'SIGKILL');
  await sleep(700);
  t.deepEqual([heard.ends, heard.pids.length, heard.followed.isClosed()], [[], 1, true]);
});

// What hooks decide: which events they want, what they say of them, and how messages wait, are tried again and go.
import test from 'ava';
import { fitsText, readEventPattern } from '../../src/config/event-pattern.ts';
import { newEvents } from '../../src/feed/feed-events.ts';
import { RecentEvents } from '../../src/feed/recent-events.ts';
import { type Happened, HOOK_MESSAGE_BYTES_MAX, type HookMessage, messageOf } from '../../src/hooks/hook-message.ts';
import {
  beginTry,
  dueOf,
  EMPTY_QUEUE,
  enqueueMessage,
  type HookQueue,
  tryDelivered,
  tryFailed,
} from '../../src/hooks/hook-queue.ts';
import { formatKeptHooks, parseKeptHooks } from '../../src/hooks/hook-report.ts';
import { wants } from '../../src/hooks/hook-selection.ts';
import { HOLD_MS, hearSent, NOTHING_HELD, releaseHeld, takeShared } from '../../src/hooks/pair-hold.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import { type At, ms } from '../../src/units/duration.ts';

const TEXTS: readonly [wanted: string, text: string, fits: boolean][] = [
  ['SERVER_DOWN', 'SERVER_DOWN', true],
  ['SERVER_DOWN', 'SERVER_DOWNED', false],
  ['SERVER_*', 'SERVER_UP', true],
  ['SERVER_*', 'SORRY_SERVER_UP', false],
  ['*_UP', 'SERVER_UP', true],
  ['*', '', true],
  ['A*A', 'A', false],
  ['A*A', 'AA', true],
  ['*B*B*', 'aBcB', true],
  ['*B*B*', 'aBc', false],
  ['S*R*N', 'SERVER_DOWN', true],
];

for (const [wanted, text, fits] of TEXTS)
  test(`${wanted} ${fits ? 'fits' : 'does not fit'} "${text}"`, t => t.is(fitsText(wanted, text), fits));

test('a text that fits almost is told within milliseconds, however many * there are', t => {
  const startedAt = performance.now();
  t.false(fitsText(`${'*a'.repeat(90)}*b`, 'a'.repeat(1_000)));
  t.true(performance.now() - startedAt < 5_000);
});

test('a pattern has a code and fields', t => {
  t.deepEqual(readEventPattern('ROLE_CHANGED to=active reason=*will*'), {
    code: 'ROLE_CHANGED',
    fields: [
      ['to', 'active'],
      ['reason', '*will*'],
    ],
  });
});

const NO_WISH = { events: [], severity: undefined, except: [], ends: true, once_per_pair: true };
const SERVER = { service: 'ftp', server: 'ftp1' };

const WISHES: readonly [
  says: string,
  hook: Partial<Parameters<typeof wants>[0]>,
  code: string,
  fields: Fields,
  wanted: boolean,
][] = [
  ['a named event, whatever its severity', { events: ['SERVER_UP'] }, 'SERVER_UP', SERVER, true],
  ['another one', { events: ['SERVER_UP'] }, 'SERVER_DOWN', SERVER, false],
  ['a severe one', { severity: 'err' }, 'SERVER_DOWN', SERVER, true],
  ['a worse one', { severity: 'err' }, 'ISOLATED', {}, true],
  ['a lighter one', { severity: 'err' }, 'PEER_SILENT', {}, false],
  ['the end of a severe one', { severity: 'err' }, 'SERVER_UP', SERVER, true],
  ['no ends are wanted', { severity: 'err', ends: false }, 'SERVER_UP', SERVER, false],
  ['the end of a named one', { events: ['SERVER_DOWN'] }, 'SERVER_UP', SERVER, true],
  ['the end of one with a field', { events: ['SERVER_DOWN server=ftp1'] }, 'SERVER_UP', SERVER, true],
  ['the end of that of another', { events: ['SERVER_DOWN server=ftp2'] }, 'SERVER_UP', SERVER, false],
  ['a field that the end has not', { events: ['SERVER_DOWN stage=login'] }, 'SERVER_UP', SERVER, true],
  ['an exception', { severity: 'err', except: ['SERVER_* server=ftp1'] }, 'SERVER_DOWN', SERVER, false],
  ['no exception', { severity: 'err', except: ['SERVER_* server=ftp2'] }, 'SERVER_DOWN', SERVER, true],
  ['its outcome', { events: ['ROLE_CHANGED to=active'] }, 'ROLE_CHANGED', { to: 'active' }, true],
  ['a step of it', { events: ['ROLE_CHANGED to=active'] }, 'ROLE_CHANGED', { to: 'claiming' }, false],
  ['a step of a change of roles', { severity: 'debug', events: ['ROLE_*'] }, 'ROLE_CHANGED', { to: 'standby' }, false],
  ['its outcome, by severity', { severity: 'notice' }, 'ROLE_CHANGED', { to: 'active' }, true],
  ['a step that is asked for', { events: ['ROLE_CHANGED to=standby'] }, 'ROLE_CHANGED', { to: 'standby' }, true],
  ['any step of each router', { severity: 'notice', once_per_pair: false }, 'ROLE_CHANGED', { to: 'standby' }, true],
  ['a failure of a hook', { severity: 'debug', events: ['*'] }, 'HOOK_FAILED', { hook: 'a' }, false],
  ['its end', { severity: 'debug', events: ['*'] }, 'HOOK_WORKS', { hook: 'a' }, false],
  ['a test', { severity: 'debug', events: ['*'] }, 'HOOK_TEST', { hook: 'a' }, false],
  ['many failures of hooks', { events: ['*'] }, 'EVENT_REPEATED', { repeated: 'HOOK_FAILED' }, false],
  ['many of another', { events: ['*'] }, 'EVENT_REPEATED', { repeated: 'SERVER_DOWN' }, true],
];

for (const [says, hook, code, fields, wanted] of WISHES)
  test(`${wanted ? 'wanted' : 'not wanted'}: ${says}`, t => t.is(wants({ ...NO_WISH, ...hook }, code, fields), wanted));

const happened = (code: EventCode, fields: Fields = {}): Happened => ({
  ...{ at: '2026-11-29T19:00:00.000Z', process: 'director', code, fields },
});
const ORIGIN = { id: 'r1-x-1', pair: 'edge', node: 'r1' };

test('a message says when, where, what, how bad, about what, and what to do', t => {
  const down = messageOf(happened('SERVER_DOWN', { ...SERVER, problem: 'no answer', checks: 3 }), ORIGIN);
  t.like(down, {
    schema: 'tandem-event/1',
    ...{ id: 'r1-x-1', time: '2026-11-29T19:00:00.000Z', pair: 'edge', node: 'r1', process: 'director' },
    ...{ code: 'SERVER_DOWN', severity: 'err', dedup: 'edge/SERVER_DOWN/ftp/ftp1', pairWide: true, ends: [] },
    fields: { checks: 3 },
  });
  t.regex(down.text, /^r1: SERVER_DOWN service=ftp server=ftp1 problem="no answer": /);
  t.true(messageOf(happened('SERVER_UP', SERVER), ORIGIN).ends.includes('SERVER_DOWN'));
});

test('both routers make the same key of what is the pair’s, and another one of what is their own', t => {
  const keys = (code: EventCode, one: Fields, other: Fields) => [
    messageOf(happened(code, one), ORIGIN).dedup,
    messageOf(happened(code, other), { ...ORIGIN, node: 'r2' }).dedup,
  ];
  const [a, b] = keys('SERVER_DOWN', { ...SERVER, stage: 'connect' }, { ...SERVER, stage: 'login' });
  t.is(a, b);
  const [c, d] = keys('PEER_SILENT', { silentMs: 1 }, { silentMs: 1 });
  t.deepEqual([c, d], ['edge/r1/PEER_SILENT', 'edge/r2/PEER_SILENT']);
  const owner = messageOf(happened('ROLE_CHANGED', { to: 'active', epoch: '7.2' }), ORIGIN);
  t.like(owner, { dedup: 'edge/ROLE_CHANGED/active/7.2', pairWide: true });
  t.false(messageOf(happened('ROLE_CHANGED', { to: 'standby', epoch: '7.2' }), ORIGIN).pairWide);
});

test('a message is bounded, whatever the event says', t => {
  const long = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`field${n}`, 'ü'.repeat(1_000)]));
  const message = messageOf(happened('SERVER_DOWN', long), ORIGIN);
  t.true(Buffer.byteLength(JSON.stringify(message)) <= HOOK_MESSAGE_BYTES_MAX);
  t.is(Object.keys(message.fields).length, 32);
});

const message = (id: string): HookMessage => messageOf(happened('SERVER_DOWN', SERVER), { ...ORIGIN, id });
const at = (time: number) => time as At;
const SETTINGS = { queue: 3, retries: 2, retry_after: ms(1_000) };
const ids = (queue: HookQueue) => queue.waiting.map(({ id }) => id).join(' ');

function filled(...names: string[]): HookQueue {
  return names.reduce((queue, id) => enqueueMessage(queue, message(id), SETTINGS).next, EMPTY_QUEUE);
}

test('messages wait in their order; of too many the oldest goes, but not the one that is tried', t => {
  t.is(ids(filled('a', 'b', 'c')), 'a b c');
  const idle = enqueueMessage(filled('a', 'b', 'c'), message('d'), SETTINGS);
  t.is(ids(idle.next), 'b c d');
  t.deepEqual(
    idle.dropped.map(({ id }) => id),
    ['a'],
  );
  const busy = beginTry(filled('a', 'b', 'c'));
  const more = enqueueMessage(enqueueMessage(busy, message('d'), SETTINGS).next, message('e'), SETTINGS);
  t.is(ids(more.next), 'a c d e');
  t.is(more.next.dropped, 1);
  const smaller = enqueueMessage(filled('a', 'b', 'c'), message('d'), { queue: 1 });
  t.is(ids(smaller.next), 'd');
  t.is(smaller.next.dropped, 3);
});

test('one that fails is tried again after a pause that doubles, then it is lost, and the next has all tries', t => {
  let queue = filled('a', 'b');
  const pauses: (number | undefined)[] = [];
  for (let time = 0; pauses.length < 3; time += 10_000) {
    t.is(dueOf(queue, at(time)).message?.id, 'a');
    queue = beginTry(queue);
    t.deepEqual(dueOf(queue, at(time)), {}, 'it is under way');
    const step = tryFailed(queue, SETTINGS, at(time));
    queue = step.next;
    pauses.push(step.pauseMs);
    if (step.pauseMs !== undefined) t.deepEqual(dueOf(queue, at(time)), { at: at(time + step.pauseMs) });
  }
  t.deepEqual(pauses, [1_000, 2_000, undefined]);
  t.like(queue, { lost: 1, isFailing: true, failures: 0 });
  t.is(dueOf(queue, at(100_000)).message?.id, 'b');
  const through = tryDelivered(beginTry(queue));
  t.true(through.recovered);
  t.like(through.next, { sent: 1, isFailing: false, waiting: [] });
  t.false(tryDelivered(beginTry(enqueueMessage(through.next, message('c'), SETTINGS).next)).recovered);
});

test('the pause has a bound', t => {
  const queue = { ...beginTry(filled('a')), failures: 19 };
  t.is(tryFailed(queue, { retries: 20, retry_after: ms(300_000) }, at(0)).pauseMs, ms(300_000));
});

test('what waits is kept as it is, and nothing else is read', t => {
  const kept = { mark: { life: 'x', seq: 4 }, waiting: { chat: [message('a'), message('b')] } };
  t.deepEqual(parseKeptHooks(formatKeptHooks(kept)), kept);
  t.is(parseKeptHooks('{}'), undefined);
  t.is(parseKeptHooks(formatKeptHooks(kept).replace('tandem-event/1', 'tandem-event/9')), undefined);
});

test('pulse keeps its last events for a while, few and short', t => {
  const recent = new RecentEvents('life');
  t.is(recent.at(at(0)), undefined);
  const entry = (n: number) => ({ ts: '', code: `E${n}`, severity: 'err' as const, fields: { text: 'x'.repeat(999) } });
  for (let n = 1; n <= 40; n += 1) recent.add(entry(n), at(n));
  const now = recent.at(at(1_000));
  t.is(now?.list.length, 32);
  t.like(now?.list[0], { seq: 9, code: 'E9' });
  t.is(String(now?.list[0]?.fields.text).length, 200);
  t.is(recent.at(at(120_030))?.list.length, 10);
  t.is(recent.at(at(200_000)), undefined);
  recent.add({ ...entry(41), severity: 'debug' }, at(200_000));
  t.is(recent.at(at(200_000)), undefined);
});

test('the director takes each event of pulse once, and knows how many it has missed', t => {
  const list = (...seqs: number[]) => seqs.map(seq => ({ seq, at: '', code: 'E', fields: {} }));
  const first = newEvents({ life: 'a', list: list(9, 10) }, undefined);
  t.like(first, { missed: 0, mark: { life: 'a', seq: 10 } });
  t.is(first.events.length, 2);
  t.deepEqual(newEvents({ life: 'a', list: list(9, 10) }, first.mark).events, []);
  const gap = newEvents({ life: 'a', list: list(13, 14) }, first.mark);
  t.like(gap, { missed: 2, mark: { seq: 14 } });
  t.is(newEvents({ life: 'b', list: list(1) }, gap.mark).events.length, 1);
});

test('however long its events are, the feed carries no more than a line of it holds', t => {
  const recent = new RecentEvents('life');
  const fields = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}`, 'x'.repeat(300)]));
  for (let n = 0; n < 40; n += 1) recent.add({ ts: '', code: 'LINK_SILENT', severity: 'warning', fields }, 0 as At);
  const told = recent.at(0 as At);
  t.true(JSON.stringify(told).length < 20_000);
  t.is(told?.list.at(-1)?.seq, 40);
});

const shared = (server: string, id = server) =>
  messageOf(happened('SERVER_DOWN', { service: 'ftp', server }), { ...ORIGIN, id });
const idsOf = (messages: readonly HookMessage[]) => messages.map(({ id }) => id).join(' ');

test('what both routers notice is sent by the owner at once, and kept back by the other one', t => {
  t.is(takeShared(NOTHING_HELD, shared('s1'), { owns: true, now: at(0) }).does, 'send');
  const { next, does } = takeShared(NOTHING_HELD, shared('s1'), { owns: false, now: at(0) });
  t.is(does, 'hold');
  const now = at(HOLD_MS - 1);
  t.is(idsOf(releaseHeld(next, { owns: false, now, most: 9 }).messages), '');
  t.is(idsOf(releaseHeld(next, { owns: true, now, most: 9 }).messages), 's1', 'the owner has gone');
  const due = releaseHeld(next, { owns: false, now: at(HOLD_MS), most: 9 });
  t.is(idsOf(due.messages), 's1', 'the owner has not sent it');
  t.deepEqual(due.next, NOTHING_HELD);
});

test('a word of the peer stands for one message, of before or after', t => {
  let hold = NOTHING_HELD;
  for (const [id, time] of [
    ['a', 0],
    ['b', 1],
  ] as const)
    hold = takeShared(hold, shared('s1', id), { owns: false, now: at(time) }).next;
  hold = hearSent(hold, shared('s1').dedup, at(2));
  t.is(hold.held.map(({ message: { id } }) => id).join(), 'b');
  hold = hearSent(hearSent(hold, shared('s1').dedup, at(3)), shared('s1').dedup, at(4));
  t.deepEqual([hold.held.length, hold.heard.length], [0, 1]);
  t.is(takeShared(hold, shared('s2'), { owns: true, now: at(5) }).does, 'send');
  const skipped = takeShared(hold, shared('s1'), { owns: true, now: at(5) });
  t.is(skipped.does, 'skip');
  t.is(takeShared(skipped.next, shared('s1'), { owns: true, now: at(6) }).does, 'send', 'it happened again');
  t.is(takeShared(hold, shared('s1'), { owns: true, now: at(70_000) }).does, 'send', 'the word is too old');
});

test('what is kept back is bounded: the oldest is sent rather than lost', t => {
  let hold = NOTHING_HELD;
  for (const id of ['a', 'b', 'c']) hold = takeShared(hold, shared(id), { owns: false, now: at(0) }).next;
  const released = releaseHeld(hold, { owns: false, now: at(1), most: 2 });
  t.is(idsOf(released.messages), 'a');
  t.is(released.next.held.length, 2);
  for (let n = 0; n < 400; n += 1) hold = hearSent(hold, `x${n}`, at(1));
  t.is(hold.heard.length, 256);
});

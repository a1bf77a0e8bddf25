// Two routers that say different things of a real server: when that is told, when it is over, and that old words count for nothing.
import test from 'ava';
import {
  type CheckWatch,
  checkProblems,
  hearChecks,
  isApart,
  NOTHING_COMPARED,
  noticeMs,
  peerWord,
  watchChecks,
} from '../../src/director/check-watch.ts';
import type { CheckWord } from '../../src/nanny/check-word.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { configOf, FTP } from './fixture.ts';

const config = configOf({
  services: { ftp: { ...FTP, check: { interval: '2s', timeout: '4s', stage_timeout: '2s', rise: 2, fall: 3 } } },
});
const service = config.services.ftp as (typeof config.services)[string];
const FS1 = { service: 'ftp', server: 'fs1' };

function word(state: CheckWord['state'], server = 'fs1'): CheckWord {
  const failed = state === 'down' || state === 'misconfigured';
  return { service: 'ftp', server, state, stage: failed ? 'login' : null, problem: failed ? 'refused' : '' };
}

/** Both say it once a second, from `from` to `to`; the peer says nothing where `there` is undefined. */
function say(
  before: CheckWatch,
  [from, to]: readonly [number, number],
  here: CheckWord['state'],
  there: CheckWord['state'] | undefined,
): { readonly watch: CheckWatch; readonly events: string[] } {
  let watch = before;
  const events: string[] = [];
  for (let second = from; second <= to; second++) {
    const now = (second * 1_000) as At;
    if (there !== undefined) watch = hearChecks(watch, [word(there)], config, now);
    const step = watchChecks(watch, { config, words: [word(here), word('up', 'fs2')], now });
    watch = step.next;
    events.push(...step.events.map(({ code, fields }) => `${second} ${code} ${fields.reason ?? fields.problem}`));
  }
  return { watch, events };
}

test('the time to notice: as many checks as decide and one more, each as long as it may take, and the exchange', t => {
  // (3 + 1) × (4 s + 100 ms) + 5 s
  t.is(noticeMs(service), ms(21_400));
});

test('the time to notice is longer with longer pauses of a server that is down, and shorter with a deadline', t => {
  const of = (check: object, fields: object = {}) => {
    const { services } = configOf({ services: { ftp: { ...FTP, ...fields, check } } });
    return noticeMs(services.ftp as typeof service);
  };
  t.is(of({ interval: '2s', timeout: '4s', interval_down: '20s' }), ms(85_000));
  const ports = { control_port: [21, 2121], active: false };
  t.is(of({ interval: '2s', timeout: '6s' }, ports), ms(4 * 12_100 + 5_000));
  t.is(of({ interval: '2s', timeout: '6s', deadline: '7s' }, ports), ms(4 * 7_100 + 5_000));
});

test('a disagreement is told once it has lasted longer than both need to notice', t => {
  const { watch, events } = say(NOTHING_COMPARED, [0, 60], 'up', 'down');
  t.deepEqual(events, ['22 CHECKS_DISAGREE refused']);
  t.true(isApart(watch, FS1));
  t.deepEqual(peerWord(watch, FS1), word('down'));
  t.deepEqual(
    checkProblems(watch, { node: 'r1', peer: 'r2' }, () => false),
    ['service ftp: the routers disagree on server fs1: r1 says up; r2 says down at stage login: refused'],
  );
  t.deepEqual(say(watch, [61, 70], 'up', 'up').events, ['61 CHECKS_AGREE both routers say the same']);
});

test('a server that fails is told by both, one after the other, without a disagreement', t => {
  const first = say(NOTHING_COMPARED, [0, 20], 'down', 'up');
  const then = say(first.watch, [21, 60], 'down', 'down');
  t.deepEqual([...first.events, ...then.events], []);
  t.deepEqual(
    checkProblems(first.watch, { node: 'r1', peer: 'r2' }, () => false),
    [],
  );
});

test('it begins anew after every moment of agreement', t => {
  const first = say(NOTHING_COMPARED, [0, 20], 'down', 'up');
  const agreed = say(first.watch, [21, 21], 'down', 'down');
  t.deepEqual(say(agreed.watch, [22, 43], 'down', 'up').events, []);
});

test('down and misconfigured, and what is not judged yet, are no disagreement', t => {
  t.deepEqual(say(NOTHING_COMPARED, [0, 60], 'down', 'misconfigured').events, []);
  t.deepEqual(say(NOTHING_COMPARED, [0, 60], 'up', 'unknown').events, []);
  t.deepEqual(say(NOTHING_COMPARED, [0, 60], 'unknown', 'down').events, []);
  t.is(say(NOTHING_COMPARED, [0, 60], 'up', 'misconfigured').events.length, 1);
});

test('a peer that is not heard any more contradicts nobody', t => {
  const { watch } = say(NOTHING_COMPARED, [0, 30], 'up', 'down');
  const later = say(watch, [31, 60], 'up', undefined);
  t.deepEqual(later.events, ["45 CHECKS_AGREE the peer's nannies are not heard"]);
  t.is(peerWord(later.watch, FS1), undefined);
});

test('words on servers that are not in the config are not kept, whatever their names', t => {
  const names = ['nobody', '__proto__', 'constructor'];
  const words = names.flatMap(name => [
    { ...word('down', name), service: 'ftp' },
    { ...word('down', 'fs1'), service: name },
  ]);
  t.is(hearChecks(NOTHING_COMPARED, words, config, 0 as At).heard.size, 0);
});

test('a server that leaves the config ends its disagreement', t => {
  const { watch } = say(NOTHING_COMPARED, [0, 30], 'up', 'down');
  const { events, next } = watchChecks(watch, { config, words: [word('up', 'fs2')], now: 31_000 as At });
  t.deepEqual(events, [{ code: 'CHECKS_AGREE', fields: { ...FS1, reason: 'the server has left the config' } }]);
  t.is(next.heard.size, 0);
});

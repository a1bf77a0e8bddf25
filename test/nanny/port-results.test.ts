// The checks of several control ports of one server, as one result.
import test from 'ava';
import { resultOfPorts } from '../../src/nanny/port-results.ts';
import type { CheckResult, Life } from '../../src/nanny/verdict.ts';

const passed = (tookMs: number, daysLeft?: number): CheckResult => ({
  ...{ ok: true, tookMs, bytes: tookMs, stagesMs: { login: tookMs } },
  ...(daysLeft !== undefined && { certificate: { validUntil: `in ${daysLeft} days`, daysLeft } }),
});
const failed = (life: Life, problem = 'no'): CheckResult => ({
  ...{ ok: false, stage: 'connect', life, problem, words: '', tookMs: 7 },
});

test('the check of one port is its own result', t => {
  for (const result of [passed(5, 3), failed('silent')]) t.is(resultOfPorts([{ port: 21, result }]), result);
});

test('when all ports are well, the slowest counts, in each stage, too, and the certificate that ends first', t => {
  const tls = { ...passed(5, 90), stagesMs: { login: 2, tls: 3 } };
  const results = [tls, passed(9), passed(4, 30)].map((result, index) => ({ port: index, result }));
  t.like(resultOfPorts(results), {
    ok: true,
    tookMs: 9,
    bytes: 9,
    stagesMs: { login: 9, tls: 3 },
    certificate: { daysLeft: 30 },
  });
});

test('one port that fails makes the server fail, and says which it is; the first in the order of the config', t => {
  const results = [
    { port: 21, result: passed(5) },
    { port: 990, result: { ...failed('speaks', 'its certificate has expired'), misconfigured: true } },
    { port: 2_121, result: failed('none', 'refused') },
  ] as const;
  t.like(resultOfPorts(results), {
    ...{ ok: false, stage: 'connect', problem: 'port 990: its certificate has expired', misconfigured: true },
  });
});

const LIVES: readonly [title: string, results: readonly CheckResult[], life: Life][] = [
  ['well at one', [failed('none'), passed(5)], 'speaks'],
  ['well at one, whatever the order', [passed(5), failed('none')], 'speaks'],
  ['busy at one', [failed('none'), failed('speaks')], 'speaks'],
  ['silent at one', [failed('silent'), failed('none')], 'silent'],
  ['dead at all', [failed('none'), failed('none')], 'none'],
];
for (const [title, results, life] of LIVES) {
  test(`a server that is ${title} of its ports shows life as ${life}`, t => {
    t.like(resultOfPorts(results.map((result, port) => ({ port, result }))), { ok: false, life });
  });
}

// The hooks as a whole with a stand-in for the runner: order, further tries, what is kept across a restart, no loops.
import test, { type ExecutionContext } from 'ava';
import { configSchema } from '../../src/config/schema.ts';
import { type KeptHooks, NOTHING_KEPT } from '../../src/hooks/hook-report.ts';
import { type Hooks, startHooks } from '../../src/hooks/io/hooks.ts';
import { EVENTS, type EventCode } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import type { RunAnswer, RunRequest } from '../../src/runner/runner-message.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { until } from '../until.ts';

const GOOD: RunAnswer = { type: 'ended', how: 'exit', status: 0, tookMs: 1, reason: 'exit status 0', output: '' };
const BAD: RunAnswer = { ...GOOD, status: 1, reason: 'exit status 1: busy' };

interface Rig {
  readonly hooks: Hooks;
  /** "hook event" of each try. */
  readonly tried: string[];
  readonly messages: Record<string, unknown>[];
  readonly events: { code: EventCode; fields: Fields }[];
  /** What is answered next; the last one again and again. */
  answers: (RunAnswer | Promise<RunAnswer>)[];
  owns: boolean;
  /** What the peer is told: "hook dedup". */
  readonly said: string[];
  kept: KeptHooks;
}

const configOf = (hooks: Record<string, object>) => ({ pair: 'edge', hooks: configSchema.shape.hooks.parse(hooks) });

function rig(t: ExecutionContext, hooks: Record<string, object>, kept = NOTHING_KEPT): Rig {
  const made = { tried: [], messages: [], events: [], answers: [GOOD], kept, owns: true, said: [] } as unknown as {
    -readonly [K in keyof Rig]: Rig[K];
  };
  const happens = (code: EventCode, fields: Fields = {}) =>
    made.hooks.take({ at: '2026-11-29T19:00:00.000Z', process: 'director', code, fields });
  made.hooks = startHooks({
    ...{ config: configOf(hooks), node: 'r1', socketPath: '/none', now: monotonicNow, wall: () => '', kept },
    log: {
      event: (code, fields = {}) => {
        const [said, known] = [fields, EVENTS[code].fields].map(names => Object.keys(names).sort().join());
        if (said !== known) throw new Error(`${code} has ${said}, and the catalogue ${known}`);
        made.events.push({ code, fields });
        // As the director's log does.
        happens(code, fields);
      },
    },
    keep: next => {
      made.kept = next;
    },
    onChange: () => undefined,
    owns: () => made.owns,
    say: ({ hook, dedup }) => void made.said.push(`${hook} ${dedup}`),
    ask: async (_, { run, message = '' }: RunRequest) => {
      const told = JSON.parse(message) as Record<string, unknown>;
      made.messages.push(told);
      made.tried.push(
        `${run.type === 'hook' ? run.hook : ''} ${(told.fields as { server?: string }).server ?? told.code}`,
      );
      return (made.answers.length > 1 ? made.answers.shift() : made.answers[0]) as RunAnswer;
    },
  });
  t.teardown(() => made.hooks.stop());
  return made;
}

const down = ({ hooks }: Rig, server: string) =>
  hooks.take({ at: '', process: 'director', code: 'SERVER_DOWN', fields: { service: 'ftp', server } });

const ERRORS = { severity: 'err', command: ['/bin/true'], retry_after: '100ms' };

test('each hook is told in the order of the events, and one that hangs holds up nobody else', async t => {
  const made = rig(t, { slow: ERRORS, quick: ERRORS, deaf: { ...ERRORS, except: ['SERVER_*'] } });
  let end: (answer: RunAnswer) => void = () => undefined;
  made.answers = [new Promise(resolve => (end = resolve)), GOOD];
  for (const server of ['s1', 's2', 's3']) down(made, server);
  await until('the quick one has all', () => made.tried.filter(one => one.startsWith('quick')).length === 3);
  t.deepEqual(
    made.tried.filter(one => one.startsWith('slow')),
    ['slow s1'],
  );
  t.like(made.hooks.reports()[0], { name: 'slow', waiting: 3, sent: 0 });
  end(GOOD);
  await until('the slow one, too', () => made.tried.length === 6);
  t.deepEqual(
    ['slow', 'quick'].map(name => made.tried.filter(one => one.startsWith(name)).join()),
    ['slow s1,slow s2,slow s3', 'quick s1,quick s2,quick s3'],
  );
  t.like(made.messages[0], { hook: 'slow', code: 'SERVER_DOWN', pair: 'edge', node: 'r1' });
});

test('a try that fails is made again with the same message; what is lost is told once, and never to a hook', async t => {
  const made = rig(t, { all: { ...ERRORS, severity: 'debug', events: ['*'], retries: 2 } });
  made.answers = [BAD, GOOD, BAD, BAD, BAD, GOOD];
  down(made, 's1');
  await until('it got through', () => made.hooks.reports()[0]?.sent === 1);
  t.is(made.messages[0]?.id, made.messages[1]?.id);
  down(made, 's2');
  await until('it is lost', () => made.hooks.reports()[0]?.lost === 1);
  t.like(made.hooks.reports()[0], { failing: true, waiting: 0, outcome: 'exit status 1: busy' });
  down(made, 's3');
  await until('it works again', () => made.hooks.reports()[0]?.sent === 2);
  t.deepEqual(made.tried, ['all s1', 'all s1', 'all s2', 'all s2', 'all s2', 'all s3']);
  t.deepEqual(
    made.events.map(({ code }) => code),
    ['HOOK_RETRIED', 'HOOK_RETRIED', 'HOOK_RETRIED', 'HOOK_FAILED', 'HOOK_WORKS'],
  );
});

test('what waits is bounded, and what goes is told', async t => {
  const made = rig(t, { one: { ...ERRORS, queue: 2 } });
  made.answers = [new Promise(() => undefined)];
  for (const server of ['s1', 's2', 's3', 's4']) down(made, server);
  t.like(made.hooks.reports()[0], { waiting: 3, dropped: 1 });
  t.deepEqual(made.events, [{ code: 'HOOK_DROPPED', fields: { hook: 'one', event: 'SERVER_DOWN' } }]);
});

test('what has not got through is kept for the next start, and events of pulse are told once', async t => {
  const before = rig(t, { one: ERRORS });
  before.answers = [new Promise(() => undefined)];
  down(before, 's1');
  const list = [1, 2].map(seq => ({ seq, at: '', code: 'ISOLATED', fields: { onIsolation: 'release' } }));
  before.hooks.takePulse({ life: 'x', list });
  before.hooks.takePulse({ life: 'x', list });
  before.hooks.stop();
  t.is(before.kept.waiting.one?.length, 3);

  const made = rig(t, { one: ERRORS, other: ERRORS }, before.kept);
  await until('it is told', () => made.tried.length === 3);
  made.hooks.takePulse({ life: 'x', list: [...list, { seq: 5, at: '', code: 'NO_SUCH_CODE', fields: {} }] });
  t.deepEqual(made.tried, ['one s1', 'one ISOLATED', 'one ISOLATED']);
  t.deepEqual(made.events, [{ code: 'HOOK_EVENTS_MISSED', fields: { events: 2 } }]);
  t.deepEqual(made.kept.waiting, {});
});

test('a reload has what waits for its next try tried at once, and a hook that leaves is forgotten', async t => {
  const made = rig(t, { one: { ...ERRORS, retry_after: '5m' }, gone: { ...ERRORS, retries: 0 } });
  made.answers = [BAD, BAD, GOOD];
  down(made, 's1');
  await until('both have failed', () => made.events.length === 2);
  made.hooks.update(configOf({ one: ERRORS }));
  await until('it got through', () => made.hooks.reports()[0]?.sent === 1);
  t.deepEqual(
    made.hooks.reports().map(({ name }) => name),
    ['one'],
  );
  t.true(made.events.some(({ code, fields }) => code === 'HOOK_WORKS' && fields.hook === 'gone'));
});

test('a test is sent past what waits, once', async t => {
  const made = rig(t, { one: { ...ERRORS, retry_after: '5m' } });
  made.answers = [BAD];
  down(made, 's1');
  await until('it waits', () => made.events.length === 1);
  t.deepEqual(await made.hooks.test('one'), { good: false, reason: 'exit status 1: busy' });
  t.is(await made.hooks.test('none'), undefined);
  t.deepEqual(made.tried, ['one s1', 'one HOOK_TEST']);
  t.is(made.hooks.reports()[0]?.waiting, 1);
});

test('of two routers one sends: the owner, or the other one when it becomes the owner', async t => {
  const [owner, other] = [rig(t, { one: ERRORS }), rig(t, { one: ERRORS })];
  other.owns = false;
  down(other, 's1');
  down(owner, 's1');
  await until('the owner has said it', () => owner.said.length === 1);
  t.deepEqual(owner.said, ['one edge/SERVER_DOWN/ftp/s1']);
  other.hooks.peerSent({ hook: 'one', dedup: 'edge/SERVER_DOWN/ftp/s1' });
  down(other, 's2');
  t.deepEqual(other.tried, []);
  t.is(other.kept.waiting.one?.length, 1, 'a restart loses nothing of it');
  other.owns = true;
  other.hooks.settle();
  await until('the new owner has sent what the old one did not', () => other.said.length === 1);
  t.deepEqual(other.tried, ['one s2']);
});

test('what concerns one router is sent by that router, and all is by each where a hook wants that', async t => {
  const made = rig(t, { one: ERRORS, each: { ...ERRORS, once_per_pair: false } });
  made.owns = false;
  const happens = (code: EventCode, fields: Fields) => made.hooks.take({ at: '', process: 'director', code, fields });
  happens('ISOLATED', { onIsolation: 'keep' });
  down(made, 's1');
  happens('ROLE_CHANGED', { to: 'active', epoch: '1.1' });
  await until('it is sent', () => made.tried.length === 3);
  t.deepEqual([...made.tried].sort(), ['each ISOLATED', 'each s1', 'one ISOLATED']);
});

// The check of a service that is not FTP under a server that may do anything in any order. No sockets: the dialogue is a function of
// events and time, so that thousands of servers a second are tried, and each ends within its check's time.
import type { PortAsks, PortPlan } from '../../../src/nanny/plain-plan.ts';
import { exchange, http, portPlanFor } from '../../nanny/port-plan-for.ts';
import { insist, type Target } from '../target.ts';

const STEPS_MAX = 200;
const TIMEOUT_MS = 8_000;
const MAX_BYTES = 500;
const SECRET = 'hunter2';

const WORDS: readonly string[] = [
  'SSH-2.0-x\r\n',
  'SSH-2',
  '+PONG\r\n',
  '+PO',
  `-ERR ${SECRET}\r\n`,
  '220 ready\r\n',
  '\x00\x1b[2J\x85',
  'x'.repeat(2_000),
];

function asksOf(choice: number, more: number): PortAsks {
  const text = Buffer.from('all is well');
  const content = { size: more & 1 ? 40 : undefined, sha256: more & 2 ? 'a'.repeat(64) : undefined, text };
  switch (choice % 5) {
    case 0:
      return { type: 'nothing' };
    case 1:
      return { type: 'banner', expect: more & 1 ? Buffer.from('SSH-2.0-') : undefined, maxBytes: MAX_BYTES };
    case 2:
      return http({ content, maxBytes: MAX_BYTES, method: more & 4 ? 'HEAD' : 'GET' });
    default: {
      const banner = more & 1 ? Buffer.from('220 ') : undefined;
      const expect = more & 2 ? Buffer.from('+PONG') : undefined;
      return exchange(`AUTH ${SECRET}\r\n`, { banner, expect, maxBytes: MAX_BYTES, isSecret: (more & 4) !== 0 });
    }
  }
}

function planOf(flags: number, more: number): PortPlan {
  const verify = more & 8 ? 'none' : 'chain';
  const tls = flags & 64 ? ({ mode: 'implicit', name: undefined, ca: undefined, verify } as const) : undefined;
  const protocol = flags & 128 && tls === undefined ? 'udp' : 'tcp';
  return portPlanFor({ asks: asksOf(flags, more), tls, protocol, timeoutMs: TIMEOUT_MS as PortPlan['timeoutMs'] });
}

export const portDialogueTarget: Target = {
  name: 'port-dialogue',
  says: 'a check of any server that is not FTP: ends within its time, asks once, keeps little, tells no secret',
  files: ['src/nanny/port-check.ts', 'src/nanny/stage-clock.ts'],
  words: WORDS,
  bytesMax: 200,
  async load() {
    const { beginPort, SAID_BYTES_MAX, stepPort } = await import('../../../src/nanny/port-check.ts');
    type Event = Parameters<typeof stepPort>[1];
    type Effect = ReturnType<typeof stepPort>['effects'][number];

    const run = (input: Buffer) => {
      const plan = planOf(input[0] ?? 0, input[1] ?? 0);
      let now = 1_000;
      let ended = false;
      let asked = 0;
      let isTrusted = plan.tls === undefined;
      const note = (effect: Effect) => {
        insist(!ended, `${effect.type} after the finish`);
        if (effect.type === 'send' || effect.type === 'request') {
          asked += 1;
          insist(isTrusted, 'a stranger is asked');
        }
        if (effect.type === 'setDeadline') insist(effect.at <= 1_000 + TIMEOUT_MS, 'no bound');
        if (effect.type !== 'finish') return;
        ended = true;
        const { result } = effect;
        insist(plan.asks.type !== 'exchange' || !JSON.stringify(result).includes(SECRET), 'a secret is told');
        if (!result.ok) insist([...result.words].length <= 200 && !/\p{C}/u.test(result.words), 'bad words');
      };
      const begun = beginPort(plan, now as never);
      let dialogue = begun.next;
      begun.effects.forEach(note);
      const feed = (event: Event) => {
        if (event.type === 'secured' && dialogue.phase.name === 'securing')
          isTrusted = event.certificate.chainFault === undefined || plan.tls?.verify === 'none';
        const step = stepPort(dialogue, event, now as never);
        dialogue = step.next;
        step.effects.forEach(note);
        insist(dialogue.said.length <= SAID_BYTES_MAX, 'too much is kept');
        insist(dialogue.heard.bytes <= MAX_BYTES && dialogue.heard.tail.length < 11, 'too much is read');
      };
      const serve = (op: number, argument: number) => {
        const faults = [undefined, 'ECONNRESET', 'HPE_INVALID_CONSTANT', 'CERT_HAS_EXPIRED'] as const;
        const fault = faults[argument % 4];
        const error = fault !== undefined && { error: fault };
        switch (op % 9) {
          case 0:
          case 1:
            return feed({ type: 'connected' });
          case 2:
            return feed({ type: 'received', bytes: Buffer.from(WORDS[argument % WORDS.length] ?? '', 'latin1') });
          case 3:
            return feed({ type: 'received', bytes: Buffer.alloc(argument % 4, argument) });
          case 4: {
            const certificate = { validUntil: '', daysLeft: argument - 9, chainFault: fault, nameFault: undefined };
            return feed({ type: 'secured', certificate });
          }
          case 5:
            return feed({ type: 'responded', status: argument * 4, reason: WORDS[argument % WORDS.length] ?? '' });
          case 6:
            return feed({ type: 'body', bytes: Buffer.alloc(argument, 'all is well') });
          case 7:
            return feed(argument & 1 ? { type: 'closed', ...error } : { type: 'body-ended', sha256: 'a'.repeat(64) });
          case 8:
            now += argument * 4;
            return feed({ type: 'timeout' });
        }
      };
      for (let at = 2, steps = 0; at + 1 < input.length && steps < STEPS_MAX; at += 2, steps++)
        serve(input[at] ?? 0, input[at + 1] ?? 0);
      now = Math.max(now, dialogue.deadline);
      if (!ended) feed({ type: 'timeout' });
      insist(ended, `still ${dialogue.phase.name} after its deadline`);
      insist(asked <= 1, `${asked} requests were made`);
    };
    const steps = (flags: number, more: number, ...ops: readonly (readonly [op: number, argument: number])[]) =>
      Buffer.from([flags, more, ...ops.flat()]);
    return {
      seeds: [
        steps(0, 0, [0, 0]),
        steps(1, 1, [0, 0], [2, 1], [2, 0]),
        steps(3, 3, [0, 0], [2, 5], [2, 3], [2, 2]),
        steps(3, 2, [0, 0], [2, 4]),
        steps(128 + 3, 2, [0, 0], [2, 2]),
        steps(2, 1, [0, 0], [5, 50], [6, 40], [7, 0]),
        steps(64 + 2, 0, [0, 0], [4, 20], [5, 50], [6, 200], [6, 200], [6, 200]),
        steps(64 + 2, 0, [0, 0], [4, 7], [7, 1]),
      ],
      run,
    };
  },
};

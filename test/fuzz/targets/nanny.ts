// The whole FTP check under a server that may do anything in any order: good answers, nonsense, data, TLS, silence. No sockets: the
// dialogue is a function of events and time, so that thousands of servers a second are tried, and each ends within its check's time.
import { insist, type Target } from '../target.ts';

/** Steps of one server; silence comes after them. */
const STEPS_MAX = 200;
/** A dialogue that has not ended after as many deadlines has none. */
const DEADLINES_MAX = 40;
const TIMEOUT_MS = 8_000;

const GOOD: Readonly<Record<string, string>> = {
  '': '220 hi\r\n',
  AUTH: '234 go\r\n',
  USER: '331 password\r\n',
  PASS: '230 in\r\n',
  PBSZ: '200 ok\r\n',
  PROT: '200 ok\r\n',
  TYPE: '200 ok\r\n',
  CWD: '250 ok\r\n',
  PASV: '227 Entering (192,0,2,100,39,17).\r\n',
  EPSV: '229 Entering (|||10001|)\r\n',
  PORT: '200 ok\r\n',
  EPRT: '200 ok\r\n',
  LIST: '150 here\r\n226 done\r\n',
  RETR: '150 here\r\n226 done\r\n',
  STOR: '150 send\r\n226 done\r\n',
  DELE: '250 gone\r\n',
};

const BAD: readonly string[] = [
  '227 Entering (203,0,113,9,39,17).\r\n',
  '227 Entering (192,0,2,100,0,21).\r\n',
  '229 Entering (|1|203.0.113.9|10001|)\r\n',
  '421 gone\r\n',
  '425 cannot\r\n',
  '550-no\r\n550 no\r\n',
  '234 go\r\n331 injected\r\n',
  '120 wait\r\n',
  `${'x'.repeat(2_000)}\r\n`,
  '226 done\r\n',
];

export const ftpDialogueTarget: Target = {
  name: 'ftp-dialogue',
  says: 'an FTP check of any server: ends within its time, goes to no other port than it may, sends whole lines, keeps little',
  files: [
    'src/nanny/ftp.ts',
    'src/nanny/transfer.ts',
    'src/nanny/dialogue.ts',
    'src/nanny/content.ts',
    'src/nanny/certificate.ts',
  ],
  words: [...Object.values(GOOD), ...BAD],
  bytesMax: 400,
  async load() {
    const { beginDialogue, stepDialogue } = await import('../../../src/nanny/ftp.ts');
    const { planOf } = await import('./nanny-plan.ts');
    type Event = Parameters<typeof stepDialogue>[1];
    type Effect = ReturnType<typeof stepDialogue>['effects'][number];

    const run = (input: Buffer) => {
      const plan = planOf(input[0] ?? 0, input[1] ?? 0);
      let now = 1_000;
      let verb = '';
      let ended = false;
      /** A certificate that clients take was seen; or there is no TLS. */
      let isTrusted = plan.tls === undefined;
      let lines = 0;
      const note = (effect: Effect) => {
        insist(!ended, `${effect.type} after the finish`);
        if (effect.type === 'sendLine') {
          verb = effect.line.split(' ')[0] ?? '';
          lines += 1;
          insist(!/[\r\n\0]/.test(effect.line), 'a line holds another one');
          insist(verb !== 'PASS' || isTrusted, 'the password goes to a stranger');
        }
        if (effect.type === 'openData')
          insist(effect.port >= 10_000 && effect.port <= 20_000, `data port ${effect.port}`);
        if (effect.type === 'setDeadline') insist(effect.at <= 1_000 + TIMEOUT_MS + 200 || verb === 'QUIT', 'no bound');
        if (effect.type === 'finish') {
          ended = true;
          if (!effect.result.ok) insist([...effect.result.words].length <= 200, 'long words');
        }
      };
      const begun = beginDialogue(plan, now as never);
      let dialogue = begun.next;
      begun.effects.forEach(note);
      const feed = (event: Event) => {
        if (event.type === 'secured' && dialogue.phase.name === 'securing')
          isTrusted = event.certificate.chainFault === undefined || plan.tls?.verify === 'none';
        const step = stepDialogue(dialogue, event, now as never);
        dialogue = step.next;
        step.effects.forEach(note);
        insist(dialogue.reader.partial.length <= 65_536, 'more is kept than may come');
        if (dialogue.phase.name === 'transferring') insist(dialogue.phase.content.tail.length < 8, 'contents are kept');
      };
      const text = (said: string) => feed({ type: 'received', bytes: Buffer.from(said, 'latin1') });
      const serve = (op: number, argument: number) => {
        const faults = [undefined, 'ECONNRESET', 'ERR_SSL_WRONG_VERSION_NUMBER', 'CERT_HAS_EXPIRED'] as const;
        const fault = faults[argument % 4];
        switch (op % 12) {
          case 0:
          case 1:
          case 2:
            return text(GOOD[verb] ?? '200 ok\r\n');
          case 3:
            return text(BAD[argument % BAD.length] ?? '');
          case 4:
            return text(String.fromCharCode(argument));
          case 5:
            return feed({ type: 'connected' });
          case 6:
            return feed({
              type: 'secured',
              certificate: { validUntil: '', daysLeft: argument - 9, chainFault: fault, nameFault: undefined },
            });
          case 7:
            return feed({
              type: 'data-connected',
              from: { address: '198.51.100.11', port: argument % 2 ? 20 : argument },
            });
          case 8:
            return feed({ type: 'data', bytes: Buffer.alloc(argument * 8, 'is well ') });
          case 9:
            return feed({ type: 'data-closed', sha256: 'a'.repeat(64), ...(fault !== undefined && { error: fault }) });
          case 10:
            return argument < 8
              ? feed({ type: 'closed', ...(fault !== undefined && { error: fault }) })
              : feed({ type: 'listening', address: '198.51.100.2' as never, port: 1_024 + argument });
          case 11:
            now += argument * 4;
            return feed({ type: 'timeout' });
        }
      };
      for (let at = 2, steps = 0; at + 1 < input.length && steps < STEPS_MAX; at += 2, steps++)
        serve(input[at] ?? 0, input[at + 1] ?? 0);
      for (let silence = 0; !ended && silence < DEADLINES_MAX; silence++) {
        now = Math.max(now, dialogue.deadline);
        feed({ type: 'timeout' });
      }
      insist(ended, `still ${dialogue.phase.name} after ${DEADLINES_MAX} deadlines`);
      insist(lines < 20, `${lines} commands were sent`);
    };
    const steps = (flags: number, more: number, ...ops: readonly (readonly [op: number, argument: number])[]) =>
      Buffer.from([flags, more, ...ops.flat()]);
    const go = [0, 0] as const;
    const data = [8, 5] as const;
    const end = [9, 0] as const;
    const login = [[5, 0], go, go, go, go] as const;
    return {
      seeds: [
        steps(0, 0, ...login, go, [7, 1], go, data, end),
        // A third host, a port of the system, replies in the clear behind the 234.
        steps(0, 0, ...login, [3, 0]),
        steps(0, 0, ...login, [3, 1]),
        steps(1, 0, [5, 0], go, [3, 6], [6, 20], go, go),
        steps(1, 0, [5, 0], go, go, [6, 20], go, go, go, go, go, go, [7, 1], go, data, end),
        steps(2, 1, [5, 0], [6, 20], go, go, go, go, go, go, go, [10, 9], go, [7, 1], go, data, end),
        steps(0, 6, ...login, go, go, [7, 1], data, end, go, go, go, [7, 1], go, go),
      ],
      run,
    };
  },
};

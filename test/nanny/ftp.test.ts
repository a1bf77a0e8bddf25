import test from 'ava';
import type { CheckPlan } from '../../src/nanny/check-plan.ts';
import { type Dialogue, type DialogueEffect, type DialogueEvent, QUIT_MS } from '../../src/nanny/dialogue.ts';
import { beginDialogue, stepDialogue } from '../../src/nanny/ftp.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { planFor } from './plan-for.ts';

const PLAN = planFor({ maxBytes: 1_000 });

/** A moment of a dialogue: text is bytes from the server, a number lets milliseconds pass, the rest are events. */
type Moment = string | number | Uint8Array | DialogueEvent;

class Run {
  dialogue: Dialogue;
  at = 1_000;
  deadline = 0;
  result: CheckResult | undefined;
  /** Effects in short: "> LINE", "data PORT", "close data", "finish". */
  readonly done: string[] = [];

  constructor(plan: Partial<CheckPlan> = {}) {
    const begun = beginDialogue({ ...PLAN, ...plan }, this.at as At);
    this.dialogue = begun.next;
    begun.effects.forEach(effect => {
      this.#note(effect);
    });
  }

  play(...moments: readonly Moment[]): this {
    for (const moment of moments) {
      if (typeof moment === 'number') this.at += moment;
      else if (typeof moment === 'string') this.#feed({ type: 'received', bytes: Buffer.from(moment) });
      else if (moment instanceof Uint8Array) this.#feed({ type: 'received', bytes: moment });
      else this.#feed(moment);
    }
    return this;
  }

  /** Lets the deadline pass. */
  hang(): this {
    this.at = this.deadline;
    return this.play({ type: 'timeout' });
  }

  #feed(event: DialogueEvent): void {
    const step = stepDialogue(this.dialogue, event, this.at as At);
    this.dialogue = step.next;
    step.effects.forEach(effect => {
      this.#note(effect);
    });
  }

  #note(effect: DialogueEffect): void {
    if (effect.type === 'setDeadline') this.deadline = effect.at;
    else if (effect.type === 'sendLine') this.done.push(`> ${effect.line}`);
    else if (effect.type === 'openData') this.done.push(`data ${effect.port}`);
    else if (effect.type === 'closeData') this.done.push('close data');
    else if (effect.type === 'sendData') this.done.push('send data');
    else if (effect.type === 'secure' || effect.type === 'listen') this.done.push(effect.type);
    else {
      this.done.push('finish');
      this.result = effect.result;
    }
  }
}

const CONNECTED: DialogueEvent = { type: 'connected' };
const DATA_CONNECTED: DialogueEvent = { type: 'data-connected' };
const DATA_CLOSED: DialogueEvent = { type: 'data-closed' };
const data = (count: number): DialogueEvent => ({ type: 'data', bytes: Buffer.alloc(count, 'x') });
const closed = (error?: string): DialogueEvent =>
  error === undefined ? { type: 'closed' } : { type: 'closed', error };
const dataBroken = (error: string): DialogueEvent => ({ type: 'data-closed', error });

const GREETED: readonly Moment[] = [CONNECTED, '220 (vsFTPd 3.0.3)\r\n'];
const ASKED: readonly Moment[] = [...GREETED, '331 Please specify the password.\r\n'];
const LOGGED_IN: readonly Moment[] = [...ASKED, '230 Login successful.\r\n'];
const TYPED: readonly Moment[] = [...LOGGED_IN, '200 Switching to Binary mode.\r\n'];
const ANNOUNCED: readonly Moment[] = [...TYPED, '227 Entering Passive Mode (192,0,2,100,39,17).\r\n'];
const OPENED: readonly Moment[] = [...ANNOUNCED, DATA_CONNECTED];
const STARTED: readonly Moment[] = [...OPENED, '150 Here comes the directory listing.\r\n'];
const ENDED: readonly Moment[] = [...STARTED, data(120), DATA_CLOSED];
const COMPLETE: readonly Moment[] = [...ENDED, '226 Directory send OK.\r\n'];

test('a good server is asked for all a client needs, thanked, and passes', t => {
  const run = new Run().play(...COMPLETE, 7, '221 Goodbye.\r\n');
  t.deepEqual(run.done, [
    '> USER anonymous',
    '> PASS tandem@',
    '> TYPE I',
    '> PASV',
    'data 10001',
    '> LIST',
    'close data',
    '> QUIT',
    'close data',
    'finish',
  ]);
  t.like(run.result, { ok: true, tookMs: 0, bytes: 120 });
});

test('a greeting may be as long as clients read it: a notice of a hundred lines, one of them of 4 KiB', t => {
  const notice = `220-${'n'.repeat(4_096)}\r\n${'220-Maintenance on Sunday.\r\n'.repeat(100)}220 ready\r\n`;
  const run = new Run().play(CONNECTED, notice, ...COMPLETE.slice(GREETED.length), '221 Goodbye.\r\n');
  t.like(run.result, { ok: true, bytes: 120 });
});

test('the time of a check ends with the final reply, not with the answer to QUIT', t => {
  const run = new Run().play(40, ...ENDED, 2, '226 OK\r\n', 150, '221 Bye\r\n');
  t.like(run.result, { ok: true, tookMs: 42 });
});

test('a server that does not answer QUIT is not waited for longer than 200 ms', t => {
  const run = new Run().play(...COMPLETE);
  t.is(run.result, undefined);
  t.is(run.deadline, run.at + QUIT_MS);
  t.like(run.hang().result, { ok: true });
  t.like(new Run().play(...COMPLETE, closed()).result, { ok: true });
  t.like(new Run().play(...COMPLETE, closed('ECONNRESET')).result, { ok: true });
  t.like(new Run().play(...COMPLETE, 'nonsense\r\n').result, { ok: true });
});

test('a dialogue goes the same way wherever the packets are split', t => {
  const packets = [
    '220-Hello\r\n you\r\n220 ready\r\n',
    '331 password\r\n',
    '230-Welcome\n230 in\n',
    '200 ok\r\n',
    '227 Entering Passive Mode (192,0,2,100,39,17).\r\n',
  ];
  const ends = ['150 Here\r\n', '226 Done\r\n', '221 Bye\r\n'];
  const steps: Moment[] = [
    CONNECTED,
    ...packets,
    DATA_CONNECTED,
    ends[0] ?? '',
    data(9),
    DATA_CLOSED,
    ...ends.slice(1),
  ];
  const whole = new Run().play(...steps);
  t.like(whole.result, { ok: true, bytes: 9 });
  steps.forEach((step, index) => {
    if (typeof step !== 'string') return;
    const bytes = Buffer.from(step);
    for (let cut = 1; cut < bytes.length; cut++) {
      const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
      const run = new Run().play(...steps.slice(0, index), ...parts, ...steps.slice(index + 1));
      t.deepEqual([run.done, run.result], [whole.done, whole.result], `"${step}" cut at ${cut}`);
    }
  });
});

test('the final reply may come before the data and its end', t => {
  const run = new Run().play(...STARTED, '226 Done.\r\n', data(10), DATA_CLOSED);
  t.like(run.play('221 Bye\r\n').result, { ok: true, bytes: 10 });
  t.like(new Run().play(...OPENED, data(10), DATA_CLOSED, '150 Go\r\n226 Done\r\n').hang().result, {
    ok: true,
    bytes: 10,
  });
});

test('an empty listing is good, an empty file is not', t => {
  t.like(new Run().play(...STARTED, DATA_CLOSED, '250 Done\r\n').hang().result, { ok: true, bytes: 0 });
  t.like(new Run({ fetch: 'check.bin' }).play(...STARTED, DATA_CLOSED, '226 Done\r\n').hang().result, {
    ok: false,
    stage: 'transfer',
    problem: 'the fetched file is empty; name one with contents in check.fetch',
  });
});

test('a file is fetched by its path, which cannot become a second command', t => {
  t.true(new Run({ fetch: 'pub/a b.bin' }).play(...OPENED).done.includes('> RETR pub/a b.bin'));
  t.true(new Run({ fetch: 'x\r\nDELE x' }).play(...OPENED).done.includes('> RETR x??DELE x'));
  t.true(new Run({ password: 'p\nq' }).play(...ASKED).done.includes('> PASS p?q'));
});

for (const code of [226, 250, 426, 451, 150]) {
  test(`after max_bytes the data connection is closed and ${code} is a good end`, t => {
    const run = new Run({ fetch: 'big' }).play(...STARTED, data(600));
    t.false(run.done.includes('close data'));
    run.play(data(400));
    t.is(run.done.at(-1), 'close data');
    t.like(run.play(`${code} end\r\n`).hang().result, { ok: true, bytes: 1_000 });
  });
}

test('426 or a second 150 without our having closed the data connection is a failure', t => {
  t.like(new Run().play(...ENDED, '150 0.002 s\r\n').hang().result, {
    ok: false,
    stage: 'complete',
    words: '150 0.002 s',
  });
  t.like(new Run().play(...ENDED, '426 Broken\r\n').hang().result, {
    ok: false,
    stage: 'complete',
    words: '426 Broken',
  });
  t.like(new Run().play(...STARTED, data(1_000), '550 No\r\n').hang().result, { ok: false, stage: 'complete' });
});

test('a user who needs no password is not asked for one', t => {
  const run = new Run().play(...GREETED, '230 In\r\n');
  t.deepEqual(run.done, ['> USER anonymous', '> TYPE I']);
});

test('EPSV takes the port of 229 and nothing else', t => {
  const run = new Run({ data: 'epsv' }).play(...TYPED, '229 Extended (|||10001|)\r\n');
  t.deepEqual(run.done.slice(-2), ['> EPSV', 'data 10001']);
});

test('120 delays the greeting within its stage', t => {
  const run = new Run().play(CONNECTED, '120 Wait\r\n', 2_000);
  const { deadline } = run;
  t.is(run.play('220 Now\r\n').done.at(-1), '> USER anonymous');
  t.is(deadline, 1_000 + 3_000);
});

interface Failing {
  readonly title: string;
  readonly moments: readonly Moment[];
  readonly plan?: Partial<CheckPlan>;
  readonly stage: string;
  readonly problem: string | RegExp;
  readonly words: string;
}
const VSFTPD = '220 (vsFTPd 3.0.3)';
const FAILINGS: readonly Failing[] = [
  {
    title: 'a refused connection',
    moments: [closed('ECONNREFUSED')],
    stage: 'connect',
    problem: '198.51.100.11:21 cannot be reached (ECONNREFUSED)',
    words: '',
  },
  {
    title: 'a greeting of 530',
    moments: [CONNECTED, '530 No\r\n'],
    stage: 'greeting',
    problem: 'the greeting is 530, not 220',
    words: '530 No',
  },
  {
    title: 'too many users',
    moments: [CONNECTED, '421 There are too many connected users, please try later.\r\n'],
    stage: 'greeting',
    problem: 'the server refuses service and closes (421)',
    words: '421 There are too many connected users, please try later.',
  },
  {
    title: 'a wrong password',
    moments: [...ASKED, '530 Login incorrect.\r\n'],
    stage: 'login',
    problem: 'login of user "anonymous" is refused: PASS is answered with 530',
    words: '530 Login incorrect.',
  },
  {
    title: 'a refused user',
    moments: [...GREETED, '530 No\r\n'],
    stage: 'login',
    problem: /USER is answered with 530/,
    words: '530 No',
  },
  {
    title: 'ACCT wanted after USER',
    moments: [...GREETED, '332 Account\r\n'],
    stage: 'login',
    problem: /\(ACCT\)/,
    words: '332 Account',
  },
  {
    title: 'ACCT wanted after PASS',
    moments: [...ASKED, '332 Account\r\n'],
    stage: 'login',
    problem: /\(ACCT\)/,
    words: '332 Account',
  },
  {
    title: 'a second 331',
    moments: [...ASKED, '331 Again\r\n'],
    stage: 'login',
    problem: /PASS is answered with 331/,
    words: '331 Again',
  },
  {
    title: 'TYPE refused',
    moments: [...LOGGED_IN, '504 No\r\n'],
    stage: 'login',
    problem: /TYPE I is answered with 504/,
    words: '504 No',
  },
  {
    title: 'a foreign address in 227',
    moments: [...TYPED, '227 Entering Passive Mode (198,51,100,11,39,17).\r\n'],
    stage: 'passive',
    problem: /^PASV announces 198\.51\.100\.11, not 192\.0\.2\.100; set pasv_address/,
    words: '227 Entering Passive Mode (198,51,100,11,39,17).',
  },
  {
    title: 'a port below the range',
    moments: [...TYPED, '227 Entering Passive Mode (192,0,2,100,39,15)\r\n'],
    stage: 'passive',
    problem: "PASV announces port 9999, outside 10000-20000; set the server's passive port range to it",
    words: '227 Entering Passive Mode (192,0,2,100,39,15)',
  },
  {
    title: 'a port above the range with EPSV',
    plan: { data: 'epsv' },
    moments: [...TYPED, '229 Extended (|||20001|)\r\n'],
    stage: 'passive',
    problem: /EPSV announces port 20001, outside 10000-20000/,
    words: '229 Extended (|||20001|)',
  },
  {
    title: 'a malformed 227',
    moments: [...TYPED, '227 Passive (1,2,3)\r\n'],
    stage: 'passive',
    problem: /malformed.*h1,h2/,
    words: '227 Passive (1,2,3)',
  },
  {
    title: 'a malformed 229',
    plan: { data: 'epsv' },
    moments: [...TYPED, '229 (||10001|)\r\n'],
    stage: 'passive',
    problem: /229 reply is malformed.*\|\|\|port\|/,
    words: '229 (||10001|)',
  },
  {
    title: '229 for PASV',
    moments: [...TYPED, '229 (|||10001|)\r\n'],
    stage: 'passive',
    problem: /PASV is answered with 229, not 227/,
    words: '229 (|||10001|)',
  },
  {
    title: 'a closed data port',
    moments: [...ANNOUNCED, dataBroken('ECONNREFUSED')],
    stage: 'data-connect',
    problem: /data connection to 198\.51\.100\.11:10001 fails \(ECONNREFUSED\)/,
    words: '227 Entering Passive Mode (192,0,2,100,39,17).',
  },
  {
    title: 'an unasked reply',
    moments: [...ANNOUNCED, '226 Done\r\n'],
    stage: 'data-connect',
    problem: /226 without being asked/,
    words: '226 Done',
  },
  {
    title: 'a missing file',
    plan: { fetch: 'gone' },
    moments: [...OPENED, DATA_CLOSED, '550 Failed to open file.\r\n'],
    stage: 'transfer',
    problem: 'RETR is answered with 550, not 125 or 150',
    words: '550 Failed to open file.',
  },
  {
    title: '226 without 150',
    moments: [...OPENED, DATA_CLOSED, '226 Done\r\n'],
    stage: 'transfer',
    problem: /LIST is answered with 226/,
    words: '226 Done',
  },
  {
    title: 'a reset data connection',
    moments: [...STARTED, data(7), dataBroken('ECONNRESET'), '426 Failure writing network stream.\r\n'],
    stage: 'transfer',
    problem: 'the data connection breaks after 7 bytes (ECONNRESET)',
    words: '426 Failure writing network stream.',
  },
  {
    title: '425 in mid-transfer',
    moments: [...STARTED, data(7), '425 Gone\r\n'],
    stage: 'transfer',
    problem: /answered with 425/,
    words: '425 Gone',
  },
  {
    title: 'a bad end',
    moments: [...ENDED, '451 Disk\r\n'],
    stage: 'complete',
    problem: 'the transfer ends with 451, not 226 or 250',
    words: '451 Disk',
  },
  {
    title: 'an unreadable directory behind a good code',
    moments: [...STARTED, DATA_CLOSED, '226 Transfer done (but failed to open directory).\r\n'],
    stage: 'transfer',
    problem: 'the login directory cannot be read; mend its permissions',
    words: '226 Transfer done (but failed to open directory).',
  },
  {
    title: '421 in mid-transfer',
    moments: [...STARTED, '421 Timeout.\r\n'],
    stage: 'transfer',
    problem: /\(421\)/,
    words: '421 Timeout.',
  },
  {
    title: 'nonsense',
    moments: [...ASKED, 'HTTP/1.1 400\r\n'],
    stage: 'login',
    problem: /not an FTP reply/,
    words: 'HTTP/1.1 400',
  },
  {
    title: 'an endless line',
    moments: [CONNECTED, 'x'.repeat(65_537)],
    stage: 'greeting',
    problem: /more than 65536 bytes/,
    words: `${'x'.repeat(199)}…`,
  },
  {
    title: 'an endless reply',
    moments: [CONNECTED, '220-a\r\n'.repeat(9_999)],
    stage: 'greeting',
    problem: /more than 65536 bytes/,
    words: '22',
  },
];
for (const { title, moments, plan, stage, problem, words } of FAILINGS) {
  test(`${title} fails at stage ${stage} with the server's own words`, t => {
    const run = new Run(plan).play(...moments);
    const { result } = run.result ? run : run.hang();
    t.like(result, { ok: false, stage, words });
    const text = result?.ok === false ? result.problem : '';
    if (typeof problem === 'string') t.is(text, problem);
    else t.regex(text, problem);
    t.is(run.done.at(-1), 'finish');
  });
}

const WAITS: readonly [where: string, stage: string, moments: readonly Moment[], awaited: RegExp, words: string][] = [
  ['before the connection', 'connect', [], /^no connection to 198\.51\.100\.11:21/, ''],
  ['before the greeting', 'greeting', [CONNECTED], /^no greeting/, ''],
  ['within the greeting', 'greeting', [CONNECTED, '220-Hel'], /^no greeting/, '220-Hel'],
  ['after USER', 'login', GREETED, /^no answer to USER/, VSFTPD],
  ['after PASS', 'login', ASKED, /^no answer to PASS/, '331 Please specify the password.'],
  ['after TYPE I', 'login', LOGGED_IN, /^no answer to TYPE I/, '230 Login successful.'],
  ['after PASV', 'passive', TYPED, /^no answer to PASV/, '200 Switching to Binary mode.'],
  [
    'before the data connection',
    'data-connect',
    ANNOUNCED,
    /^no data connection to 198\.51\.100\.11:10001/,
    '227 Entering Passive Mode (192,0,2,100,39,17).',
  ],
  [
    'after LIST',
    'transfer',
    OPENED,
    /^no answer \(125 or 150\) to LIST/,
    '227 Entering Passive Mode (192,0,2,100,39,17).',
  ],
  [
    'within the data',
    'transfer',
    [...STARTED, data(5)],
    /^no end of the data after 5 bytes/,
    '150 Here comes the directory listing.',
  ],
  [
    'after 226 with the data connection open',
    'transfer',
    [...STARTED, '226 Done\r\n'],
    /^no end of the data after 0 bytes/,
    '226 Done',
  ],
  [
    'after a reset of the data connection',
    'transfer',
    [...STARTED, dataBroken('ECONNRESET')],
    /ECONNRESET/,
    '150 Here comes the directory listing.',
  ],
  ['after the data', 'complete', ENDED, /^no 226 after 120 bytes/, '150 Here comes the directory listing.'],
];
for (const [where, stage, moments, awaited, words] of WAITS) {
  test(`a server that hangs ${where} fails at stage ${stage} when the stage is over`, t => {
    const run = new Run().play(...moments);
    t.is(run.deadline, run.at + 3_000);
    run.hang();
    t.like(run.result, { ok: false, stage, words, tookMs: 3_000 });
    t.regex(run.result?.ok === false ? run.result.problem : '', awaited);
    t.regex(run.result?.ok === false ? run.result.problem : '', / within 3s$/);
    t.false(run.done.includes('> QUIT'));
  });

  if (stage !== 'connect') {
    test(`a server that closes ${where} fails at stage ${stage} and is said to have closed`, t => {
      const { result } = new Run().play(...moments, closed());
      t.like(result, { ok: false, stage, words });
      t.regex(result?.ok === false ? result.problem : '', /^the server closed the connection: no|ECONNRESET/);
      const reset = new Run().play(...moments, closed('ECONNRESET')).result;
      t.regex(reset?.ok === false ? reset.problem : '', /^the server broke the connection \(ECONNRESET\): /);
    });
  }
}

test('no drip stretches a stage: its deadline stays where it was', t => {
  const run = new Run().play(CONNECTED);
  const { deadline } = run;
  for (const letter of '220-slow') run.play(300, letter);
  t.is(run.deadline, deadline);
  const login = new Run().play(...GREETED);
  login.play(2_000, '331 Password?\r\n');
  t.is(login.deadline, 1_000 + 3_000);
});

test('the whole check has a deadline of its own, shorter than what its stages may take together', t => {
  const run = new Run().play(2_900, CONNECTED, 2_900, '220 hi\r\n');
  t.is(run.deadline, 1_000 + 8_000);
  run.hang();
  t.like(run.result, { ok: false, stage: 'login', tookMs: 8_000 });
  t.regex(run.result?.ok === false ? run.result.problem : '', /^no answer to USER within the 8s of the whole check$/);
});

test('a timer that fires early is set again, not believed', t => {
  const run = new Run().play(2_999.5, { type: 'timeout' });
  t.is(run.result, undefined);
  t.is(run.deadline, 4_000);
});

test('the password does not appear in the verdict when a server quotes it', t => {
  const { result } = new Run({ password: 'hunter22' }).play(...ASKED, '530 "hunter22" is wrong\r\n').hang();
  t.is(result?.ok === false && result.words, '530 "***" is wrong');
});

test('nor does it decoded, encoded, in other letters, or the part of it that has come', t => {
  for (const [password, said] of [
    ['hunter%2022', '530 hunter 22 is wrong\r\n'],
    ['hunter 22', '530 PASS hunter%2022 is wrong\r\n'],
    ['hunter22', '530 PASS HUNTER22 NOT UNDERSTOOD\r\n'],
    ['hunter\u00ad22', '530 "hunter\u00ad22" is wrong\r\n'],
    ['hunter22', '530 unknown: PASS hunte'],
  ] as const) {
    const { result } = new Run({ password }).play(...ASKED, said).hang();
    t.is(result?.ok === false && result.words, '', said);
  }
  const { result } = new Run({ password: 'tandem@' }).play(...ASKED, '530 tandem@ is no mail address\r\n').hang();
  t.is(result?.ok === false && result.words, '530 tandem@ is no mail address');
});

test('what comes after the finish changes nothing', t => {
  const run = new Run().play(CONNECTED, closed());
  const { dialogue } = run;
  const { length } = run.done;
  run.play('220 hi\r\n', CONNECTED, DATA_CONNECTED, data(5), DATA_CLOSED, closed(), { type: 'timeout' });
  t.is(run.dialogue, dialogue);
  t.is(run.done.length, length);
});

const LIVES: readonly [title: string, life: string, moments: readonly Moment[]][] = [
  ['that refuses', 'none', [closed('ECONNREFUSED')]],
  ['that resets before it greets', 'none', [CONNECTED, closed('ECONNRESET')]],
  ['that is no FTP server', 'none', [CONNECTED, 'SSH-2.0-OpenSSH_9.2\r\n']],
  ['that hangs up in order before it greets', 'speaks', [CONNECTED, closed()]],
  ['that is full', 'speaks', [CONNECTED, '421 There are too many connected users.\r\n', 200, { type: 'timeout' }]],
  ['that greets with 530', 'speaks', [CONNECTED, '530 Sorry, the maximum number of clients.\r\n', closed()]],
  ['that locks the account out', 'speaks', [...ASKED, '530 Login incorrect.\r\n', closed()]],
  ['that resets after its greeting', 'speaks', [...GREETED, closed('ECONNRESET')]],
  ['that greets with more than a check reads', 'speaks', [CONNECTED, '220-notice\r\n'.repeat(9_999)]],
  ['whose first line has no end', 'speaks', [CONNECTED, `220 ${'x'.repeat(70_000)}`]],
  ['that is no FTP server and has no end', 'none', [CONNECTED, 'x'.repeat(70_000)]],
  ['that resets in the midst of its greeting', 'speaks', [CONNECTED, '220-notice\r\n', closed('ECONNRESET')]],
  ['that resets in the midst of its first line', 'speaks', [CONNECTED, '220 not', closed('ECONNRESET')]],
  ['that says 120 and resets', 'speaks', [CONNECTED, '120 in a minute\r\n', closed('ECONNRESET')]],
];
for (const [title, life, moments] of LIVES) {
  test(`a server ${title} shows life: ${life}`, t => {
    t.like(new Run().play(...moments).result, { ok: false, life });
  });
}

test('a server that is silent before its greeting shows life "silent", one that is not even reached none', t => {
  t.like(new Run().play(CONNECTED).hang().result, { life: 'silent', tookMs: 3_000 });
  t.like(new Run().hang().result, { life: 'none' });
  t.like(new Run().play(...GREETED).hang().result, { life: 'speaks' });
  t.like(new Run().play(CONNECTED, '220-wait\r\n').hang().result, { life: 'speaks', stage: 'greeting' });
});

test('a patient check waits for the greeting as long as the whole check may take; a late one fails, but is life', t => {
  const late = new Run({ patient: true }).play(CONNECTED);
  t.is(late.deadline, 1_000 + 8_000);
  late.play(7_000, '220 hi\r\n').hang();
  t.like(late.result, { ok: false, stage: 'greeting', life: 'speaks', words: '220 hi', tookMs: 7_000 });
  t.regex(
    late.result?.ok === false ? late.result.problem : '',
    /^the greeting comes, but not within 3s; is its resolver/,
  );
  t.true(late.done.includes('> QUIT'));
  t.like(new Run({ patient: true }).play(CONNECTED).hang().result, { life: 'silent', tookMs: 8_000 });
  const early = new Run({ patient: true }).play(CONNECTED, 2_900, '220 hi\r\n');
  t.is(early.done.at(-1), '> USER anonymous');
  t.is(early.deadline, early.at + 3_000, 'the other stages have their own time');
});

test('of a sorry server a greeting is enough, whatever its code, and it is told goodbye; silence is none', t => {
  for (const greeting of ['421 We are being mended.\r\n', '220 hello\r\n', '530-No\r\n530 No.\r\n']) {
    const run = new Run({ greetingOnly: true }).play({ type: 'connected' }, greeting, { type: 'closed' });
    t.like(run.result, { ok: true });
    t.deepEqual(
      run.done.filter(what => what.startsWith('>')),
      ['> QUIT'],
    );
  }
  const refused = new Run({ greetingOnly: true }).play({ type: 'closed', error: 'ECONNREFUSED' });
  t.like(refused.result, { ok: false, stage: 'connect' });
  const waiting = new Run({ greetingOnly: true }).play({ type: 'connected' }, '120 soon\r\n').hang();
  t.like(waiting.result, { ok: false, stage: 'greeting' });
});

const UNTILS: readonly [until: CheckPlan['until'], moments: readonly Moment[], done: readonly string[]][] = [
  ['connect', [CONNECTED], ['close data', 'finish']],
  ['greeting', GREETED, ['close data', 'finish']],
  ['login', LOGGED_IN, ['> USER anonymous', '> PASS tandem@', 'close data', '> QUIT', 'close data', 'finish']],
];
for (const [until, moments, done] of UNTILS) {
  test(`a check until ${until} ends well there, and says goodbye only after a login`, t => {
    const run = new Run({ until }).play(...moments);
    if (until === 'login') run.play('221 Goodbye.\r\n');
    t.deepEqual(run.done, done);
    t.like(run.result, { ok: true, bytes: 0 });
  });
}

test('a check until login fails with what comes before it', t => {
  const [greeting, login] = [new Run({ until: 'greeting' }), new Run({ until: 'login' })];
  t.like(greeting.play(CONNECTED, '530 No\r\n').hang().result, { ok: false, stage: 'greeting' });
  t.like(login.play(...ASKED, '530 No\r\n').hang().result, { ok: false, stage: 'login' });
});

test('each stage has its own time in the verdict, and a stage that comes twice both', t => {
  const { result } = new Run().play(5, CONNECTED, 7, '220 hi\r\n', 11, '331 p\r\n', 2, '530 no\r\n').hang();
  t.deepEqual(result?.stagesMs, { connect: 5, greeting: 7, login: 13 });
  const twice = new Run({ upload: 'p' }).play(...ENDED, '226 ok\r\n', '550 none\r\n', 3, '227 (192,0,2,100,39,17)\r\n');
  twice.play(4, DATA_CONNECTED, '150 go\r\n', '226 ok\r\n', '250 gone\r\n').hang();
  t.like(twice.result, { ok: true, bytes: 120, stagesMs: { passive: 3, 'data-connect': 4 } });
});

test('a check that passes too slowly fails, and names the stage that took most of it', t => {
  const slow = new Run({ slowFail: { whole: ms(100) } }).play(
    ...GREETED,
    90,
    '331 p\r\n',
    '230 in\r\n',
    20,
    '200 ok\r\n',
  );
  slow.play('227 (192,0,2,100,39,17)\r\n', DATA_CONNECTED, '150 go\r\n', data(3), DATA_CLOSED, '226 ok\r\n').hang();
  t.like(slow.result, { ok: false, stage: 'login', life: 'speaks', tookMs: 110 });
  t.is(
    slow.result?.ok === false ? slow.result.problem : '',
    'the check passes, but takes 110ms, more than the 100ms of check.slow_fail; login takes most of it',
  );
  t.like(new Run({ slowFail: { whole: ms(100) } }).play(...COMPLETE).hang().result, { ok: true });
});

test('a stage that is slower than its limit fails the check, however quick the whole is', t => {
  const run = (slowFail: CheckPlan['slowFail']) => {
    const slow = new Run({ slowFail }).play(...GREETED, 90, '331 p\r\n', '230 in\r\n', 20, '200 ok\r\n');
    slow.play('227 (192,0,2,100,39,17)\r\n', DATA_CONNECTED, '150 go\r\n', data(3), DATA_CLOSED, '226 ok\r\n').hang();
    return slow.result;
  };
  t.like(run({ login: ms(100), whole: ms(300) }), {
    ...{ ok: false, stage: 'login', life: 'speaks', tookMs: 110 },
    problem: 'the check passes, but its login takes 110ms, more than the 100ms of check.slow_fail',
  });
  t.like(run({ login: ms(110), transfer: ms(10), whole: ms(110) }), { ok: true });
});

const WRONGLY: readonly [
  title: string,
  misconfigured: boolean,
  plan: Partial<CheckPlan>,
  moments: readonly Moment[],
][] = [
  ['announces another address', true, {}, [...TYPED, '227 (198,51,100,11,39,17)\r\n']],
  ['announces a port outside the range', true, { data: 'epsv' }, [...TYPED, '229 (|||9999|)\r\n']],
  ['refuses the data connection', true, {}, [...ANNOUNCED, dataBroken('ECONNREFUSED')]],
  ['lets the data connection hang', true, {}, ANNOUNCED],
  ['sends a 227 that cannot be read', false, {}, [...TYPED, '227 ok\r\n']],
  ['refuses the login', false, {}, [...ASKED, '530 no\r\n']],
  ['breaks the data connection', false, {}, [...STARTED, dataBroken('ECONNRESET'), '426 no\r\n']],
  ['hangs in the data', false, {}, STARTED],
];
for (const [title, wrongly, plan, moments] of WRONGLY) {
  test(`a server that ${title} is ${wrongly ? 'misconfigured' : 'broken'}`, t => {
    const run = new Run(plan).play(...moments);
    const result = run.result ?? run.hang().result;
    t.is(result?.ok === false && (result.misconfigured ?? false), wrongly);
    t.like(result, { life: 'speaks' });
  });
}

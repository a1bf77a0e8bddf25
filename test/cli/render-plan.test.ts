// What `tandem plan` and `tandem reload` print.
import test from 'ava';
import {
  renderPairOutcome,
  renderPairPlan,
  renderPlan,
  renderReloadOutcome,
  renderReloadPlan,
} from '../../src/cli/render-plan.ts';
import type { PulseWord, ReloadOutcome, ReloadPlan } from '../../src/feed/reload-answer.ts';

const PLAIN = { colour: false };
const TAKEN: PulseWord = { state: 'read', digest: 'b'.repeat(16), waiting: [], problem: '' };

const PLAN: ReloadPlan = {
  node: 'router-a',
  file: '/etc/tandem/tandem.yaml',
  digest: { before: 'a'.repeat(16), after: 'b'.repeat(16) },
  mistakes: [],
  warnings: [],
  changes: [
    { kind: 'changed', path: 'services.ftp.servers.ftp1.weight', words: '1 -> 3' },
    { kind: 'added', path: 'services.ftp.servers.ftp3', words: '198.51.100.13, weight 1 once it passes its checks' },
  ],
  kernel: {
    changes: [
      { target: 'ipvs', change: 'ipvsadm -a -f 21 -r 198.51.100.13:0 -m -w 0', disruptive: false },
      { target: 'nft', change: 'replace the table inet tandem, in one transaction', disruptive: false },
    ],
    rules: ['- tcp sport 20', '+ tcp sport 2020'],
    problems: [],
  },
  pulse: { ...TAKEN, waiting: ['heartbeat.port'] },
};

const OUTCOME: ReloadOutcome = {
  reloaded: true,
  digest: 'b'.repeat(16),
  mistakes: [],
  problem: '',
  kernel: { rulesIn: true, errors: [] },
  pulse: TAKEN,
};

test('plan marks what clients would notice, and says when there is nothing to do', t => {
  const changes = [
    { target: 'ipvs', change: 'add server 198.51.100.13 to mark 21', disruptive: false },
    { target: 'ipvs', change: 'replace mark 21 by 22', disruptive: true },
  ];
  t.is(
    renderPlan({ changes, rules: [], problems: ['ip_vs_ftp is loaded; rmmod ip_vs_ftp'] }, PLAIN),
    `PROBLEMS
  ! ip_vs_ftp is loaded; rmmod ip_vs_ftp

CHANGES
  ipvs: add server 198.51.100.13 to mark 21
  ipvs: replace mark 21 by 22  (disruptive)
`,
  );
  const nothing = { changes: [], rules: [], problems: [] };
  t.is(renderPlan(nothing, PLAIN), 'nothing to change: the kernel is as the config wants it\n');
});

test('a reload shows the config, what waits for a restart, and the kernel with the rules that come and go', t => {
  t.is(
    renderReloadPlan(PLAN, PLAIN),
    `CONFIG  /etc/tandem/tandem.yaml on router-a, digest aaaaaaaaaaaaaaaa -> bbbbbbbbbbbbbbbb
  ~ services.ftp.servers.ftp1.weight: 1 -> 3
  + services.ftp.servers.ftp3: 198.51.100.13, weight 1 once it passes its checks

WAITING
  pulse takes these at its start only: heartbeat.port; at leisure: systemctl restart tandem-pulse, the standby first, then tandem handover

KERNEL
  ipvs: ipvsadm -a -f 21 -r 198.51.100.13:0 -m -w 0
  nft: replace the table inet tandem, in one transaction
       - tcp sport 20
       + tcp sport 2020
`,
  );
  const digest = { before: 'a'.repeat(16), after: 'a'.repeat(16) };
  const kernel = { changes: [], rules: [], problems: [] };
  t.is(
    renderReloadPlan({ ...PLAN, digest, changes: [], kernel, pulse: TAKEN }, PLAIN),
    `CONFIG  /etc/tandem/tandem.yaml on router-a, digest aaaaaaaaaaaaaaaa: says what is in use

nothing changes in the kernel
`,
  );
});

test('the outcome says what the director, its kernel and pulse have done', t => {
  t.is(
    renderReloadOutcome(OUTCOME, PLAIN),
    'director: uses bbbbbbbbbbbbbbbb; the kernel has all of it\npulse: has taken it\n',
  );
  const kernel = { rulesIn: false, errors: ['ipvsadm: no such scheduler'] };
  const pulse: PulseWord = { state: 'unreachable', digest: null, waiting: [], problem: 'pulse does not run here' };
  t.is(
    renderReloadOutcome({ ...OUTCOME, kernel, pulse }, PLAIN),
    `director: uses bbbbbbbbbbbbbbbb; THE KERNEL DOES NOT HAVE ALL OF IT
  ! ipvsadm: no such scheduler
pulse: WAS NOT ASKED (pulse does not run here)
`,
  );
});

test('both routers: the other one by what it says of its file, then who did what', t => {
  const said = {
    file: '/etc/tandem/tandem.yaml',
    inUse: 'a'.repeat(16),
    digest: null,
    waiting: ['witness'],
    words: ['no'],
  };
  const shown = renderPairPlan({ own: PLAN, peer: said, peerNode: 'router-b', refusal: '' }, PLAIN);
  t.true(shown.startsWith(renderReloadPlan(PLAN, PLAIN)));
  t.true(
    shown.endsWith(`
PEER  /etc/tandem/tandem.yaml on router-b, digest aaaaaaaaaaaaaaaa -> not usable
  waits for a restart of pulse there: witness
  ! no
`),
  );
  const peerUses = { before: 'a'.repeat(16), now: 'b'.repeat(16) };
  const done = { peerNode: 'router-b', peer: 'reloaded', peerUses, own: OUTCOME, problem: '' } as const;
  t.is(
    renderPairOutcome(done, 'router-a', PLAIN),
    `router-b: uses the new config\nrouter-a:\n${renderReloadOutcome(OUTCOME, PLAIN)}`,
  );
  const half = { ...done, peer: 'unknown', own: null, problem: 'it is not heard' } as const;
  t.is(renderPairOutcome(half, 'router-a', PLAIN), 'router-b: NOT KNOWN\nrouter-a: nothing was changed\n');
  const untouched = { ...half, peer: 'untouched', peerUses: { before: 'b'.repeat(16), now: 'b'.repeat(16) } } as const;
  t.is(
    renderPairOutcome(untouched, 'router-a', PLAIN),
    'router-b: nothing was changed, it uses bbbbbbbbbbbbbbbb\nrouter-a: nothing was changed\n',
  );
  const asBefore = { ...done, peerUses: untouched.peerUses };
  t.regex(renderPairOutcome(asBefore, 'router-a', PLAIN), /^router-b: uses bbbbbbbbbbbbbbbb, as before\n/);
});

test('what is wrong is told once: with the refusal, or with the problem at the end', t => {
  const word = 'tandem.yaml:3:1: nonsense';
  const said = { file: '/f', inUse: 'a'.repeat(16), digest: null, waiting: [], words: [word] };
  const plan = { own: PLAN, peer: said, peerNode: 'router-b', refusal: `router-b cannot take its file /f: ${word}` };
  t.notRegex(renderPairPlan(plan, PLAIN), /nonsense/);
  const kernel = { rulesIn: false, errors: ['ipvsadm: no such scheduler'] };
  const problem =
    'router-a uses it, but not as it should: its kernel does not have all of it; ipvsadm: no such scheduler';
  const peerUses = { before: 'a'.repeat(16), now: 'b'.repeat(16) };
  const outcome = { peerNode: 'router-b', peer: 'reloaded', peerUses, own: { ...OUTCOME, kernel }, problem } as const;
  t.regex(renderPairOutcome(outcome, 'router-a', PLAIN), /DOES NOT HAVE ALL OF IT\npulse/);
});

// `tandem why` in sentences: of each change of role what happened, on what evidence, what it meant,
// what was done and how long it took. One entry for each reason that the election can give
// (src/feed/role-reason.ts); one of another version is shown as it is. Pure.
import type { Decision } from '../feed/message.ts';
import { type ReasonName, reasonIn } from '../feed/role-reason.ts';
import { age, type Paint, painter, printable } from './format.ts';
import type { RenderOptions } from './render.ts';
import { type RoleChange, tookMs, withoutMs } from './role-changes.ts';

const TEXT_LENGTH_MAX = 300;
const WIDTH = 100;

/** What a reason has to say: what happened and on what evidence, then what that meant. */
type Told = (facts: Facts, filling: string) => readonly string[];

/** A decision's evidence, as sentences. */
interface Facts {
  readonly decision: Decision;
  readonly number: (name: string) => number | undefined;
  readonly text: (name: string) => string;
  /** "The last heartbeat came 312 ms before." */
  readonly heard: string;
  /** "It was heard on 0 of 3 links (client 312 ms ago, servers never)." */
  readonly links: string;
  readonly probes: string;
  readonly deadLans: string;
}

/** Role changes, oldest first, each told in a few sentences. `node`: this router, where known. */
export function renderWhy(
  changes: readonly RoleChange[],
  { colour, node }: Pick<RenderOptions, 'colour'> & { readonly node: string | undefined },
): string {
  if (changes.length === 0) return 'no role decision yet\n';
  const paint = painter(colour);
  const told = changes.map(change => [titleOf(change, node, paint), ...wrapped(sentencesOf(change))].join('\n'));
  return `${told.join('\n\n')}\n`;
}

function titleOf({ first, last }: RoleChange, node: string | undefined, paint: Paint): string {
  const steps = first === last ? [first.from, first.to] : [first.from, first.to, last.to];
  const what = steps.map((role, index) => (index === steps.length - 1 ? paint('bold', role) : role)).join(' -> ');
  return `${printable(last.at, 40)}  ${node === undefined ? '' : `${printable(node, 64)}: `}${what}, epoch ${printable(last.epoch, 40)}`;
}

/** Two to six sentences. */
export function sentencesOf(change: RoleChange): string[] {
  const { first, last } = change;
  const facts = factsOf(first);
  const known = reasonIn(first.reason);
  const told = known ? WHY[known.name](facts, printable(known.filling, 120)) : [sentence(first.reason)];
  const ended = first === last || last.to === 'active' ? [] : endOf(last);
  return [...told, ...ended, ...outcome(change)].filter(text => text !== '');
}

/** What came of a claim or a handover, when that has a reason of its own. */
function endOf(last: Decision): readonly string[] {
  const known = reasonIn(last.reason);
  return known ? WHY[known.name](factsOf(last), printable(known.filling, 120)) : [sentence(last.reason)];
}

function outcome(change: RoleChange): string[] {
  const { first, last } = change;
  const took = tookMs(change);
  const within = took === undefined ? '' : ` It took ${age(took)}.`;
  const epoch = printable(last.epoch, 40);
  if (last.to === 'active' && first.to === 'claiming')
    return [`This router took the addresses under epoch ${epoch}; its kernel has them.${within}`, outage(change)];
  if (last.to === 'active' && first.to === 'handing-over')
    return [`${failedHandover(last)} This router kept the addresses, under epoch ${epoch}.${within}`];
  if (last.to === 'claiming') return [`This router asks vipd for the addresses under epoch ${epoch}.`];
  if (last.to === 'handing-over') return ['The handover is under way; this router serves until the peer does.'];
  if (first.to === 'handing-over') return [within.trim(), outage(change)];
  return [];
}

function failedHandover({ reason }: Decision): string {
  const known = reasonIn(reason);
  return known?.name === 'handoverFailed'
    ? `The handover failed: ${printable(known.filling, 120)}.`
    : 'The handover failed.';
}

function outage(change: RoleChange): string {
  const ms = withoutMs(change);
  if (ms === undefined) return 'How long clients were without, this router cannot know.';
  return ms === 0
    ? 'Clients were not without: one served until the other did.'
    : `Clients were without for at most ${age(ms)}.`;
}

const ENDS_SAFE = 'The peer may take over';

/** Sentences for each reason. A reason without an entry does not compile. */
const WHY: Readonly<Record<ReasonName, Told>> = {
  peerActive: f => ['This router started and heard that the peer serves.', f.heard, 'It stands by.'],
  peerIdle: f => [
    'This router started and heard the peer, which does not serve.',
    f.heard,
    'It stands by first, as every start does; the higher priority then takes the addresses.',
  ],
  nobodyHeard: (_, waited) => [
    `This router started and listened for ${waited} ms. No peer was heard on any link.`,
    'That is longer than a peer without pulse keeps addresses. It stands by, and probes before it takes them.',
  ],
  keptByAnotherName: () => [
    'This router started and found the VIPs in its kernel, but none of its own addresses: it goes by the wrong name.',
    'It let go of them. Give --node, or the host name, the name of this machine in the config.',
  ],
  keptWithoutOwn: f => [
    'pulse started again and its kernel had kept the addresses, but this router has no address of its own on any LAN.',
    missing(f),
    'It could neither be heard nor answer, so it left them to the peer.',
  ],
  keptThroughRestart: () => [
    'pulse was started again and found the VIPs in its kernel, which had kept them meanwhile.',
    'Nobody else serves, so this router goes on.',
  ],
  peerHandsOver: f => [
    'The peer offered the addresses in a planned handover.',
    `The offer, epoch ${f.text('offeredEpoch')}, was good for ${f.text('remainingMs')} ms more.`,
  ],
  lastWill: f => [
    'The peer sent its last will: its vipd has removed the addresses and holds none any more.',
    f.heard,
    'So there was nothing to wait for.',
  ],
  silence: f => [...silent(f), lostWitness(f), 'It is dead, or its kernel has stopped serving.'],
  silenceGranted: f => [
    ...silent(f),
    'The witness, asked whether the peer still owns them, granted them to this router.',
  ],
  vacancy: (f, role) => vacant(f, role),
  vacancyGranted: (f, role) => [...vacant(f, role), 'The witness granted them to this router.'],
  claimUnconfirmed: (_, limit) => [
    `The claim failed: vipd did not say within ${limit} ms that the kernel has the addresses.`,
    'This router let go and lets the peer go first. See vipd in the log of pulse.',
  ],
  vipdTooLate: () => [
    'The claim failed: vipd was started anew only after its time, and somebody else may serve by now.',
    'This router let go and listens.',
  ],
  refused: (f, what) => [
    f.decision.from === 'claiming'
      ? `The claim failed: vipd refused it (${what}).`
      : `vipd refused to go on holding the addresses (${what}).`,
    refusalMeans(what),
    'This router let go and lets the peer go first.',
  ],
  higherEpoch: f => [
    f.decision.from === 'claiming'
      ? 'The claim came too late: the peer serves already, under a higher epoch.'
      : 'The peer serves, too, and under a higher epoch: of two owners the higher epoch wins.',
    f.heard,
    'This router let go at once.',
  ],
  peerServes: f => [
    'The peer serves, and this router has not for longer than its lease: it had no vipd, or stood still.',
    f.heard,
    'So it left the addresses to the peer, although its own epoch is the higher one.',
  ],
  leaseRanOut: f => [
    'pulse was late: it did not renew the lease in time, so vipd removed the addresses.',
    f.heard,
    'That is how a stalled router stops serving before its peer begins. See LOOP_LATE in the log: the machine stood still.',
  ],
  noVipd: () => [
    'There was no vipd for longer than the lease, so the peer may be taking over.',
    'This router let go. See VIPD_GONE and VIPD_STUCK in the log.',
  ],
  vipdStaysAway: () => [
    'vipd could not be started for longer than the kernel keeps the addresses without it, so nobody is served here.',
    'This router let go, and is not ready until vipd runs again. See VIPD_GONE in the log.',
  ],
  mute: f => [
    'No heartbeat link had its own address any more, so this router could not speak to the peer.',
    missing(f),
    `It let go before its lease ended. ${ENDS_SAFE}.`,
  ],
  muteRival: (f, mac) => [
    `No heartbeat link had its own address any more, and ${mac} claims the addresses.`,
    missing(f),
    'Who cannot speak does not defend them: this router let go.',
  ],
  isolated: f => [
    'This router heard nothing at all: not the peer, no target, no other frame.',
    f.links,
    `It is cut off, so it let go before the peer could take over. ${ENDS_SAFE}.`,
  ],
  cutOff: f => [
    'This router heard neither the peer nor the witness.',
    f.links,
    `The witness may have granted the addresses to the peer, so it let go. ${ENDS_SAFE}.`,
  ],
  grantedToPeer: f => [
    'The witness has granted the addresses to the peer, which does not hear this router.',
    f.links,
    'This router let go: the peer is about to serve.',
  ],
  standDown: (_, mac) => [
    `Another machine (${mac}) claims a virtual address.`,
    'on_conflict says stand-down, so this router left it to that machine. Find it by its MAC address.',
  ],
  peerDeaf: f => [
    'The peer serves, too, and does not hear this router: it cannot learn of a higher epoch.',
    f.links,
    'This router could end that, so it let go.',
  ],
  rivalRanks: f => rival(f, 'ranks higher'),
  rivalNamedFirst: f => rival(f, 'has the name that comes first'),
  nothingToHold: (_, obstacle) => [
    `None of the VIPs can be held here: ${obstacle}.`,
    'An owner of nothing would keep them from the peer, so this router let go.',
  ],
  carrierLost: (f, lan) => [
    `The LAN ${lan} lost its carrier here: a cable, a port or a switch.`,
    'The peer says that it is alive there.',
    f.deadLans,
    'Clients can be served there only, so this router hands over at once.',
  ],
  ownAddressLost: (f, lan) => [
    `This router's own address on LAN ${lan} is gone; the peer has its own.`,
    missing(f),
    'Without it clients there get no answer, so this router hands over.',
  ],
  lanDead: (f, lan) => [
    `The LAN ${lan} is dead here: nobody answers there, or no heartbeat passes both ways. At the peer it is alive.`,
    f.deadLans,
    'So this router hands over.',
  ],
  peerHoldsMore: () => [
    'The peer can hold VIPs that this router cannot (see "CANNOT BE HELD" in `tandem status`).',
    'So this router hands over.',
  ],
  peerFitter: f => [`The peer is fitter to serve. ${fitness(f)}`, 'So this router hands over.'],
  failback: () => [
    'The peer has the higher priority, is as fit, and its tables are warm.',
    'auto_failback is on, so this router hands back.',
  ],
  command: () => ['Somebody gave `tandem handover`.'],
  commandCold: f => ['Somebody gave `tandem handover --cold`.', warmth(f)],
  stopping: f => ['pulse was told to stop, so this router hands over first.', warmth(f)],
  handedOver: (_, how) => [`The peer has taken the addresses (${how}), and this router let go of them.`],
  handoverFailed: (_, why) => [`The handover failed: ${why}.`],
  stopped: () => ['pulse was told to stop. This router did not serve, so nothing moved.'],
  stoppedAlone: (_, obstacle) => [
    `pulse was told to stop and could not hand over: ${obstacle}.`,
    'The kernel keeps the addresses for alone_keep where no fit peer is heard; else they were let go with a will.',
  ],
  stoppedUnclaimed: () => [
    'The peer did not claim the addresses in time; pulse stopped all the same.',
    'It let go with its will, so that the peer may take over without waiting.',
  ],
};

function silent(f: Facts): string[] {
  const { number } = f;
  const dead = number('deadMs');
  const serving = number('peerServingMsAgo');
  const since =
    serving === undefined
      ? 'The peer was never heard serving'
      : `The peer fell silent: the last heartbeat that said it serves came ${age(serving)} before`;
  const limit = dead === undefined ? '.' : `; ${age(dead)} make a peer dead.`;
  return [`${since}${limit}`, f.links, f.probes];
}

function lostWitness({ text }: Facts): string {
  return text('witness') === 'lost before the peer was'
    ? 'The witness had been lost before the peer was, so it had no say.'
    : '';
}

function vacant(f: Facts, role: string): string[] {
  return [`The peer is heard as ${role} and does not serve.`, f.heard, f.probes, 'Nobody held the addresses.'];
}

function rival(f: Facts, why: string): string[] {
  return [
    `The peer claims the addresses, too, its heartbeats do not arrive, and it ${why}.`,
    f.links,
    'Of two owners that do not hear each other the lower one lets go: this router did.',
  ];
}

function missing({ text }: Facts): string {
  const addresses = text('missingAddresses');
  return addresses === '' ? '' : `Not here, or without a route: ${addresses}.`;
}

function fitness({ number, text }: Facts): string {
  const [own, peers] = [number('fitness'), number('peerFitness')];
  const [failed, peersFailed] = [number('failedChecks'), number('peerFailedChecks')];
  if (own === undefined || peers === undefined) return '';
  const lans = text('deadLans') === '' ? '' : ` Dead here: LAN ${text('deadLans')}.`;
  const checks =
    failed === undefined || peersFailed === undefined || failed === peersFailed
      ? ''
      : ` Failed fitness checks: ${failed} here, ${peersFailed} there.`;
  return `Fitness (2 for live LANs, 1 for a healthy server): ${own} here, ${peers} there.${lans}${checks}`;
}

function warmth({ decision: { evidence } }: Facts): string {
  return evidence.peerWarm === false ? "The peer's tables were cold: running transfers break." : '';
}

function refusalMeans(what: string): string {
  if (what === 'kernel') return 'The kernel did not take them; the log of pulse has its words (VIP_CANNOT_BE_HELD).';
  return what === 'stale-epoch' ? 'It holds them under a newer epoch already.' : '';
}

function factsOf(decision: Decision): Facts {
  const { evidence } = decision;
  const number = (name: string) => {
    const value = evidence[name];
    return typeof value === 'number' ? value : undefined;
  };
  const text = (name: string) => printable(String(evidence[name] ?? ''), 120);
  const heard = number('peerHeardMsAgo');
  return {
    decision,
    number,
    text,
    heard: heard === undefined ? '' : `Its last heartbeat came ${age(heard)} before.`,
    links: linksSentence(text),
    probes: probesSentence(number),
    deadLans: text('deadLans') === '' ? '' : `Dead here: ${text('deadLans')}.`,
  };
}

function linksSentence(text: Facts['text']): string {
  const [heard, all] = text('linksHeard').split(' of ');
  if (heard === undefined || all === undefined) return '';
  const each = text('linksHeardMsAgo')
    .split(', ')
    .filter(link => link !== '')
    .map(link => link.replace(/ (\d+)$/, (_, ms: string) => ` ${age(Number(ms))} before`));
  const which = each.length === 0 ? '' : ` (${each.join(', ')})`;
  const many = `${all} heartbeat ${all === '1' ? 'link' : 'links'}`;
  return heard === '0' ? `None of ${many} heard it${which}.` : `${heard} of ${many} heard it${which}.`;
}

function probesSentence(number: Facts['number']): string {
  const [silentRounds, answered] = [number('probeRoundsSilent') ?? 0, number('probeRoundsAnswered') ?? 0];
  if (silentRounds === 0) return '';
  const rounds = silentRounds === 1 ? 'One round' : `${silentRounds} rounds`;
  const before = answered === 0 ? '' : `, after ${answered} that it had answered`;
  return `${rounds} of probes, sent to the peer for each address, got no answer${before}.`;
}

function sentence(reason: string): string {
  const text = printable(reason, TEXT_LENGTH_MAX);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** One line after the other, each sentence on a new one; long ones go on below. */
function wrapped(sentences: readonly string[]): string[] {
  return sentences.flatMap(text => {
    const lines: string[] = [];
    let line = '';
    for (const word of text.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > WIDTH - 2) {
        lines.push(line);
        line = '';
      }
      line = line === '' ? word : `${line} ${word}`;
    }
    return [...lines, line].map((part, index) => `  ${index === 0 ? '' : '  '}${part}`);
  });
}

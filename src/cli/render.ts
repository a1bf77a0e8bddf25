// What `tandem status` and `why` print for people: problems first, then the pair, then what
// it serves. Pure.
import type { Decision, Snapshot } from '../feed/message.ts';
import type { DrainReport, ServerReport, ServiceReport, StatusReport } from '../status/status-report.ts';
import { age, columns, milliseconds, type Paint, painter, printable, since } from './format.ts';
import { syncLines } from './render-sync.ts';

export interface RenderOptions {
  readonly colour: boolean;
  /** Wall time, ms since 1970: ages are counted from here. */
  readonly now: number;
}

const WORDS_LENGTH_MAX = 70;
export const SENTENCE_LENGTH_MAX = 300;

/** The status table of a whole report. */
export function renderStatus(report: StatusReport, options: RenderOptions): string {
  const paint = painter(options.colour);
  const { pulse } = report;
  return page([
    headline(report, paint),
    problems(report.problems, paint),
    notices(report.notices, paint),
    pulse ? pairTables(pulse, paint, options.now) : 'PULSE\n  does not answer: systemctl status tandem-pulse',
    fitnessTable(report.fitness, paint, options.now),
    ...report.services.map(service => serviceTable(service, paint, options.now)),
    drainTable(report, paint, options.now),
    [kernelLines(report, paint, options.now), syncLines(report, paint, options.now)].join('\n'),
  ]);
}

/** What is known when only pulse answers; `problem` says why the director does not. */
export function renderFeed(snapshot: Snapshot, problem: string, options: RenderOptions): string {
  const paint = painter(options.colour);
  return page([
    `${paint('warn', 'PARTIAL')}  pulse answers, the director does not`,
    problems([problem], paint),
    pairTables(snapshot, paint, options.now),
  ]);
}

export function page(sections: readonly string[]): string {
  return `${sections.filter(section => section !== '').join('\n\n')}\n`;
}

function headline(report: StatusReport, paint: Paint): string {
  const tone = { ok: 'good', degraded: 'warn', failed: 'bad' } as const;
  const health = paint(tone[report.health], report.health.toUpperCase());
  return `${health}  pair ${paint('bold', report.pair)}, tandem ${report.version}, ${report.generatedAt}`;
}

export function problems(sentences: readonly string[], paint: Paint): string {
  if (sentences.length === 0) return '';
  const lines = sentences.map(sentence => `  ${paint('bad', '!')} ${printable(sentence, SENTENCE_LENGTH_MAX)}`);
  return [paint('bold', 'PROBLEMS'), ...lines].join('\n');
}

export function notices(sentences: readonly string[], paint: Paint): string {
  if (sentences.length === 0) return '';
  const lines = sentences.map(sentence => `  ${printable(sentence, SENTENCE_LENGTH_MAX)}`);
  return [paint('bold', 'WAITING'), ...lines].join('\n');
}

function pairTables(pulse: Snapshot, paint: Paint, now: number): string {
  return [routerTable(pulse, paint, now), linkTable(pulse, paint), lanTable(pulse, paint), vipTable(pulse, paint)]
    .filter(table => table !== '')
    .join('\n\n');
}

/** A failed check counts after all else, so it stands behind. */
function fitness(
  { fitness: rank, failedChecks }: Pick<NonNullable<Snapshot['peer']>, 'fitness' | 'failedChecks'>,
  paint: Paint,
): string {
  return failedChecks ? `${rank}${paint('bad', ` -${failedChecks}`)}` : String(rank);
}

function routerTable(pulse: Snapshot, paint: Paint, now: number): string {
  const { peer } = pulse;
  const here = [
    `${pulse.node} (here)`,
    role(pulse.role, pulse.serving, paint),
    pulse.epoch,
    since(pulse.since, now),
    fitness(pulse, paint),
    pulse.rulesIn ? 'in' : paint('bad', 'NOT IN'),
    warmth(pulse.warm, paint),
    pulse.configDigest.slice(0, 8),
    '-',
  ];
  const alike = peer?.configDigest === pulse.configDigest;
  const there = peer
    ? [
        pulse.peerNode,
        peer.silent ? paint('bad', `SILENT (was ${peer.role})`) : role(peer.role, peer.serving, paint),
        peer.epoch,
        '-',
        fitness(peer, paint),
        peer.ready ? 'in' : paint('bad', 'NOT IN'),
        warmth(peer.warm, paint),
        alike ? peer.configDigest.slice(0, 8) : paint('bad', `${peer.configDigest.slice(0, 8)} DIFFERS`),
        `${age(peer.heardMsAgo)} ago`,
      ]
    : [pulse.peerNode, paint('bad', 'NOT HEARD'), '-', '-', '-', '-', '-', '-', 'never'];
  const heads = ['router', 'role', 'epoch', 'since', 'fitness', 'rules', 'tables', 'config', 'heard'];
  return [
    paint('bold', 'ROUTERS'),
    columns(paint, heads, [here, there]),
    `  reason: ${printable(pulse.reason, SENTENCE_LENGTH_MAX)}`,
    ...(pulse.hold.on ? [`  ${paint('warn', 'hold')}: ${pulse.node} ${heldUntil(pulse.hold.until)}`] : []),
    ...(pulse.bar === null ? [] : [`  ${paint('warn', 'bar')}: ${printable(pulse.bar, SENTENCE_LENGTH_MAX)}`]),
    ...(peer?.hold ? [`  ${paint('warn', 'hold')}: ${pulse.peerNode} may not become active`] : []),
    ...(pulse.role === 'active' && !pulse.leaseArmed
      ? [`  ${paint('warn', 'alone')}: no fit peer, the VIPs stay through a restart of pulse`]
      : []),
  ].join('\n');
}

function heldUntil(until: string | null): string {
  return `may not become active until ${until === null ? '`tandem release`' : printable(until, 40)}`;
}

function warmth(warm: boolean, paint: Paint): string {
  return warm ? 'warm' : paint('warn', 'COLD');
}

function role(name: Snapshot['role'], serving: boolean, paint: Paint): string {
  if (name === 'active') return serving ? paint('good', 'ACTIVE') : paint('bad', 'ACTIVE, NOT SERVING');
  return name === 'standby' ? name : paint('warn', name);
}

function linkTable(pulse: Snapshot, paint: Paint): string {
  if (pulse.links.length === 0) return '';
  const rows = pulse.links.map(link => [
    link.lan,
    link.interface,
    link.problem === null ? (link.up ? paint('good', 'up') : paint('bad', 'DOWN')) : paint('bad', 'NOT BOUND'),
    milliseconds(link.rttMs),
    link.heardMsAgo === null ? 'never' : `${age(link.heardMsAgo)} ago`,
    link.peerHearsUs ? 'yes' : paint('bad', 'NO'),
    String(link.received),
    link.refused > 0 ? paint('warn', String(link.refused)) : '0',
  ]);
  const heads = ['link', 'interface', 'state', 'rtt', 'heard', 'peer hears us', 'received', 'refused'];
  const problems = pulse.links.flatMap(({ lan, problem }) =>
    problem === null ? [] : [`  ${paint('bad', '!')} ${lan}: ${printable(problem, SENTENCE_LENGTH_MAX)}`],
  );
  return [paint('bold', 'LINKS'), columns(paint, heads, rows), ...problems].join('\n');
}

function lanTable({ lans, witness }: Snapshot, paint: Paint): string {
  const rows = lans.map(({ lan, interface: name, dead, own, targets }) => [
    lan,
    name,
    dead ? paint('bad', 'DEAD') : paint('good', 'alive'),
    own.map(({ address, state }) => `${address} ${ownWord(state, paint)}`).join(', ') || '-',
    targets.map(({ address, up }) => `${address} ${targetWord(up, paint)}`).join(', ') || 'no targets',
  ]);
  const word = witness && (witness.good ? paint('good', 'answers') : paint('bad', 'DOES NOT ANSWER'));
  return [
    ...(rows.length > 0
      ? [paint('bold', 'LANS'), columns(paint, ['lan', 'interface', 'state', 'own addresses', 'targets'], rows)]
      : []),
    ...(witness ? [`  witness: ${word}, knows epoch ${witness.epoch}`] : []),
  ].join('\n');
}

function ownWord(state: Snapshot['lans'][number]['own'][number]['state'], paint: Paint): string {
  if (state === null) return 'not looked for yet';
  if (state === 'here') return 'here';
  return paint('bad', state === 'unrouted' ? 'NO ROUTE' : 'GONE');
}

function targetWord(up: boolean | null, paint: Paint): string {
  if (up === null) return 'not asked yet';
  return up ? paint('good', 'up') : paint('bad', 'SILENT');
}

function vipTable(pulse: Snapshot, paint: Paint): string {
  if (pulse.vips.length === 0) return '';
  const rows = pulse.vips.map(({ address, kind, interface: name, held, linkUp, obstacle }) => [
    address,
    kind,
    name,
    held ? paint('good', `held by ${pulse.node}`) : notHeld(pulse, obstacle !== null, paint),
    linkUp ? 'carrier' : paint('bad', 'NO CARRIER'),
  ]);
  return [
    paint('bold', 'VIRTUAL ADDRESSES'),
    columns(paint, ['address', 'kind', 'interface', 'state', 'link'], rows),
    ...pulse.vips.flatMap(({ address, obstacle }) =>
      obstacle === null ? [] : [`  ${paint('bad', '!')} ${address}: ${printable(obstacle, SENTENCE_LENGTH_MAX)}`],
    ),
    ...(pulse.packetLease === false ? [`  ${paint('warn', 'no packet lease')}: see PACKET_LEASE_OFF in the log`] : []),
  ].join('\n');
}

function notHeld({ role, peerNode, peer }: Snapshot, impossible: boolean, paint: Paint): string {
  if (role === 'active') return paint('bad', 'NOT HELD');
  if (impossible) return paint('bad', 'CANNOT BE HELD here');
  return peer?.role === 'active' && peer.serving && !peer.silent ? `at ${peerNode}` : 'not held here';
}

function serviceTable(service: ServiceReport, paint: Paint, now: number): string {
  const title = `${paint('bold', `SERVICE ${service.name}`)}  ${service.kind === 'ftp' ? '' : `${service.kind}, `}${service.vip}, mark ${service.mark}, ${service.scheduler}`;
  const heads = ['server', 'address', 'verdict', 'weight', 'connections', 'checked', 'what it said'];
  const { servers, sorry } = service;
  const rows = [...servers, ...(sorry ? [{ ...sorry, name: 'sorry server' }] : [])].map(server =>
    serverRow(server, paint, now),
  );
  return [
    service.inKernel ? title : `${title}, ${paint('bad', 'NOT IN THE KERNEL')}`,
    rows.length > 0 ? columns(paint, heads, rows) : '  no servers',
    ...pathLines(`through ${service.vip}`, service.path, paint, now),
    ...servers.flatMap(({ name, vipCheck }) => pathLines(`${service.vip} on ${name}`, vipCheck, paint, now)),
  ].join('\n');
}

function drainTable({ drains, pulse }: StatusReport, paint: Paint, now: number): string {
  if (drains.length === 0) return '';
  const rows = drains.map(drain => [
    `${drain.service}/${drain.server}`,
    drain.phase === 'draining' ? drain.phase : paint(drain.phase === 'empty' ? 'good' : 'warn', drain.phase),
    drainLoad(drain),
    drain.leftMs === 0 ? 'none' : age(drain.leftMs),
    drain.shared ? 'both' : paint('warn', `${pulse?.node ?? 'this one'} only`),
    printable(`${since(drain.since, now)}, ${drain.who || 'somebody'} on ${drain.router}`, WORDS_LENGTH_MAX),
    printable(drain.reason, WORDS_LENGTH_MAX),
  ]);
  const heads = ['server', 'state', 'has', 'time left', 'routers', 'since', 'reason'];
  return [`${paint('bold', 'DRAINED')}  by an operator, whatever the config says`, columns(paint, heads, rows)].join(
    '\n',
  );
}

/**
 * "2 sessions, 1 transfer"; without the sync's mirror only connections are known, and those of the
 * router that serves not even so, unless they are synced.
 */
export function drainLoad(report: DrainReport): string {
  const { kind, phase, sessions, transfers, activeConnections, inactiveConnections } = report;
  const open = kind === 'udp' ? activeConnections + inactiveConnections : activeConnections;
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
  if (open === 0 && phase !== 'empty' && phase !== 'over') return 'not known on this router';
  if (kind === 'udp') return count(open, 'client port');
  if (sessions === null || transfers === null) return count(open, 'open connection');
  return `${count(sessions, 'session')}, ${count(transfers, 'transfer')}`;
}

function pathLines(what: string, path: ServiceReport['path'], paint: Paint, now: number): string[] {
  if (path === null) return [];
  const { state, why, failedStage, words, checkedAt, checkMs } = path;
  const head = `  ${what}: `;
  if (state === 'not-checked') return [`${head}not checked here (${printable(why, SENTENCE_LENGTH_MAX)})`];
  const when = checkedAt === null ? 'never checked' : `${since(checkedAt, now)}, ${milliseconds(checkMs)}`;
  const failed = failedStage === null ? '' : `, ${failedStage}: ${printable(words, WORDS_LENGTH_MAX)}`;
  const isBad = state === 'down' || state === 'misconfigured';
  return [`${head}${paint(isBad ? 'bad' : 'good', isBad ? 'FAILS' : state)} (${when}${failed})`];
}

function fitnessTable(checks: StatusReport['fitness'], paint: Paint, now: number): string {
  if (checks.length === 0) return '';
  const tones = { unknown: 'warn', passing: 'good', failing: 'bad' } as const;
  const rows = checks.map(({ name, state, reason, checkedAt, checkMs }) => [
    name,
    paint(tones[state], state === 'failing' ? 'FAILING' : state),
    checkedAt === null ? 'never' : `${since(checkedAt, now)}, ${milliseconds(checkMs)}`,
    printable(reason, WORDS_LENGTH_MAX),
  ]);
  return [paint('bold', 'FITNESS CHECKS'), columns(paint, ['check', 'state', 'run', 'says'], rows)].join('\n');
}

function serverRow(server: ServerReport, paint: Paint, now: number): string[] {
  const tones = { unknown: 'warn', up: 'good', misconfigured: 'bad', down: 'bad', draining: 'warn' } as const;
  const { weight, kernelWeight } = server;
  const isBad = server.state === 'down' || server.state === 'misconfigured';
  const failed = server.failedStage === null ? '' : `${server.failedStage}: `;
  return [
    server.name,
    server.address,
    paint(tones[server.state], isBad ? server.state.toUpperCase() : server.state) +
      drainMark(server, paint) +
      otherVerdict(server, paint),
    kernelWeight === weight ? String(weight) : `${kernelWeight ?? 'none'} of ${weight}`,
    `${server.activeConnections} + ${server.inactiveConnections}`,
    server.checkedAt === null ? 'never' : `${since(server.checkedAt, now)}, ${milliseconds(server.checkMs)}`,
    printable(`${failed}${server.words}`, WORDS_LENGTH_MAX),
  ];
}

function drainMark({ drained }: ServerReport, paint: Paint): string {
  return drained ? paint('warn', ' (drained)') : '';
}

/** What the peer says, where it says something else. */
function otherVerdict({ disagrees, peer }: ServerReport, paint: Paint): string {
  return disagrees && peer !== null ? paint('bad', ` (${peer.state} at the peer)`) : '';
}

function kernelLines({ kernel, problems }: StatusReport, paint: Paint, now: number): string {
  const rules = kernel.rulesIn ? 'rules in' : paint('bad', 'RULES NOT IN');
  return [
    `${paint('bold', 'KERNEL')}  ${rules}, last audit ${since(kernel.lastAuditAt, now)}, repairs ${kernel.repairs}`,
    ...kernel.errors
      .filter(error => !problems.includes(error))
      .map(error => `  ${paint('bad', '!')} ${printable(error, SENTENCE_LENGTH_MAX)}`),
  ].join('\n');
}

/** Role decisions, oldest first, each with its reason and evidence. */
export function renderDecisions(decisions: readonly Decision[], { colour }: Pick<RenderOptions, 'colour'>): string {
  const paint = painter(colour);
  if (decisions.length === 0) return 'no role decision yet\n';
  const told = decisions.map(({ at, from, to, epoch, reason, evidence }) => {
    const facts = Object.entries(evidence).map(([name, value]) => `${name} ${printable(String(value), 80)}`);
    return [
      `${at}  ${from} -> ${paint('bold', to)}  epoch ${epoch}`,
      `  ${printable(reason, SENTENCE_LENGTH_MAX)}`,
      ...(facts.length > 0 ? [`  ${paint('dim', facts.join(', '))}`] : []),
    ].join('\n');
  });
  return `${told.join('\n')}\n`;
}

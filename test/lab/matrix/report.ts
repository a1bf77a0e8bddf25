// From the groups' records to the matrix: JSON for programs, a page for people. Only what ran is in
// it; what did not is named. Pure.
import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';
import {
  allGroups,
  type Cell,
  CLIENTS,
  type Client,
  cellsOf,
  FAMILIES,
  FORWARDINGS,
  type Forwarding,
  type Group,
  groupName,
  isFtp,
  SECURITIES,
  SERVERS,
  STATES,
  VERBS,
} from './cells.ts';
import type { Evidence } from './evidence.ts';
import { type Outcome, outcomeOf, sorted, tuple } from './judge.ts';
import type { GroupRecord } from './record.ts';

/** A cell's outcome with what proves it. */
export interface MatrixCell extends Cell {
  readonly outcome: Outcome;
  readonly control: readonly string[];
  readonly data: readonly string[];
  readonly commands: readonly string[];
  readonly bytesBeforeCut: number;
  readonly bytes: number;
}

export interface Matrix {
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly cells: readonly MatrixCell[];
  /** Groups without a whole run, and why. */
  readonly notRun: readonly { readonly group: string; readonly reason: string }[];
  /** Sentences about cells that are not as they have to be. */
  readonly wrong: readonly string[];
}

const NOT_RUN = 'not run';

/** Of a group that ran more than once, the last record. */
export function latestOf(records: readonly GroupRecord[]): GroupRecord[] {
  return [...new Map(records.map(record => [groupName(record.group), record])).values()];
}

/** `records`: of the groups that were run; the others are told as not run. */
export function matrixOf(commit: string, records: readonly GroupRecord[]): Matrix {
  const whole = records.filter(({ error }) => error === undefined);
  const cells = whole.flatMap(record => record.cells.map(({ cell, evidence }) => matrixCell(cell, evidence)));
  const notRun = allGroups().flatMap(group => {
    const name = groupName(group);
    if (whole.some(record => groupName(record.group) === name)) return [];
    const error = records.find(record => groupName(record.group) === name)?.error?.split('\n', 1)[0];
    return [{ group: name, reason: error ?? NOT_RUN }];
  });
  const wrong = cells.flatMap(cell =>
    cell.outcome.kind === 'lost' || cell.outcome.kind === 'fails'
      ? [
          `${groupName(cell)}: ${cell.verb} ${cell.family} ${cell.security} ${cell.state}: ${cell.outcome.reasons.join('; ')}`,
        ]
      : [],
  );
  const versions = Object.assign({}, ...whole.map(record => record.versions)) as Record<string, string>;
  return { commit, versions, cells, notRun, wrong };
}

function matrixCell(cell: Cell, evidence: Evidence): MatrixCell {
  const { control, data } = sorted(cell, evidence);
  return {
    ...cell,
    outcome: outcomeOf(cell, evidence),
    control: control.map(tuple),
    data: data.map(tuple),
    commands: evidence.dialogue.commands,
    bytesBeforeCut: evidence.bytesBeforeCut,
    bytes: evidence.bytes,
  };
}

/** Whether every group was run, and every cell is as it has to be. */
export function isComplete({ wrong, notRun }: Matrix): boolean {
  return wrong.length === 0 && notRun.length === 0;
}

/** What was not run, a sentence for each group; one for a kind of forwarding of which nothing was. */
export function notRunWords({ notRun }: Matrix): string[] {
  return FORWARDINGS.flatMap(forwarding => {
    const names = allGroups().flatMap(group => (group.forwarding === forwarding ? [groupName(group)] : []));
    const missing = notRun.filter(({ group }) => names.includes(group));
    const nothing = missing.length === names.length && missing.every(({ reason }) => reason === NOT_RUN);
    return nothing
      ? [`${forwarding.toUpperCase()}: ${NOT_RUN}`]
      : missing.map(({ group, reason }) => `${group}: ${reason}`);
  });
}

const SECURITY_WORDS: Readonly<Record<Cell['security'], string>> = {
  plain: 'plain',
  explicit: 'TLS by AUTH, PROT P (21)',
  implicit: 'TLS from the start (990)',
};

/** The numbered reasons below a page's tables. */
class Notes {
  readonly texts: string[] = [];
  mark(text: string): string {
    const index = this.texts.indexOf(text);
    const number = index < 0 ? this.texts.push(text) : index + 1;
    return `[${number}]`;
  }
}

function outcomeWords(outcome: Outcome, notes: Notes): string {
  switch (outcome.kind) {
    case 'survives':
      return 'survives';
    case 'lost':
      return `works, is lost ${notes.mark(outcome.reasons.join('; '))}`;
    case 'fails':
      return `fails ${notes.mark(outcome.reasons.join('; '))}`;
    case 'limit':
      return `impossible ${notes.mark(`${outcome.of}: ${outcome.reason}`)}`;
  }
}

function cellWords(
  matrix: Matrix,
  group: Group,
  row: Pick<Cell, 'verb' | 'family' | 'security'>,
  notes: Notes,
): string {
  if (!cellsOf(group).some(({ security, family }) => security === row.security && family === row.family)) return '–';
  const words = STATES.map(state => {
    const cell = matrix.cells.find(
      one =>
        groupName(one) === groupName(group) &&
        one.state === state &&
        one.verb === row.verb &&
        one.family === row.family &&
        one.security === row.security,
    );
    return cell ? outcomeWords(cell.outcome, notes) : 'not run';
  });
  const [idle = '', flying = ''] = words;
  return idle === flying ? idle : `idle ${idle}, in flight ${flying}`;
}

function table(matrix: Matrix, forwarding: Forwarding, client: Client, notes: Notes): string[] {
  const groups = allGroups().filter(
    group =>
      group.forwarding === forwarding &&
      group.client === client &&
      matrix.cells.some(cell => groupName(cell) === groupName(group)),
  );
  if (groups.length === 0) return [];
  const order = ({ server, demandsReuse, announce }: Group): number =>
    3 * SERVERS.indexOf(server) + Number(demandsReuse) + 2 * Number(announce);
  groups.sort((a, b) => order(a) - order(b));
  const heading = ({ server, demandsReuse, announce }: Group): string =>
    `${server}${demandsReuse ? ', session resumed' : ''}${announce ? ', public 1:1 NAT' : ''}`;
  const rows = SECURITIES.flatMap(security =>
    FAMILIES.flatMap(family => VERBS.map(verb => ({ security, family, verb }))),
  ).filter(isFtp);
  return [
    `## ${forwarding.toUpperCase()}, ${client} ${matrix.versions[client] ?? ''}`,
    '',
    `| | ${groups.map(heading).join(' | ')} |`,
    `|---|${groups.map(() => '---|').join('')}`,
    ...rows.map(row => {
      const cells = groups.map(group => cellWords(matrix, group, row, notes));
      return `| ${row.verb}, ${row.family}, ${SECURITY_WORDS[row.security]} | ${cells.join(' | ')} |`;
    }),
    '',
  ];
}

const INTRODUCTION = `# FTP through the pair, as the lab saw it

<!-- Written by scripts/ftp-matrix --report from what ran; do not edit. -->

Real routers, real IPVS, real servers and clients ([lab](../internals/lab.md)). In each cell a client logs in through the
VIP and fetches a file. Then the active router loses its power. The client knows one way only: its command for data, its
address family, its kind of TLS. Nothing is tried twice, by another command, or without TLS.

- **survives**: shown twice. *Idle*: a session that logged in before the power cut fetches a file after the takeover, on
  the same control connection. *In flight*: a file is on its way. It arrives whole by SHA-256, over the same data
  connection, with bytes before the cut and after the takeover, without REST.
- **works, is lost**: the file before the power cut arrived, and what was promised after it did not hold.
- **impossible**: the client or the server cannot; it was tried all the same.
- **session resumed**: the server refuses data over TLS that does not resume the control connection's TLS session.
- **public 1:1 NAT**: clients come from outside, through a router that gives the VIP a public address and rewrites
  nothing of FTP. They know that address only; \`announce\` has it, and PASV names it. It is in the VIP's place below.

Commands and TLS are read in the server's log. Ports and addresses are read in a capture at the client: passive data go
to 10000-20000 on the VIP, active data come from the VIP's port 20, with TLS from the start from 989. One service has
both control ports (\`control_port: [21, 990]\`), with vsftpd and proftpd; pure-ftpd, which has no TLS from the start, is
in one with port 21 alone. The nannies check over TLS. FTP has no PASV and no PORT over IPv6.

The servers run with the lines that \`tandem server-config\` prints, and nothing else makes them servers of DR or TUN.
There they have no way through the pair: with DR they are on the VIP's LAN; with TUN the packets come in IPIP, or IPv6 in
IPv6, from another LAN. The new owner's IPVS is asked how it forwards.
`;

/** The page, as Markdown. */
export function pageOf(matrix: Matrix): string {
  const notes = new Notes();
  const tables = FORWARDINGS.flatMap(forwarding => CLIENTS.flatMap(client => table(matrix, forwarding, client, notes)));
  const missing = notRunWords(matrix);
  const programs = (['kernel', ...SERVERS] as const).flatMap(name => versionOf(matrix, name));
  return [
    INTRODUCTION,
    `Run at commit ${matrix.commit}: ${programs.join(', ')}.`,
    '',
    ...tables,
    ...(notes.texts.length === 0 ? [] : [...notes.texts.map((text, index) => `${index + 1}. ${text}`), '']),
    ...(missing.length === 0 ? [] : ['## Not here', '', ...missing.map(sentence => `- ${sentence}`), '']),
  ].join('\n');
}

function versionOf(matrix: Matrix, name: Daemon | 'kernel'): string[] {
  const version = matrix.versions[name];
  return version === undefined ? [] : [`${name} ${version}`];
}

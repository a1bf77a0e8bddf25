// The config is changed under running transfers, on one router after the other and on both as one. Io.
import assert from 'node:assert/strict';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  pairOutcomeSchema,
  pairPlanSchema,
  reloadOutcomeSchema,
  reloadPlanSchema,
} from '../../../src/feed/reload-answer.ts';
import type { TransferMode } from '../ftp/ftp-client.ts';
import { type Job, rolesNow, type Service, startService, startTransfers, untilUnderWay } from '../measure/failover.ts';
import { askStatusSocket } from '../pair/status-socket.ts';
import { clientAddress, ROUTERS, type Router, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import { until } from './director-scenarios.ts';
import { assertWhole } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
const RATE_BYTES_PER_S = 200_000;
const SIZES = { bigBytes: 16_000_000, rateBytesPerS: RATE_BYTES_PER_S };
const LONG_MS = 240_000;
const STEP_BYTES = 100_000;

/** Each mode both ways, each from an address of its own. */
const JOBS: readonly Job[] = MODES.flatMap((mode, index) => [
  { kind: 'download' as const, mode, from: clientAddress(2 * index) },
  { kind: 'upload' as const, mode, from: clientAddress(2 * index + 1) },
]);

type Edit = (text: string) => string;

function replaced(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), `the config has no ${from}`);
  return text.replace(from, to);
}

const line = (host: 'fs1' | 'fs2', more = '') => `      ${host}: { address: "${SERVER_ADDRESSES[host]}"${more} }\n`;

/** On the same VIP: other ports and another mark. */
const SECOND = `  second:
    vip: "${VIP}"
    servers_lan: servers
    mark: 31
    control_port: 2121
    passive_ports: 40000-40999
    active: false
    servers: { fs1: { address: "${SERVER_ADDRESSES.fs1}" } }
`;

/** What an operator does on a day, each step on what the one before has left; and what the plan says of it. */
const STEPS: readonly (readonly [what: string, edit: Edit, shown: readonly RegExp[]])[] = [
  [
    'a server gets another weight, a service comes',
    text => `${replaced(text, line('fs1'), line('fs1', ', weight: 3'))}${SECOND}`,
    [/fs1\.weight: 1 -> 3/, /ipvsadm -e .* -w 3/, /services\.second: VIP .*, mark 31, servers fs1/, /ipvsadm -A -f 31/],
  ],
  [
    'a server leaves, persistence changes',
    text => replaced(replaced(text, line('fs2'), ''), '    mark: 21\n', '    mark: 21\n    persistence: 20m\n'),
    [
      /services\.ftp\.servers\.fs2: .*no new clients/,
      /leaves: no new clients/,
      /services\.ftp\.persistence: 6m -> 20m/,
    ],
  ],
  [
    'the server comes back, the service goes',
    text => replaced(replaced(text, line('fs1', ', weight: 3'), line('fs1') + line('fs2')), SECOND, ''),
    [/services\.ftp\.servers\.fs2: 198/, /services\.second: takes no new clients/],
  ],
];

/** The client's connections: its own end and the other one. */
async function connections(lab: Lab): Promise<string[]> {
  const { stdout } = await lab.topology.exec('client', 'ss', ['-Htn', 'state', 'established']);
  return stdout
    .split('\n')
    .map(one => one.trim().split(/\s+/).slice(-2).join(' '))
    .filter(ends => ends.includes(`${VIP}:`))
    .sort();
}

/** Transfers that run from now on, and the check that none of their connections was ever another one. */
async function running(lab: Lab, { ftp }: Service) {
  const transfers = startTransfers(lab, ftp, JOBS, RATE_BYTES_PER_S, LONG_MS);
  await untilUnderWay(transfers, lab.say, 2 * STEP_BYTES);
  const before = await connections(lab);
  assert.equal(before.length, 2 * JOBS.length, 'control and data of each');
  return {
    unbroken: async (what: string): Promise<void> => {
      await untilUnderWay(transfers, lab.say, Math.max(...transfers.map(one => one.progress().bytes)) + STEP_BYTES);
      assert.deepEqual(await connections(lab), before, `${what}: the same connections go on`);
    },
    whole: async (): Promise<void> => {
      const results = await Promise.all(transfers.map(transfer => transfer.finished));
      lab.record('transfers', results);
      assertWhole(results);
    },
  };
}

/** `tandem` on a router that is to end with 1: what it said. */
async function refused({ pair }: Service, router: Router, args: readonly string[]): Promise<string> {
  try {
    await pair.tandem(router, args);
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? (error as Error).message);
  }
  return assert.fail(`tandem ${args.join(' ')} on ${router} was not refused`);
}

async function digests({ pair }: Service): Promise<string[]> {
  const used = async (router: Router) => (await pair.status(router)).pulse?.configDigest ?? '';
  return [await used('r1'), await used('r2')];
}

const kernelOf = async (lab: Lab, router: Router): Promise<string> =>
  (await lab.topology.exec(router, 'ipvsadm', ['-Sn'])).stdout;

async function dayOfChanges(lab: Lab): Promise<void> {
  const service = await startService(lab, SIZES);
  const { pair } = service;
  const { active, standby } = rolesNow(pair);
  await pair.untilWarm(standby, 60_000);
  const transfers = await running(lab, service);
  for (const [what, edit, shown] of STEPS) {
    lab.say(what);
    await writeFile(pair.configFile, edit(await readFile(pair.configFile, 'utf8')));
    const kernel = await kernelOf(lab, active);
    const plan = reloadPlanSchema.parse(await ask(service, active, 'GET'));
    const lines = [
      ...plan.changes.map(({ path, words }) => `${path}: ${words}`),
      ...plan.kernel.changes.map(({ change }) => change),
    ];
    lab.record(what, [...lines, ...plan.kernel.rules]);
    for (const words of shown) assert.match(lines.join('\n'), words, what);
    assert.equal(await kernelOf(lab, active), kernel, `${what}: what is only looked at changes nothing`);
    for (const router of [standby, active]) {
      const outcome = reloadOutcomeSchema.parse(await ask(service, router, 'POST'));
      const { reloaded, kernel, pulse } = outcome;
      assert.deepEqual([reloaded, kernel.rulesIn, pulse.state, pulse.problem], [true, true, 'read', ''], what);
    }
    await transfers.unbroken(what);
  }
  lab.say('a file with mistakes');
  await invalid(lab, service, active);
  await transfers.unbroken('a file with mistakes');
  await transfers.whole();
}

const ask = ({ pair }: Service, router: Router, method: 'GET' | 'POST', query = '') =>
  askStatusSocket(path.join(pair.runDir(router), 'director-control.sock'), method, `/reload${query}`);

/** It is refused on both routers, and all is as it was. */
async function invalid(lab: Lab, service: Service, router: Router): Promise<void> {
  const { pair } = service;
  const text = await readFile(pair.configFile, 'utf8');
  const seen = async () => [await kernelOf(lab, 'r1'), await kernelOf(lab, 'r2'), ...(await digests(service))];
  const before = await seen();
  await writeFile(pair.configFile, `${text.replace('mark: 21', 'mark: none')}nonsense: 1\n`);
  assert.match(await refused(service, router, ['reload']), /:\d+:\d+: services\.ftp\.mark: [\s\S]*2 mistakes in/);
  for (const each of ROUTERS) {
    const { reloaded, mistakes } = reloadOutcomeSchema.parse(await ask(service, each, 'POST'));
    assert.deepEqual([reloaded, mistakes.length], [false, 2]);
  }
  assert.deepEqual(await seen(), before, 'a mistake changes nothing');
  await writeFile(pair.configFile, text);
}

async function bothAsOne(lab: Lab): Promise<void> {
  const service = await startService(lab, SIZES);
  const { pair } = service;
  const { active, standby } = rolesNow(pair);
  await pair.untilWarm(standby, 60_000);
  const transfers = await running(lab, service);
  const text = await readFile(pair.configFile, 'utf8');
  const heavier = replaced(text, line('fs1'), line('fs1', ', weight: 3'));

  lab.say('the same file on both');
  const before = await digests(service);
  assert.equal(before[0], before[1]);
  await writeFile(pair.configFile, heavier);
  const said = await pair.tandem(active, ['reload', '--pair']);
  lab.record('said', said);
  assert.match(said, new RegExp(`fs1\\.weight: 1 -> 3[\\s\\S]*PEER {2}.*on ${standby}, digest \\S+ -> \\S+\\n`));
  assert.match(
    said,
    new RegExp(`${standby}: uses the new config\\n${active}:\\ndirector: uses \\S+; the kernel has all`),
  );
  await until('both say so', async () => {
    const [one, other] = await digests(service);
    return one === other && one !== before[0];
  });
  for (const router of ROUTERS) assert.match(await kernelOf(lab, router), /-w 3/, `weight on ${router}`);
  await transfers.unbroken('the same file on both');

  lab.say('another file on the standby');
  const used = await digests(service);
  await otherFile(service, standby, replaced(heavier, '    mark: 21\n', '    mark: 21\n    persistence: 20m\n'));
  await writeFile(pair.configFile, text);
  const differs = await refused(service, active, ['reload', '--pair']);
  assert.match(differs, /the files differ in services\.ftp: r\d's has digest .*copy the one that is meant/);
  assert.deepEqual(await digests(service), used, 'neither was changed');

  lab.say('the same file again, asked on the standby; then without its director');
  await sameFile(service, standby);
  const back = pairOutcomeSchema.parse(await ask(service, standby, 'POST', '?pair'));
  assert.deepEqual([back.problem, back.peer, back.own?.reloaded], ['', 'reloaded', true]);
  await transfers.unbroken('asked on the standby');
  await pair.stopDirector(standby, 'SIGTERM');
  await until(
    'the links are down',
    async () => (await pair.sync(active)).links?.some(({ connected }) => connected) === false,
  );
  const { refusal } = pairPlanSchema.parse(await ask(service, active, 'GET', '?pair'));
  assert.match(
    refusal,
    new RegExp(`${standby} cannot be asked .*: copy the file there, and run \`tandem reload\` on each`),
  );
  await transfers.whole();
}

async function otherFile({ pair }: Service, router: Router, text: string): Promise<void> {
  await rm(pair.configFileOf(router));
  await writeFile(pair.configFileOf(router), text);
}

async function sameFile({ pair }: Service, router: Router): Promise<void> {
  await rm(pair.configFileOf(router));
  await symlink(pair.configFile, pair.configFileOf(router));
}

export const RELOAD_SCENARIOS: readonly Scenario[] = [
  {
    title: 'transfers in all modes outlive a day of reloads, valid and invalid, on both routers',
    topology: { clients: JOBS.length },
    run: dayOfChanges,
    timeoutMs: 400_000,
  },
  {
    title: 'both routers reload as one, or neither when their files differ, and transfers go on',
    topology: { clients: JOBS.length },
    run: bothAsOne,
    timeoutMs: 400_000,
  },
];

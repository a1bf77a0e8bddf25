// Two Debian routers and what a person does on them: follow README, look, compare. Io.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { labConfig } from '../lab/pair/config.ts';
import { run } from '../lab/pair/netns.ts';
import { CLIENT_ADDRESSES, ROUTERS, type Router, SERVER_ADDRESSES, VIP } from '../lab/pair/topology.ts';
import type { Lab } from '../lab/scenarios/scenario.ts';
import { buildWire, type Machine, startMachine } from './machine.ts';
import { commitOfCheckout, prepare, repositoryOf } from './prepare.ts';
import type { Debian } from './readme.ts';

/** Not about speed: a busy host stops whole machines for ten seconds (seen). */
const TIMES = { interval: '2s', lease: '12s', dead: '15s' };
export const LEASE_MS = 12_000;
/** Debian packages, npm's and a compiler, on a machine whose system calls are slow. */
const STEP_MS = 600_000;
const OK_MS = 300_000;
const OTHERS: Readonly<Record<Router, Router>> = { r1: 'r2', r2: 'r1' };

export interface DebianPair {
  readonly machines: Readonly<Record<Router, Machine>>;
  /** Does something on both at once. */
  readonly both: <T>(act: (machine: Machine) => Promise<T>) => Promise<Readonly<Record<Router, T>>>;
  /** Runs README's commands, in the directory that the last ones ended in. */
  readonly follow: (machine: Machine, commands: readonly string[]) => Promise<string>;
  /** As a person copies the key from one to the other: root only. */
  readonly copyKey: (from: Router) => Promise<void>;
  /** Until `tandem status` ends with 0 on both. */
  readonly untilOk: () => Promise<void>;
  /** The router that holds the VIP; throws unless exactly one does. */
  readonly owner: () => Promise<Router>;
  /** What the repository that they have cloned has as its newest commit from now on. */
  readonly publish: (commit: string) => Promise<void>;
  /** The checkout as a commit of that repository. */
  readonly checkout: string;
  readonly close: () => Promise<void>;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A script that runs commands one by one, shows each, and stops at the first that fails. */
function scriptOf(commands: readonly string[]): string {
  const lines = commands.map(command => {
    const real = command.replace('<this repository>', '/srv/tandem.git');
    return `echo ${quoted(`+ ${real}`)}\n{ ${real}; } || { echo ${quoted(`failed: ${real}`)}; exit 1; }`;
  });
  return `export DEBIAN_FRONTEND=noninteractive
editor() { cp /lab/tandem.yaml "$1"; }
ln -sf /srv/node-v*.tar.xz /root/
cd "$(cat /root/.lab-directory 2>/dev/null || echo /root)"
${lines.join('\n')}
pwd >/root/.lab-directory
`;
}

/**
 * Boots both routers of the topology with a release of Debian, from fresh roots; `commit`: what
 * their repository has, the checkout if unset.
 */
export async function bootPair(lab: Lab, debian: Debian, commit?: string): Promise<DebianPair> {
  const root = process.env.LAB_ROOT ?? process.cwd();
  const work = path.join(root, '.lab/install', `${debian}-${commit === undefined ? 'fresh' : 'old'}`);
  await remove(work);
  await mkdir(work, { recursive: true });
  const { image, shared } = await prepare(root, work, debian, lab.say);
  const repository = path.join(shared, 'tandem.git');
  await repositoryOf(root, repository, commit ?? 'HEAD');
  const checkout = await commitOfCheckout(root, repository);
  const publish = async (newest: string): Promise<void> => {
    await run('git', ['--git-dir', repository, 'update-ref', 'refs/heads/main', newest]);
  };
  if (commit === undefined) await publish(checkout);
  await buildWire(root, work);
  const kernel = await kernelOf(root);
  const start = (router: Router) => startMachine({ topology: lab.topology, router, root, work, image, kernel });
  const machines = { r1: await start('r1'), r2: await start('r2') };
  const pair = handle(machines, work, checkout, publish, () => keepLogs(lab, machines, work));
  await pair.both(async machine => {
    await machine.untilUp();
    await writeFile(path.join(work, machine.router, 'lab/tandem.yaml'), configText());
  });
  return pair;
}

/** The kernel that scripts/setup has built and tried. */
async function kernelOf(root: string): Promise<string> {
  const word = await readFile(path.join(root, '.lab/uml'), 'utf8').catch(
    () => 'refused its kernel is not built: run scripts/setup',
  );
  const kernel = /^kernel (.*)$/m.exec(word)?.[1];
  if (kernel === undefined)
    throw new Error(`these machines are User Mode Linux: ${word.replace(/^refused /, '').trim()}`);
  return kernel;
}

function configText(): string {
  const targets = { clients: [CLIENT_ADDRESSES[0]], servers: Object.values(SERVER_ADDRESSES) };
  return labConfig({ ...TIMES, targets, keyFile: '/etc/tandem/pair.key' });
}

/** What tells about a failed run goes to the results; disks are large and go. */
async function keepLogs(lab: Lab, machines: DebianPair['machines'], work: string): Promise<void> {
  for (const router of ROUTERS) {
    const journal = await machines[router]
      .attempt('journalctl -b --no-pager | tail -n 3000', 20_000)
      .catch(() => undefined);
    if (journal) await writeFile(path.join(lab.results, `${router}.journal.log`), journal.output);
    await machines[router].powerOff();
    const directory = path.join(work, router);
    const outputs = (await readdir(path.join(directory, 'lab'))).filter(name => /^\d+\.(sh|out)$/.test(name));
    const files = ['console', 'boot.log', ...outputs.map(name => path.join('lab', name))];
    const kept = path.join(lab.results, router);
    await mkdir(kept);
    await run('cp', ['-p', '-t', kept, ...files.map(name => path.join(directory, name))]).catch(() => undefined);
    await run('umount', ['-l', path.join(directory, 'root')]).catch(() => undefined);
  }
  await remove(work);
}

/** Two roots' worth of small files: many times faster than node's own. */
async function remove(directory: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', directory], { timeoutMs: STEP_MS });
}

function handle(
  machines: DebianPair['machines'],
  work: string,
  checkout: string,
  publish: DebianPair['publish'],
  close: () => Promise<void>,
): DebianPair {
  const both: DebianPair['both'] = async act => {
    const [r1, r2] = await Promise.all([act(machines.r1), act(machines.r2)]);
    return { r1, r2 };
  };
  return {
    machines,
    both,
    checkout,
    publish,
    close,
    follow: (machine, commands) => machine.exec(scriptOf(commands), STEP_MS),
    copyKey: async from => {
      const file = 'pair.key';
      await machines[from].exec(`install -m 600 /etc/tandem/${file} /lab/`);
      const key = await readFile(path.join(work, from, 'lab', file));
      const to = OTHERS[from];
      await writeFile(path.join(work, to, 'lab', file), key, { mode: 0o600 });
      await machines[to].exec(`install -m 600 /lab/${file} /etc/tandem/`);
    },
    untilOk: async () => {
      for (const end = performance.now() + OK_MS; ; await sleep(1_000)) {
        const said = await both(machine => machine.attempt('tandem status'));
        if (said.r1.status === 0 && said.r2.status === 0) return;
        if (performance.now() > end)
          throw new Error(
            `tandem status is not OK: ${ROUTERS.map(router => `\n${router}: ${said[router].status}\n${said[router].output}`).join('')}`,
          );
      }
    },
    owner: async () => {
      const held = await both(machine => machine.exec(`ip -o address show to ${VIP}`));
      const owners = ROUTERS.filter(router => held[router] !== '');
      assert.equal(owners.length, 1, `${VIP} is on ${owners.length} routers`);
      return owners[0] as Router;
    },
  };
}

export function otherThan(router: Router): Router {
  return OTHERS[router];
}

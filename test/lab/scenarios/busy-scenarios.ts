// Busy is not dead, and clocks may jump: a director on r1, alone (no pulse: VIP and gateway are
// added by hand), before real FTP servers that are full, that lock the check's account out, whose
// name server is gone, or that leave; and under steps of the lab's own wall clock. Io.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FtpServers, FtpServersOptions } from '../ftp/ftp-servers.ts';
import { openSession, type Session } from '../ftp/session.ts';
import { processesIn, run, signalAll } from '../pair/netns.ts';
import { clientAddress, type FileServer, GATEWAY, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import {
  configText,
  type DirectorRig,
  ipvsadm,
  keyFileOf,
  NEW_CLIENTS,
  startDirector,
  until,
} from './director-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

const SERVERS = Object.entries(SERVER_ADDRESSES) as [FileServer, string][];
const CHECK = 'interval: 2s, timeout: 25s, stage_timeout: 5s, fetch: whoami';
/** The addresses after these are NEW_CLIENTS. */
const CLIENTS = 11;
const SIZES = { bigBytes: 100_000, rateBytesPerS: 4_000_000 };

interface Setting {
  readonly rig: DirectorRig;
  readonly ftp: FtpServers;
}

function writeConfig(lab: Lab, servers = SERVERS, check = CHECK, more = ''): Promise<void> {
  const text = `${configText(servers, keyFileOf(lab), check)}`.replace('ipvs: { ', `ipvs: { ${more}`);
  return writeFile(path.join(lab.dir, 'tandem.yaml'), text);
}

/** FTP servers, a director that finds all of them up, VIP and gateway on r1. */
async function setUp(lab: Lab, options: Partial<FtpServersOptions> = {}, more = ''): Promise<Setting> {
  await writeFile(keyFileOf(lab), `${'7f'.repeat(32)}\n`, { mode: 0o600 });
  await writeConfig(lab, SERVERS, CHECK, more);
  const ftp = await lab.ftpServers({ ...SIZES, ...options });
  const rig = await startDirector(lab, 'director');
  await until('three servers take clients', async () => (await takers(lab)).length === 3);
  await heard(rig, 'KERNEL_RULES_IN');
  const addresses = `address add ${VIP}/32 dev c0\naddress add ${GATEWAY}/24 dev s0\n`;
  await lab.topology.exec('r1', 'ip', ['-batch', '-'], { input: addresses });
  await lab.topology.exec('client', 'ip', ['-batch', '-'], {
    input: NEW_CLIENTS.map(address => `address add ${address}/24 dev c0\n`).join(''),
  });
  return { rig, ftp };
}

export async function heard(rig: DirectorRig, code: string, server?: string, timeoutMs = 90_000): Promise<void> {
  const isHeard = async () =>
    (await rig.events()).some(event => event.code === code && (server === undefined || event.server === server));
  await until(`${code} ${server ?? ''}`, isHeard, timeoutMs);
}

interface InKernel {
  readonly weight: number;
  /** 1: no new clients. */
  readonly threshold: number;
}

/** What IPVS has of a server; undefined: nothing. */
async function inKernel(lab: Lab, server: FileServer): Promise<InKernel | undefined> {
  const target = SERVER_ADDRESSES[server].replaceAll('.', '\\.');
  const weight = new RegExp(`^-a -f 21 -r ${target}:0 -m -w (\\d+)`, 'm').exec(await ipvsadm(lab, ['-Sn']))?.[1];
  const counts = await ipvsadm(lab, ['-Ln', '--thresholds']);
  const threshold = new RegExp(`-> ${target}:0 +(\\d+) `).exec(counts)?.[1];
  return weight === undefined ? undefined : { weight: Number(weight), threshold: Number(threshold) };
}

/** Servers that take new clients. */
async function takers(lab: Lab): Promise<FileServer[]> {
  const found = await Promise.all(SERVERS.map(async ([name]) => [name, await inKernel(lab, name)] as const));
  return found.filter(([, server]) => server && server.weight > 0 && server.threshold === 0).map(([name]) => name);
}

interface Placed {
  readonly session: Session;
  readonly server: FileServer;
}

/** One more session, from client address `number`. */
async function place(lab: Lab, ftp: FtpServers, number: number): Promise<Placed> {
  const mode = number % 2 === 0 ? 'passive' : 'extended-passive';
  const session = await openSession(lab.topology, ftp, { from: clientAddress(number), mode, scratch: lab.dir });
  return { session, server: (await session.server()) as FileServer };
}

/** The same, where a check may hold the place for a moment. */
async function placeSoon(lab: Lab, ftp: FtpServers, number: number): Promise<Placed> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const placed = await place(lab, ftp, number).catch(() => undefined);
    if (placed) return placed;
    await sleep(1_000);
  }
  return place(lab, ftp, number);
}

/** Each session is the one that it was, on its server, and gets files over new data connections. */
async function assertUnbroken(placed: readonly Placed[], when: string): Promise<void> {
  for (const { session, server } of placed) {
    await session.download();
    assert.equal(await session.server(), server, `${when}: the session of ${session.request.from} stays on its server`);
    assert.equal(session.logins(), 1, `${when}: the session of ${session.request.from} had to log in again`);
  }
}

/**
 * What a client that comes for the first time meets: the name of a server, a server's last word, or, if none said one, curl's exit status.
 * (That alone does not tell: a 421 is a time-out to curl.)
 */
export async function newClient(lab: Lab, from: string): Promise<string> {
  const args = ['-sv', '-m', '40', '--interface', from, `ftp://${VIP}/whoami`];
  const child = lab.topology.start('client', 'curl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [text, said] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status === 0) return text.trim();
  const word = [...said.matchAll(/^< (\d{3} .*)$/gm)].at(-1)?.[1];
  return word === undefined ? `curl ${status}` : `told ${word.trim()}`;
}

async function fullServers(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { clientsMax: 2 });
  const placed: Placed[] = [];
  const countOn = (name: FileServer) => placed.filter(({ server }) => server === name).length;
  // Round robin: the fourth session is the second one on some server, which is full then.
  for (let number = 0; number < 4; number++) placed.push(await placeSoon(lab, ftp, number));
  const full = SERVERS.map(([name]) => name).find(name => countOn(name) === 2);
  assert.ok(full, `no server has two of ${placed.map(({ server }) => server)}`);
  await heard(rig, 'SERVER_DOWN', full);
  await until('the full server is quiesced', async () => (await inKernel(lab, full))?.threshold === 1);
  assert.deepEqual(await inKernel(lab, full), { weight: 1, threshold: 1 });
  await assertUnbroken(placed, 'one server is full');
  const met: string[] = [];
  for (const from of NEW_CLIENTS.slice(0, 3)) met.push(await newClient(lab, from));
  lab.record('newClientsBesideAFullServer', met);
  // A check, or the session before, may still hold the second place of another server.
  assert.ok(met.some(name => /^fs/.test(name)) && !met.includes(full), `new clients met ${met}`);

  for (let number = 4; number < CLIENTS && placed.length < 6; number++) {
    const more = await place(lab, ftp, number).catch(() => undefined);
    if (more) placed.push(more);
  }
  assert.equal(placed.length, 6, 'two sessions on each server');
  await heard(rig, 'ALL_SERVERS_FAIL');
  await sleep(8_000);
  lab.record('whileAllAreFull', await ipvsadm(lab, ['-Ln', '--thresholds']));
  assert.ok((await takers(lab)).length > 0, 'the service is not gone');
  await assertUnbroken(placed, 'all servers are full');
  const told = await newClient(lab, NEW_CLIENTS[3] as string);
  lab.record('newClientWhileAllAreFull', told);
  assert.match(told, /^told (?:421|530)/, 'a new client is told by a server, not refused by the router');

  await Promise.all(placed.splice(0).map(({ session }) => session.close()));
  await heard(rig, 'ALL_SERVERS_FAIL_OVER');
  await until('all take clients again', async () => (await takers(lab)).length === 3);
}

/** The account of the check is refused by every server at once; a restart finds it so. */
async function lockedAccount(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { knowsAccounts: true });
  const placed = [await place(lab, ftp, 0), await place(lab, ftp, 1), await place(lab, ftp, 2)];
  const before = await ipvsadm(lab, ['-Sn']);
  await writeConfig(lab, SERVERS, CHECK.replace('fetch: whoami', 'user: locked-out'));
  await rig.ask('director-control', 'POST', '/reload');
  await heard(rig, 'ALL_SERVERS_FAIL');
  await heard(rig, 'SERVER_DOWN', 'fs3');
  assert.equal(await ipvsadm(lab, ['-Sn']), before, 'every weight stays');
  assert.equal((await takers(lab)).length, 3);
  await assertUnbroken(placed, 'the account is locked');
  const met = await Promise.all(NEW_CLIENTS.slice(0, 3).map(from => newClient(lab, from)));
  assert.ok(
    met.every(name => /^fs/.test(name)),
    `new clients met ${met}`,
  );

  // As after a power cut: nothing is in the kernel, and all checks fail from the first.
  await rig.stop('SIGTERM');
  await ipvsadm(lab, ['-D', '-f', '21']);
  const next = await startDirector(lab, 'director-2');
  await heard(next, 'ALL_SERVERS_FAIL');
  await until('weights as configured', async () => (await takers(lab)).length === 3);
  await writeConfig(lab);
  await next.ask('director-control', 'POST', '/reload');
  await heard(next, 'ALL_SERVERS_FAIL_OVER');
}

const DEAF_NAMES = "require('node:dgram').createSocket('udp4').bind(53, '127.0.0.1');";

/** The name server of fs3 stops answering: its greeting takes ten seconds. */
async function slowResolver(lab: Lab): Promise<void> {
  const names = path.join(lab.dir, 'resolv.conf');
  await writeFile(names, 'nameserver 127.0.0.1\n');
  // Nobody listens there yet: the resolver gives up at once.
  await run('mount', ['--bind', names, '/etc/resolv.conf']);
  let deaf: ChildProcess | undefined;
  try {
    const { rig, ftp } = await setUp(lab, { asksNames: true });
    const placed = [await place(lab, ftp, 0), await place(lab, ftp, 1), await place(lab, ftp, 2)];
    assert.ok(
      placed.some(({ server }) => server === 'fs3'),
      'a session on fs3',
    );
    deaf = lab.topology.start('fs3', process.execPath, ['-e', DEAF_NAMES], { stdio: 'ignore' });
    await heard(rig, 'SERVER_DOWN', 'fs3', 120_000);
    await until('fs3 is quiesced', async () => (await inKernel(lab, 'fs3'))?.threshold === 1);
    // Two patient checks: each waits for the late greeting.
    await sleep(40_000);
    assert.deepEqual(await inKernel(lab, 'fs3'), { weight: 1, threshold: 1 });
    assert.ok(!(await rig.events()).some(event => event.code === 'SERVER_DEAD'), 'slow is not dead');
    await assertUnbroken(placed, 'a name server is gone');
    deaf.kill('SIGKILL');
    await until('fs3 takes clients again', async () => (await takers(lab)).includes('fs3'), 90_000);
  } finally {
    deaf?.kill('SIGKILL');
    await run('umount', ['/etc/resolv.conf']);
  }
}

/**
 * A server leaves the config with a session, and dies; another one leaves, and its session never
 * ends.
 */
async function drainsWithAnEnd(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, {}, 'drain: 150s, ');
  const placed = [await place(lab, ftp, 0), await place(lab, ftp, 1), await place(lab, ftp, 2)];
  const onFs1 = placed.find(({ server }) => server === 'fs1');
  const onFs2 = placed.find(({ server }) => server === 'fs2');
  assert.ok(onFs1 && onFs2, 'a session on each server');
  const began = performance.now();
  await writeConfig(
    lab,
    SERVERS.filter(([name]) => name === 'fs3'),
    CHECK,
    'drain: 150s, ',
  );
  await rig.ask('director-control', 'POST', '/reload');
  assert.deepEqual(await inKernel(lab, 'fs1'), { weight: 1, threshold: 1 });
  await assertUnbroken([onFs1, onFs2], 'its server leaves');

  signalAll(await processesIn(lab.topology.namespace('fs1')), 'SIGKILL');
  await until('the dead one keeps no clients', async () => ((await inKernel(lab, 'fs1'))?.weight ?? 0) === 0, 60_000);
  const met = await newClient(lab, onFs1.session.request.from);
  assert.equal(met, 'fs3', 'its client comes to another server');
  assert.equal((await inKernel(lab, 'fs2'))?.weight, 1, 'the other one still has its time');

  await until('fs2 is out of the kernel', async () => (await inKernel(lab, 'fs2')) === undefined, 240_000);
  const tookS = (performance.now() - began) / 1_000;
  lab.record('drainedAfterS', Math.round(tookS));
  assert.ok(tookS > 140, `not before its time: ${tookS} s`);
  const cut = (await rig.events()).find(
    event => event.code === 'SERVER_DRAINED' && event.address === SERVER_ADDRESSES.fs2,
  );
  assert.ok(Number(cut?.cut) > 0, 'the event says what was cut');
}

const STEPS_S = [-3_600, 7 * 86_400, 365 * 86_400] as const;

/** `ipvs.audit` by default. */
const AUDIT_MS = 30_000;

const stepsTold = async (rig: DirectorRig): Promise<number> =>
  (await rig.events()).filter(({ code }) => code === 'CLOCK_STEPPED').length;

const auditedAt = async (rig: DirectorRig): Promise<string | null> =>
  ((await rig.ask('status', 'GET', '/status')) as { kernel: { lastAuditAt: string | null } }).kernel.lastAuditAt;

/**
 * The director under steps of the wall clock: audits go on, nothing stands still, clients are
 * served.
 */
async function clockSteps(lab: Lab): Promise<void> {
  // On a host whose kernel has IPVS the lab is only namespaces, and the clock is everybody's.
  if ((process.env.LAB_MACHINE ?? 'direct') === 'direct')
    return lab.say('the lab is no machine of its own: its clock is left alone');
  const { rig } = await setUp(lab);
  const text = configText(SERVERS, keyFileOf(lab), CHECK).replace('ipvs: { audit: "0 0 0 1 1 *" }\n', '');
  await writeFile(path.join(lab.dir, 'tandem.yaml'), text);
  await rig.ask('director-control', 'POST', '/reload');
  const before = { wallS: Date.now() / 1_000, monotonicS: performance.now() / 1_000 };
  const setClock = (seconds: number) => run('date', ['-u', '-s', `@${Math.round(seconds)}`]);
  try {
    for (const [index, stepS] of STEPS_S.entries()) {
      lab.say(`the clock is set by ${stepS} s`);
      await setClock(Date.now() / 1_000 + stepS);
      await until('the step is told', async () => (await stepsTold(rig)) === index + 1, 10_000);
      const lastAudit = await auditedAt(rig);
      const began = performance.now();
      let longestMs = 0;
      await until(
        'the next audit',
        async () => {
          const asked = performance.now();
          const at = await auditedAt(rig);
          longestMs = Math.max(longestMs, performance.now() - asked);
          return at !== lastAudit;
        },
        AUDIT_MS + 5_000,
      );
      lab.record(`step ${stepS} s`, { auditAfterS: Math.round((performance.now() - began) / 1_000), longestMs });
      // The walk of a week of missed slots took minutes.
      assert.ok(longestMs < 500, `an answer took ${longestMs} ms`);
    }
    assert.equal(await stepsTold(rig), STEPS_S.length, 'each step is told once');
    const met = await newClient(lab, NEW_CLIENTS[0] as string);
    assert.match(met, /^fs/, `a new client met ${met}`);
  } finally {
    await setClock(before.wallS + performance.now() / 1_000 - before.monotonicS);
  }
}

export const busyScenarios: readonly Scenario[] = [
  {
    title: 'full servers keep their sessions, and when all are full the service stays',
    topology: { clients: CLIENTS },
    run: fullServers,
    timeoutMs: 400_000,
  },
  {
    title: "a locked account of the check breaks no session and takes no server, also at the director's start",
    run: lockedAccount,
    timeoutMs: 300_000,
  },
  {
    title: 'a server whose name server is gone gets no new clients, and keeps those it has',
    run: slowResolver,
    timeoutMs: 400_000,
  },
  {
    title: 'draining ends: a dead server keeps no clients, and one with an endless session goes when its time is over',
    run: drainsWithAnEnd,
    timeoutMs: 400_000,
  },
  {
    title: 'steps of the wall clock stop no audit and make the director stand still for no moment',
    run: clockSteps,
    timeoutMs: 400_000,
  },
];

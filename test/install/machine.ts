// A Debian router: User Mode Linux with Debian's systemd, joined with a router's namespace of the
// topology by the wire. Commands are run in it by its agent. Io.
import type { ChildProcess } from 'node:child_process';
import { access, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killAllIn, run } from '../lab/pair/netns.ts';
import { ROUTERS, type Router, type Topology } from '../lab/pair/topology.ts';

const BOOT_MS = 240_000;
/** For a command that says no time of its own: a busy host stops whole machines for long. */
const COMMAND_MS = 180_000;
const LOOK_EVERY_MS = 100;
const INTERFACES = ['c0', 's0', 'x0'];

export interface Outcome {
  readonly status: number;
  /** Both streams. */
  readonly output: string;
}

export interface Machine {
  readonly router: Router;
  /**
   * Runs a script by bash as root, in /root; throws with its last words when it fails or takes
   * longer.
   */
  readonly exec: (script: string, timeoutMs?: number) => Promise<string>;
  /** The same, whatever its exit status. */
  readonly attempt: (script: string, timeoutMs?: number) => Promise<Outcome>;
  /** `systemctl reboot`; resolves when it has gone down and boots. */
  readonly reboot: () => Promise<void>;
  /** Until its agent speaks. */
  readonly untilUp: () => Promise<void>;
  readonly powerOff: () => Promise<void>;
}

export interface MachineOptions {
  readonly topology: Topology;
  readonly router: Router;
  /** The checkout. */
  readonly root: string;
  /** The run's directory, which the machine's disk is in. */
  readonly work: string;
  readonly image: string;
  readonly kernel: string;
}

/** Compiles the wire into the run's directory, once, for the host and every guest. */
export async function buildWire(root: string, work: string): Promise<void> {
  const source = path.join(root, 'test/install/wire.c');
  const flags = ['-std=c17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-static'];
  await run('cc', [...flags, '-o', path.join(work, 'shared/wire'), source]);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Puts up a machine and switches it on; it is not up yet. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { topology, router, root, work, image, kernel } = options;
  const lab = path.join(work, router, 'lab');
  await mkdir(lab, { recursive: true });
  // The machine has these addresses, not the namespace that its wire goes through.
  for (const name of INTERFACES) await topology.exec(router, 'ip', ['address', 'flush', 'dev', name]);
  const number = String(ROUTERS.indexOf(router) + 1);
  const boot = [path.join(root, 'test/install/boot'), work, router, image, number];
  const switchOn = async (): Promise<ChildProcess> => {
    const log = await open(path.join(work, router, 'boot.log'), 'a');
    const child = topology.start(router, path.join(work, 'shared/wire'), ['--start', ...INTERFACES, '--', ...boot], {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, LAB_KERNEL: kernel },
    });
    child.on('error', error => process.stderr.write(`${router} does not start: ${error.message}\n`));
    await log.close();
    return child;
  };
  // What runs in the guest are processes of the host's, too, which go on when their kernel is
  // killed: all that is in the namespace.
  const killAll = () => killAllIn(topology.namespace(router));
  return handle(router, lab, switchOn, await switchOn(), killAll);
}

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function untilOver(child: ChildProcess, timeoutMs: number): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(LOOK_EVERY_MS))
    if (isOver(child)) return true;
  return false;
}

function handle(
  router: Router,
  lab: string,
  switchOn: () => Promise<ChildProcess>,
  first: ChildProcess,
  killAll: () => Promise<void>,
): Machine {
  let child = first;
  let commands = 0;
  const until = async (file: string, timeoutMs: number): Promise<boolean> => {
    for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(LOOK_EVERY_MS)) {
      if (await exists(path.join(lab, file))) return true;
      if (isOver(child)) throw new Error(`${router} ended with ${child.signalCode ?? child.exitCode}; see its console`);
    }
    return false;
  };
  const send = async (script: string): Promise<number> => {
    commands += 1;
    await writeFile(path.join(lab, 'next'), script);
    await rename(path.join(lab, 'next'), path.join(lab, `${commands}.sh`));
    return commands;
  };
  const attempt: Machine['attempt'] = async (script, timeoutMs = COMMAND_MS) => {
    const number = await send(script);
    const done = await until(`${number}.status`, timeoutMs);
    const output = await readFile(path.join(lab, `${number}.out`), 'utf8').catch(() => '');
    if (!done)
      throw new Error(`${router}: after ${timeoutMs / 1000} s still at it: ${script}\n${output.slice(-2_000)}`);
    return { status: Number(await readFile(path.join(lab, `${number}.status`), 'utf8')), output };
  };
  return {
    router,
    attempt,
    exec: async (script, timeoutMs) => {
      const { status, output } = await attempt(script, timeoutMs);
      if (status !== 0) throw new Error(`${router}: ended with ${status}: ${script}\n${output.slice(-3_000)}`);
      return output;
    },
    reboot: async () => {
      await rm(path.join(lab, 'up'));
      await send('systemctl reboot\n');
      if (!(await untilOver(child, BOOT_MS))) throw new Error(`${router} does not go down; see its console`);
      child = await switchOn();
    },
    untilUp: async () => {
      if (!(await until('up', BOOT_MS)))
        throw new Error(`${router} is not up after ${BOOT_MS / 1000} s; see its console`);
    },
    powerOff: killAll,
  };
}

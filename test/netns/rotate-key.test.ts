// The pair's key is changed under real pulses by the command that an operator has, with a client at work: no missed
// lease, no change of role, nothing refused. Needs root and `scripts/setup`.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Snapshot } from '../../src/feed/message.ts';
import { ROUTERS, type Router } from '../lab/pair/topology.ts';
import { type Act, activeIs, clientIsServed, logged, routersTest } from './io/act.ts';
import { CLI, groupPids, signalAll } from './io/routers.ts';
import { sleep } from './io/vipd.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Shown {
  readonly inFile: { readonly accepts: readonly string[] };
  readonly inUse: { readonly signs: string; readonly accepts: readonly string[] };
  readonly next: string;
}

const keyFile = ({ routers }: Act, router: Router) => join(routers.directory, `${router}.key`);

/** Each router has a key file of its own, as in life. */
function ownKeys(act: Act, router: Router, text: string): void {
  const file = keyFile(act, router);
  copyFileSync(join(act.routers.directory, 'pair.key'), file);
  writeFileSync(configOf(act, router), text.replace(/key_file: \S+?(?=[,\s])/, `key_file: ${file}`));
}

const configOf = ({ routers }: Act, router: Router) => join(routers.directory, `${router}.yaml`);

async function rotate(act: Act, router: Router, ...args: string[]): Promise<Ran> {
  const { routers } = act;
  const where = ['--config', configOf(act, router), '--run-dir', join(routers.directory, router, 'run')];
  return await routers.topology.exec(router, process.execPath, [CLI, 'rotate-key', ...args, ...where]).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (error: Error) => {
      const [, code = '-1', err = ''] = /ended with (\d+): ([\s\S]*)/.exec(error.message) ?? [];
      return { code: Number(code), out: '', err: err === '' ? error.message : err };
    },
  );
}

async function step(act: Act, router: Router, what: string): Promise<void> {
  const { code, err } = await rotate(act, router, what);
  act.t.is(code, 0, `${what} on ${router}: ${err}`);
}

async function shown(act: Act, router: Router): Promise<Shown> {
  return JSON.parse((await rotate(act, router, '--json')).out) as Shown;
}

type Keys = NonNullable<Snapshot['keys']>;

async function shows(act: Act, router: Router, what: string, test: (keys: Keys) => boolean): Promise<void> {
  await act.routers.until(`${router} shows that ${what}`, 10_000, async () => {
    const keys = (await act.routers.snapshot(router))?.keys;
    return keys ? test(keys) : false;
  });
}

const copy = (act: Act, from: Router, to: Router) => copyFileSync(keyFile(act, from), keyFile(act, to));

/** Both with configs and keys of their own; r1 is active. */
async function begin(act: Act): Promise<void> {
  const { routers } = act;
  const text = readFileSync(join(routers.directory, 'tandem.yaml'), 'utf8');
  for (const router of ROUTERS) ownKeys(act, router, text);
  for (const router of ROUTERS) startOwn(act, router);
  await routers.settle('r1');
  await sleep(600);
}

const startOwn = (act: Act, router: Router) => act.routers.start(router, router, undefined, configOf(act, router));

function nothingHappened(act: Act, since: Readonly<Record<Router, number>>): void {
  const { t, routers } = act;
  t.deepEqual(
    routers.events.filter(({ held }) => !held),
    [],
    'the VIP never left',
  );
  t.deepEqual(routers.holders(), ['r1']);
  for (const router of ROUTERS) {
    t.is(logged(act, router, 'LEASE_EXPIRED').length, 0);
    t.is(logged(act, router, 'DATAGRAM_REFUSED').length, 0, `${router} refuses nothing`);
    t.is(logged(act, router, 'ROLE_CHANGED').length, since[router], `${router} stays what it is`);
  }
}

routersTest('from one key to the next, step by step, and the last will is signed with the new one', {}, async act => {
  await begin(act);
  const { t, routers } = act;
  const roles = { r1: logged(act, 'r1', 'ROLE_CHANGED').length, r2: logged(act, 'r2', 'ROLE_CHANGED').length };
  const old = (await shown(act, 'r1')).inUse.signs;
  const client = clientIsServed(act);

  await step(act, 'r1', 'start');
  const early = await rotate(act, 'r1', 'next');
  t.is(early.code, 1);
  t.regex(early.err, /nothing was changed: r2 has not said that it accepts key \w+.*; next: on r1: scp -p/);
  t.is((await shown(act, 'r1')).inUse.signs, old);
  copy(act, 'r1', 'r2');
  await step(act, 'r2', 'next');
  await shows(act, 'r1', 'r2 accepts both', ({ peer }) => peer?.accepts.length === 2);

  await step(act, 'r1', 'next');
  const dropped = await rotate(act, 'r1', 'next');
  t.is(dropped.code, 1);
  t.regex(dropped.err, /r2 still signs with key \w+, .*; next: on r2: tandem rotate-key next/);
  await shows(act, 'r2', 'r1 signs with the new key', ({ peer }) => peer?.signs !== old);
  await step(act, 'r2', 'next');
  await shows(act, 'r1', 'r2 signs with the new key', ({ peer }) => peer?.signs !== old);

  await step(act, 'r1', 'next');
  await step(act, 'r2', 'next');
  await shows(act, 'r1', 'r2 accepts one', ({ peer }) => peer?.accepts.length === 1);
  t.regex((await shown(act, 'r1')).next, /^nothing/);
  await client;
  for (const router of ROUTERS) {
    const { inFile, inUse } = await shown(act, router);
    t.deepEqual(inUse.accepts, inFile.accepts);
    t.false(inUse.accepts.includes(old));
  }
  await sleep(600);
  nothingHappened(act, roles);

  // Its vipd got the will with the old key, and sends it with the new one: a takeover without waiting.
  const vipd = await routers.vipdPid('r1');
  signalAll(
    (await groupPids(routers, 'r1')).filter(pid => pid !== vipd),
    'SIGKILL',
  );
  await activeIs(act, 'r2', 10_000);
  const decision = (await routers.snapshot('r2'))?.decisions.findLast(({ to }) => to === 'claiming');
  t.regex(decision?.reason ?? '', /last will/);
});

routersTest(
  'a router that is restarted in the middle goes on where it was; who is not heard is waited for',
  {},
  async act => {
    await begin(act);
    const { t, routers } = act;
    await step(act, 'r1', 'start');
    copy(act, 'r1', 'r2');
    await step(act, 'r2', 'next');
    await shows(act, 'r1', 'r2 accepts both', ({ peer }) => peer?.accepts.length === 2);
    await step(act, 'r1', 'next');

    signalAll(await groupPids(routers, 'r2'), 'SIGKILL');
    await shows(act, 'r1', 'r2 is gone', ({ peer }) => peer === null);
    const alone = await rotate(act, 'r1', 'next');
    t.is(alone.code, 1);
    t.regex(alone.err, /r2 is not heard.*start tandem-pulse on r2/);
    startOwn(act, 'r2');
    await shows(act, 'r1', 'r2 is back and accepts both', ({ peer }) => peer?.accepts.length === 2);
    await step(act, 'r2', 'next');
    await shows(act, 'r1', 'r2 signs with the new key', ({ peer, signs }) => peer?.signs === signs);
    await step(act, 'r1', 'next');
    await step(act, 'r2', 'next');
    await routers.settle('r1');
    t.deepEqual(
      routers.events.filter(({ held }) => !held),
      [],
      'the VIP never left',
    );

    // A key that only this router has is refused by pulse itself, whoever asks for the reload.
    writeFileSync(keyFile(act, 'r1'), `${'ab'.repeat(32)}\n`);
    const { reading } = await routers.command('r1', { command: 'reload', dryRun: false });
    t.regex(reading?.keysProblem ?? '', /r2 has not said that it accepts key/);
    t.is(logged(act, 'r1', 'KEYS_REFUSED').length, 1);
    await sleep(600);
    t.is((await routers.snapshot('r2'))?.peer?.silent, false);
  },
);

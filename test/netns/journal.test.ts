// A real pair, a real fault: the director keeps the journal of the takeover, and `tandem replay` decides the same from it.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { eventsOf, startDirector } from './io/plane.ts';
import { buildRouters, CLI } from './io/routers.ts';

const run = promisify(execFile);

test('the journal of a takeover after a power loss, replayed, gives the decision that was made', async t => {
  const routers = await buildRouters({ prefix: `tj${process.pid}-` });
  t.teardown(() => routers.destroy());
  routers.start('r1');
  routers.start('r2');
  await routers.settle('r1');
  // The pulses' own config, without services: no rules are to wait for where the kernel has no IPVS.
  const config = readFileSync(join(routers.directory, 'tandem.yaml'), 'utf8');
  const director = startDirector(routers, 'r2', { edit: () => config });
  await routers.until('the director hears pulse', 20_000, () => eventsOf(director, 'PULSE_CONNECTED').length > 0);
  await routers.topology.cutPower('r1');
  await routers.until('r2 serves', 20_000, async () => (await routers.snapshot('r2'))?.serving === true);
  await routers.until('a journal is kept', 30_000, () => eventsOf(director, 'JOURNAL_KEPT').length > 0);

  const directory = join(routers.directory, 'r2', 'state', 'journal');
  const files = readdirSync(directory);
  t.is(files.length, 1);
  const file = join(directory, files[0] ?? '');
  t.is(statSync(file).mode & 0o777, 0o600);
  const key = readFileSync(join(routers.directory, 'pair.key'), 'utf8').trim();
  const text = gunzipSync(readFileSync(file)).toString();
  for (const form of [key, Buffer.from(key, 'hex').toString('base64')]) t.false(text.includes(form), 'no key is in it');

  const { stdout } = await run(process.execPath, [CLI, 'replay', '--json', file]);
  const replayed = JSON.parse(stdout) as { same: boolean; steps: number; decided: Record<string, unknown>[] };
  t.true(replayed.same);
  t.true(replayed.steps > 50, `${replayed.steps} events`);
  const claimed = routers.pulses.r2?.log.find(line => line.code === 'ROLE_CHANGED' && line.to === 'claiming');
  const again = replayed.decided.find(({ to }) => to === 'claiming');
  t.like(again, { from: 'standby', epoch: claimed?.epoch, reason: claimed?.reason });
  t.like(again?.evidence, { probeRoundsSilent: claimed?.probeRoundsSilent, linksHeard: claimed?.linksHeard });
  // Told with the next heartbeat: the feed's newest snapshot may be from before.
  const given = async () => (await routers.snapshot('r2'))?.counters.journalsGiven;
  await routers.until('pulse has counted it', 5_000, async () => (await given()) !== undefined);
  t.is(await given(), 1);
});

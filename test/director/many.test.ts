// Two hundred services of ten servers: how many commands an audit runs. How long it takes is measured by scripts/bench scale.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import type { Config } from '../../src/config/schema.ts';
import { audit } from '../../src/director/io/converge.ts';
import type { Kernel } from '../../src/director/io/kernel.ts';
import { NOTHING_OWNED } from '../../src/director/owned.ts';
import type { Audit } from '../../src/director/plan.ts';
import { markKey } from '../../src/ipvs/table.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import type { At } from '../../src/units/duration.ts';
import { tandemConfig } from '../bench/scale-plan.ts';
import { type FakeKernel, fakeKernel, NODE, verdict } from './fixture.ts';

const SIZE = { services: 200, servers: 10 };

function configOf(weight: number): Config {
  const parsed = parseConfig(tandemConfig(SIZE, '/k', weight));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes.slice(0, 3)));
  return parsed.config;
}

function run(fake: FakeKernel, config: Config, verdicts: readonly Verdict[], before?: Audit): Promise<Audit> {
  const { owned = NOTHING_OWNED, applied } = before ?? {};
  const about = {
    config,
    node: NODE,
    owned,
    applied,
    known: before?.actual,
    adopting: true,
    now: () => 0 as At,
    clients: () => new Map(),
  };
  const ports = { kernel: fake.kernel, saveOwned: async () => undefined };
  return audit({ ...about, verdicts: () => verdicts, otherVerdicts: () => [], drains: () => () => undefined }, ports);
}

/** Notes in which order the table is read and written. */
function noted(fake: FakeKernel): { readonly fake: FakeKernel; readonly order: string[] } {
  const order: string[] = [];
  const { kernel } = fake;
  const noting: Kernel = {
    ...kernel,
    readIpvs: () => {
      order.push('read');
      return kernel.readIpvs();
    },
    applyIpvs: commands => {
      order.push('write');
      return kernel.applyIpvs(commands);
    },
  };
  return { fake: { ...fake, kernel: noting }, order };
}

function allUp({ services }: Config): Verdict[] {
  return Object.entries(services).flatMap(([service, { servers }]) =>
    Object.keys(servers).map(server => verdict(server, 'up', service)),
  );
}

test('from empty, all goes in by one ipvsadm -R and one nft -f; then nothing, and one change is one line', async t => {
  const fake = fakeKernel();
  const config = configOf(1);
  const verdicts = allUp(config);
  const first = await run(fake, config, verdicts);
  t.deepEqual(first.last.changes, []);
  t.is(fake.ipvs.services.size, SIZE.services);
  t.is([...fake.ipvs.services.values()].flatMap(({ servers }) => servers).length, SIZE.services * SIZE.servers);
  t.is(fake.ipvs.batches.length, 1);
  t.is(fake.nftApplied.length, 1);
  t.is(first.owned.services.length, SIZE.services);

  const second = await run(fake, config, verdicts, first);
  t.deepEqual(second.first.changes, []);
  t.is(fake.ipvs.batches.length, 1);

  await run(fake, configOf(3), verdicts, second);
  t.deepEqual(fake.ipvs.batches.slice(1), ['-e -f 1000 -r 198.18.1.1:0 -m -w 3 -x 0\n']);
  t.is(fake.nftApplied.length, 1);
});

test('another weight does not wait until all is read, which follows; a server that fails does, and so does what others changed', async t => {
  const { fake, order } = noted(fakeKernel());
  const config = configOf(1);
  const verdicts = allUp(config);
  const first = await run(fake, config, verdicts);
  order.length = 0;
  const second = await run(fake, configOf(3), verdicts, first);
  t.deepEqual(order, ['write', 'read']);
  t.deepEqual(second.last.changes, []);

  order.length = 0;
  const down = [verdict('s1', 'down', 'ftp1'), ...verdicts.slice(1)];
  const third = await run(fake, configOf(3), down, second);
  t.deepEqual(order, ['read', 'write', 'read']);

  order.length = 0;
  await fake.ipvsadm.apply([{ type: 'delete-service', key: markKey(1_001, 4) }]);
  const fourth = await run(fake, configOf(2), verdicts, third);
  t.deepEqual(order, ['read', 'write', 'read']);
  t.deepEqual(fourth.last.changes, []);

  order.length = 0;
  await run(fake, configOf(2), verdicts, fourth);
  t.deepEqual(order, ['read'], 'an audit with nothing to do has read');
});

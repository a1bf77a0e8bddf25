import test from 'ava';
import {
  type KernelInterface,
  lanInterfaces,
  parseInterfaces,
  realName,
  realNames,
  relevantNames,
  withRealNames,
} from '../../src/firewall/interfaces.ts';
import { firewallOf } from '../../src/firewall/ruleset.ts';
import { configOf, NODE } from '../director/fixture.ts';

const at = (name: string, altnames: string[] = [], addresses: string[] = []): KernelInterface => ({
  name,
  altnames,
  addresses,
});

for (const { title, interfaces, name } of [
  { title: 'the name that the kernel has', interfaces: [at('eth0')], name: 'eth0' },
  {
    title: 'the kernel name behind an alternative one',
    interfaces: [at('lo'), at('enp1s0', ['eth0'])],
    name: 'enp1s0',
  },
  {
    title: 'the one with an own address, when it was renamed',
    interfaces: [at('wan0', [], ['192.0.2.2'])],
    name: 'wan0',
  },
  {
    title: 'the name before anything else',
    interfaces: [at('a', ['eth0'], ['192.0.2.2']), at('eth0')],
    name: 'eth0',
  },
  { title: 'as written, when there is none yet', interfaces: [at('lo')], name: 'eth0' },
]) {
  test(`an interface means ${title}`, t => {
    t.is(realName('eth0', ['192.0.2.2'], interfaces), name);
  });
}

test('the rules are made with the kernel names, of this router only', t => {
  const config = configOf();
  const names = realNames(lanInterfaces(config, NODE), [
    at('wan0', ['c0']),
    at('s0'),
    at('cross', [], ['203.0.113.1']),
  ]);
  t.deepEqual(
    [...names],
    [
      ['c0', 'wan0'],
      ['s0', 's0'],
      ['x0', 'cross'],
    ],
  );
  const real = withRealNames(config, NODE, names);
  t.deepEqual(real.lans.client?.interface, { r1: 'wan0' });
  t.deepEqual(real.lans.servers?.interface, { r1: 's0', r2: 's9' });
  t.deepEqual(firewallOf(real, NODE).services[0]?.interfaces, ['cross', 'wan0']);
});

test('only names that could matter are looked at: containers come and go', t => {
  const names = new Map([
    ['c0', 'wan0'],
    ['s0', 's0'],
  ]);
  t.is(relevantNames(names, ['lo', 'wan0', 's0', 'veth1']), relevantNames(names, ['veth2', 's0', 'wan0']));
  t.not(relevantNames(names, ['wan0', 's0']), relevantNames(names, ['wan1', 's0']));
  t.not(relevantNames(names, ['wan0', 's0']), relevantNames(names, ['wan0', 's0', 'c0']));
});

test('`ip -j address` is read, and what is something else is refused', t => {
  const text =
    '[{},{"ifindex":2,"ifname":"cc0","altnames":["alt0"],"addr_info":[{"family":"inet","local":"192.0.2.2","prefixlen":24}]},{"ifname":"lo"}]';
  t.deepEqual(parseInterfaces(text), [at('cc0', ['alt0'], ['192.0.2.2']), at('lo')]);
  t.throws(() => parseInterfaces('{}'), { message: /no list/ });
});

import test from 'ava';
import { lossText, suspects } from '../../src/firewall/suspects.ts';

const table = (family: string, name: string) => ({ table: { family, name } });
const chain = (family: string, table: string, name: string, hook?: string, policy = 'accept') => ({
  chain: { family, table, name, ...(hook && { hook, policy, type: 'filter', prio: 0 }) },
});
const rule = (family: string, table: string, chain: string, ...expr: object[]) => ({
  rule: { family, table, chain, expr },
});
const listing = (...nftables: object[]) => JSON.stringify({ nftables: [{ metainfo: {} }, ...nftables] });

const DOCKER = listing(
  table('ip', 'filter'),
  chain('ip', 'filter', 'FORWARD', 'forward', 'drop'),
  rule('ip', 'filter', 'FORWARD', { jump: { target: 'DOCKER-USER' } }),
  chain('ip', 'filter', 'DOCKER-USER'),
  chain('ip', 'filter', 'INPUT', 'input'),
);

test('a policy that drops is named for the ways through its hook, and for its family only', t => {
  t.deepEqual(suspects(DOCKER, 'from-servers', 'ip'), ['ip filter FORWARD (policy drop)']);
  t.deepEqual(suspects(DOCKER, 'active-data', 'ip'), ['ip filter FORWARD (policy drop)']);
  t.deepEqual(suspects(DOCKER, 'from-clients', 'ip'), []);
  t.deepEqual(suspects(DOCKER, 'from-servers', 'ip6'), []);
});

test('a chain that drops by a rule, or leads to one that does, comes after those that drop by policy', t => {
  const text = listing(
    chain('inet', 'fw', 'pre', 'prerouting'),
    rule('inet', 'fw', 'pre', { goto: { target: 'a' } }),
    chain('inet', 'fw', 'a'),
    rule('inet', 'fw', 'a', { jump: { target: 'b' } }),
    rule('inet', 'fw', 'b', { reject: {} }, { jump: { target: 'a' } }),
    chain('inet', 'fw', 'in', 'input', 'drop'),
    chain('inet', 'fw', 'harmless', 'input'),
    rule('inet', 'fw', 'harmless', { counter: {} }, { accept: null }),
  );
  t.deepEqual(suspects(text, 'from-clients', 'ip'), ['inet fw in (policy drop)', 'inet fw pre']);
});

test('chains that lead in a circle have an end, and our own are none', t => {
  const text = listing(
    chain('ip', 'x', 'f', 'forward'),
    rule('ip', 'x', 'f', { jump: { target: 'g' } }),
    rule('ip', 'x', 'g', { jump: { target: 'f' } }),
    chain('inet', 'tandem', 'guard', 'forward', 'drop'),
  );
  t.deepEqual(suspects(text, 'from-servers', 'ip'), []);
});

test('the sentence says what is lost, who may do it and what is missing', t => {
  const loss = { service: 'ftp', way: 'from-servers' } as const;
  t.is(
    lossText(loss, suspects(DOCKER, loss.way, 'ip'), 'ip saddr { 198.51.100.11 } tcp sport { 21, 10000-20000 }'),
    `service ftp: the real servers' answers come to this router, and none gets past the firewall rules of others (prerouting, forward): look at "ip filter FORWARD (policy drop)"; missing is perhaps \`nft insert rule ip filter FORWARD ip saddr { 198.51.100.11 } tcp sport { 21, 10000-20000 } accept\` (or the like in the tool that writes those rules)`,
  );
  t.regex(lossText(loss, [], ''), /iptables-legacy/);
});

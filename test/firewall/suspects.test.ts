import test from 'ava';
import { droppers, lossText, suspects } from '../../src/firewall/suspects.ts';

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

test('verdict maps are followed, in the rule and by name, and what a named one holds counts for its own table only', t => {
  const dport = { payload: { protocol: 'tcp', field: 'dport' } };
  const map = (table: string, name: string, ...elem: unknown[]) => ({
    map: { family: 'inet', name, table, type: 'inet_service', map: 'verdict', ...(elem.length > 0 && { elem }) },
  });
  const text = listing(
    chain('inet', 'a', 'own', 'input'),
    rule('inet', 'a', 'own', {
      vmap: {
        key: dport,
        data: {
          set: [
            [21, { accept: null }],
            [22, { drop: null }],
          ],
        },
      },
    }),
    chain('inet', 'b', 'led', 'input'),
    rule('inet', 'b', 'led', {
      vmap: { key: dport, data: { set: [[{ range: [23, 24] }, { goto: { target: 'end' } }]] } },
    }),
    rule('inet', 'b', 'end', { reject: { type: 'icmpx', expr: 'port-unreachable' } }),
    chain('inet', 'c', 'by-name', 'prerouting'),
    rule('inet', 'c', 'by-name', { vmap: { key: dport, data: '@verdicts' } }),
    rule('inet', 'c', 'end', { drop: null }),
    chain('inet', 'd', 'harmless', 'input'),
    rule('inet', 'd', 'harmless', { vmap: { key: dport, data: '@verdicts' } }),
    map('c', 'verdicts'),
    map('c', 'verdicts', [{ elem: { val: 22, comment: 'x' } }, { jump: { target: 'end' } }]),
    map('d', 'verdicts', [22, { accept: null }]),
  );
  t.deepEqual(suspects(text, 'from-clients', 'ip'), ['inet a own', 'inet b led', 'inet c by-name']);
  t.deepEqual(droppers(text, ['prerouting'], 'ip6'), ['inet c by-name']);
});

const DNAT = { dnat: { family: 'ip', addr: '1.2.3.4' } };
const RESTORE = { mangle: { key: { meta: { key: 'mark' } }, value: { ct: { key: 'mark' } } } };
const SAVE = { mangle: { key: { ct: { key: 'mark' } }, value: { meta: { key: 'mark' } } } };
const target = (name: string) => ({ xt: { type: 'target', name } });

for (const { statement, remark } of [
  { statement: DNAT, remark: 'translates' },
  { statement: { redirect: { port: 80 } }, remark: 'translates' },
  { statement: target('DNAT'), remark: 'translates' },
  { statement: target('REDIRECT'), remark: 'translates' },
  { statement: { tproxy: { family: 'ip', addr: '127.0.0.1', port: 3129 } }, remark: 'diverts' },
  { statement: { queue: { num: 3 } }, remark: 'diverts' },
  { statement: { synproxy: { mss: 1460 } }, remark: 'diverts' },
  { statement: target('TPROXY'), remark: 'diverts' },
  { statement: target('NFQUEUE'), remark: 'diverts' },
  { statement: RESTORE, remark: 'sets marks' },
  { statement: target('MARK'), remark: 'sets marks' },
  { statement: target('CONNMARK'), remark: 'sets marks' },
]) {
  test(`a chain with ${JSON.stringify(statement)} is named where that explains the loss: it ${remark}`, t => {
    const text = listing(chain('ip', 'x', 'pre', 'prerouting'), rule('ip', 'x', 'pre', SAVE, statement));
    const named = [`ip x pre (${remark})`];
    t.deepEqual(suspects(text, 'from-clients', 'ip'), named);
    t.deepEqual(suspects(text, 'data-from-clients', 'ip'), named);
    t.deepEqual(suspects(text, 'from-servers', 'ip'), remark === 'diverts' ? named : []);
    t.deepEqual(suspects(text, 'active-data', 'ip'), remark === 'sets marks' ? [] : named);
    t.deepEqual(droppers(text, ['prerouting'], 'ip'), []);
  });
}

test('who drops comes before who diverts, and who saves marks is not named', t => {
  const text = listing(
    chain('ip', 'multiwan', 'pre', 'prerouting'),
    rule('ip', 'multiwan', 'pre', RESTORE),
    chain('ip', 'docker', 'pre', 'prerouting'),
    rule('ip', 'docker', 'pre', DNAT, RESTORE),
    chain('ip', 'saves', 'pre', 'prerouting'),
    rule('ip', 'saves', 'pre', SAVE),
  );
  const more = listing(
    ...(JSON.parse(text) as { nftables: object[] }).nftables,
    chain('ip', 'rule', 'in', 'input'),
    rule('ip', 'rule', 'in', target('DROP')),
    chain('ip', 'policy', 'in', 'input', 'drop'),
  );
  const rest = ['ip docker pre (translates)', 'ip multiwan pre (sets marks)'];
  t.deepEqual(suspects(text, 'from-clients', 'ip'), rest);
  t.deepEqual(suspects(more, 'from-clients', 'ip'), ['ip policy in (policy drop)', 'ip rule in', rest[0]]);
  const loss = { service: 'ftp', way: 'from-clients' } as const;
  t.regex(
    lossText(loss, rest, 'X'),
    /look at "ip docker pre \(translates\)", .* `nft insert rule ip docker pre X accept`/,
  );
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

// Which lines of a rule set come and go.
import test from 'ava';
import { ruleChanges } from '../../src/firewall/rule-changes.ts';

const TABLE = `table inet tandem {
  chain mark {
    tcp dport 21 counter
    tcp dport 21 counter
  }
}
`;

test('only lines that differ are named, each as often as it differs', t => {
  t.deepEqual(ruleChanges(TABLE, TABLE), []);
  t.deepEqual(ruleChanges(TABLE, TABLE.replace('    tcp dport 21 counter\n', '')), ['- tcp dport 21 counter']);
  t.deepEqual(ruleChanges(TABLE, TABLE.replace('dport 21', 'dport 2121')), [
    '- tcp dport 21 counter',
    '+ tcp dport 2121 counter',
  ]);
});

test('with nothing to compare there are none, and many are cut', t => {
  t.deepEqual(ruleChanges(undefined, TABLE), []);
  const many = Array.from({ length: 100 }, (_, i) => `rule ${i}`).join('\n');
  const changes = ruleChanges('', many);
  t.deepEqual([changes.length, changes.at(-1)], [61, 'and 40 lines more']);
});

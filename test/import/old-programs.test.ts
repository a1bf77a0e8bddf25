import test from 'ava';
import { alwaysOn, refusedLine, withoutChecks, withoutLine } from './old-programs.ts';

test('a keepalived.conf loses its checks and nothing else, and its lines keep their numbers', t => {
  const text = `@left net_namespace left
virtual_server 192.0.2.1 80 {
  # TCP_CHECK { of old
  real_server 192.0.2.2 80 {
    HTTP_GET {
      url { path "/}" }
    } weight 2
    MISC_CHECK { misc_path "/bin/x {" } }
  real_server 192.0.2.3 80 { TCP_CHECK
    {
    } } SMTP_CHEKC {}
}`;
  t.deepEqual(withoutChecks(text).split('\n'), [
    '',
    'virtual_server 192.0.2.1 80 {',
    '  # TCP_CHECK { of old',
    '  real_server 192.0.2.2 80 {',
    '    ',
    '',
    ' weight 2',
    '     }',
    '  real_server 192.0.2.3 80 { ',
    '',
    ' } SMTP_CHEKC {}',
    '}',
  ]);
});

test('an ldirectord.cf uses its servers without a check, but those that it never used', t => {
  const text = `quiescent=yes
virtual=192.0.2.1:80
\treal=192.0.2.2:80 gate
# no blank line
    checktype=connect
virtual=192.0.2.1:81
    real=192.0.2.2:81 gate
    checktype = off

virtual=21
    real=192.0.2.2 gate`;
  const lines = alwaysOn(text);
  t.deepEqual(
    lines.flatMap(({ number }, index) => (number === 0 ? [lines[index - 1]?.number] : [])),
    [5, 11],
    'behind the first virtual and the last',
  );
  t.deepEqual(
    lines.filter(({ text: line }) => line !== '\tchecktype=on').map(({ text: line }) => line),
    text.split('\n'),
  );
});

test('the line that ldirectord ends for is found in the file as it was, and goes', t => {
  const lines = alwaysOn('virtual=21\n\treal=192.0.2.2 gate\n[more]\nvirtual=22\n\tservice=mine\n');
  const number = refusedLine('Error [12] reading file /x at line 6: service must be dns', lines);
  t.is(number, 5);
  t.deepEqual(withoutLine(lines, 5)[5], { text: '# refused', number: 5 });
  t.is(refusedLine('Can not find ipvsadm', lines), undefined);
});

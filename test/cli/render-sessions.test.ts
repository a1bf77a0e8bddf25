// What people read of who is connected.
import test from 'ava';
import { renderSessions } from '../../src/cli/render-sessions.ts';
import { sampleSessions } from './samples.ts';

const render = (changes: Parameters<typeof sampleSessions>[0] = {}) =>
  renderSessions(sampleSessions(changes), { colour: false });

test('a line for each connection, the clients that may come back, each server, and the sum', t => {
  t.is(
    render(),
    `router-b (standby): what is synced from the other router

CONNECTIONS
  kind           client                  VIP                   service  server               state        first seen       TLS, by control port
  control        203.0.113.7:40001    →  192.0.2.100:990       ftp      ftp1 198.51.100.11   ESTABLISHED  over 12m 3s ago  implicit
  data, passive  203.0.113.7:40002    →  192.0.2.100:10233     ftp      ftp1 198.51.100.11   ESTABLISHED  2.5s ago
  control        [2001:db8::9]:50000  →  [2001:db8:1::100]:21  ftp6     ftp2 2001:db8:2::12  ESTABLISHED  1h ago           none or AUTH TLS
  data, active   [2001:db8::9]:50001  ←  [2001:db8:1::100]:20  ftp6     ftp2 2001:db8:2::12  FIN_WAIT     4.0s ago

NOT CONNECTED, MAY COME BACK TO THEIR SERVER
  client          service  server         for another  first seen
  203.0.113.0/24  ftp      198.51.100.77  3m 20s       10m ago

SERVERS
  service  server              control  data  other  closing  templates
  ftp      ftp1 198.51.100.11  1        1     0      0        1,200

2 clients, 2 control connections, 1 data connection, 1 closing, 1 client that may come back
`,
  );
});

test('whose word it is, and what may be missing, is said first', t => {
  const head = (changes: Parameters<typeof render>[0]) => render(changes).split('\n\n')[0];
  t.is(head({ node: 'router-a', role: 'active', from: 'own' }), 'router-a (active): what its kernel has told of');
  t.regex(head({ whole: false }) ?? '', /\n! this may not be all: the tables are not warm \(see `tandem sync`\)$/);
  t.regex(head({ from: 'own', whole: false }) ?? '', /\n! this may not be all: the table is still being read$/);
  t.regex(
    head({ role: null, from: 'kernel' }) ?? '',
    /^router-b \(pulse does not answer\): its kernel's table: nothing/,
  );
  t.regex(head({ problem: 'no\u001b[2J IPVS' }) ?? '', /\n! this is not all: no \[2J IPVS$/);
});

test('nobody is connected: one line says so', t => {
  const summary = { clients: 0, control: 0, data: 0, connections: 0, closing: 0, waiting: 0, servers: [] };
  const text = render({ sessions: [], waiting: [], summary });
  t.is(text.split('\n\n').at(-1), '0 clients, 0 control connections, 0 data connections\n');
});

test('a connection that nobody noted the time of has none', t => {
  const [first] = sampleSessions().sessions;
  const control = (first?.control ?? []).map(one => ({ ...one, firstSeenAt: null, older: false }));
  t.regex(render({ sessions: first ? [{ ...first, control }] : [] }), /control .* not known/);
});

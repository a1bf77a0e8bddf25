// What keepalived 2.2.7 and ldirectord 4.12 do with a file, as the lab has shown beside an import of
// it (test/lab/scenarios/import-scenarios.ts): each was a difference that no note told.
import test from 'ava';
import { filled, imported, told } from './importing.ts';

const UNKNOWN_BLOCK = `virtual_server 192.0.2.100 80 {
  lb_kind DR
  protocol TCP
  real_server 192.0.2.11 80 {
    SMTP_CHEKC {
      connect_timeout 3
    }
    weight 2
  }
  real_server 192.0.2.12 80 {
    TCP_CHECK {
    }
  }
  lb_algo rr
}
virtual_server 192.0.2.100 81 {
  lb_kind DR
  protocol TCP
  real_server 192.0.2.11 81 {
    HTTP_GET {
      url {
        path /
      }
    }
  }
}
`;

test('what stands behind an unknown block in a virtual_server was not in force, and is told', t => {
  const made = imported('keepalived.conf', UNKNOWN_BLOCK);
  const lines = made.notes.filter(({ why }) => why.includes('did not read this')).map(({ place }) => place?.line);
  t.deepEqual(lines, [8, 10, 14], 'the weight, the other server and the scheduler');
  t.is(Object.keys(filled(made).services['192-0-2-100-80']?.servers ?? {}).length, 2);
});

const MASQ = (first: string, second: string) =>
  imported(
    'ldirectord.cf',
    `virtual=192.0.2.100:8080\n\treal=${first} masq\n\treal=${second} masq\n\tchecktype=connect\n`,
  );

test('the port that NAT changes is that of the first server, and a server with another one is left out', t => {
  for (const second of ['198.51.100.12:8000', '198.51.100.12:8080', '198.51.100.12']) {
    const made = MASQ('198.51.100.11:80', second);
    const service = filled(made).services['192-0-2-100-8080'];
    t.like(service, { kind: 'tcp', server_port: 80 });
    t.deepEqual(
      Object.values(service?.servers ?? {}).map(({ address }) => `${address}`),
      ['198.51.100.11'],
    );
    t.true(told(made).some(line => /^lost 3: its port is 80[08]0, that of the first 80:/.test(line)));
  }
  const kept = filled(MASQ('198.51.100.11', '198.51.100.12:8080')).services['192-0-2-100-8080'];
  t.like(kept, { server_port: undefined });
  t.is(Object.keys(kept?.servers ?? {}).length, 2);
});

test('a service that ldirectord has no check of is told: it ends there', t => {
  const lines = (service: string) =>
    told(imported('ldirectord.cf', `virtual=192.0.2.100:22\n\treal=192.0.2.11:22 gate\n\tservice=${service}\n`));
  t.true(lines('ssh').some(line => /^changed 3: ldirectord knows no such service/.test(line)));
  t.false(lines('simpletcp').some(line => line.includes('no such service')));
});

test('the flags of sh come along, and those of another scheduler are told', t => {
  const of = (flags: string) =>
    imported(
      'ldirectord.cf',
      `virtual=192.0.2.100:80\n\treal=192.0.2.11:80 gate\n\tscheduler=sh\n\tschedflags=${flags}\n`,
    );
  t.like(filled(of('sh-port')).services['192-0-2-100-80'], { scheduler_options: ['fallback', 'port'] });
  t.false(told(of('sh-port')).some(line => line.startsWith('lost 4')));
  t.true(told(of('mh-port')).some(line => /^lost 4: these are no flags/.test(line)));
});

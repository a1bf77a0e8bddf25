// From a service's config to the plan of a check: which port, which address PASV has to name, whence active data come.
import test from 'ava';
import { configSchema, type FtpServiceConfig } from '../../src/config/schema.ts';
import { type CheckPlan, checkPlans, sorryPlan, type TlsPlan } from '../../src/nanny/check-plan.ts';
import type { Address } from '../../src/units/address.ts';

const ABOUT = {
  service: 'ftp',
  server: 'fs1',
  node: 'alpha',
  address: '198.51.100.11' as Address,
  password: '',
  ca: undefined as string | undefined,
  patient: false,
};

function plansOf(fields: object, check: object = {}, about: Partial<typeof ABOUT> = {}): readonly CheckPlan[] {
  const ftp = { vip: '192.0.2.100', servers_lan: 's', mark: 1, servers: {}, ...fields, check };
  const service = configSchema.shape.services.parse({ ftp }).ftp as FtpServiceConfig;
  return checkPlans(service, { ...ABOUT, ...about });
}

function planOf(...about: Parameters<typeof plansOf>): CheckPlan {
  const [plan, ...others] = plansOf(...about);
  if (plan === undefined || others.length > 0) throw new Error('one port was expected');
  return plan;
}

/** Each checked port with how it is encrypted and where its active data come from. */
type Ports = readonly (readonly [port: number, tls: TlsPlan['mode'] | undefined, activePort: number | undefined])[];

interface PortCase {
  readonly title: string;
  readonly fields: object;
  readonly check?: object;
  readonly ports: Ports;
}

const PORT_CASES: readonly PortCase[] = [
  { title: 'the one control port', fields: { control_port: 21 }, ports: [[21, undefined, 20]] },
  {
    title: 'each of several, in the order of the config',
    fields: { control_port: [990, 2_121, 21], active_port: [989, 2_120, 20] },
    ...{ check: { tls: 'explicit' } },
    ports: [
      [990, 'implicit', 989],
      [2_121, 'explicit', 2_120],
      [21, 'explicit', 20],
    ],
  },
  {
    title: '990, which begins with TLS without a word',
    fields: { control_port: 990 },
    ports: [[990, 'implicit', 989]],
  },
  {
    title: '990, whatever check.tls says',
    ...{ fields: { control_port: 990 }, check: { tls: 'explicit' }, ports: [[990, 'implicit', 989]] },
  },
  {
    title: '21 in the clear, and 990 over TLS',
    fields: { control_port: [21, 990] },
    ports: [
      [21, undefined, 20],
      [990, 'implicit', 989],
    ],
  },
  {
    title: 'any port with TLS from the start where check.tls says so',
    ...{ fields: { control_port: 9_990, active_port: 9_989 }, check: { tls: 'implicit' } },
    ports: [[9_990, 'implicit', 9_989]],
  },
  {
    title: 'the one that check.port names, and no other',
    ...{ fields: { control_port: [21, 990] }, check: { port: 990 }, ports: [[990, 'implicit', 989]] },
  },
  {
    title: 'a port whose active port nobody has said',
    ...{ fields: { control_port: 2_121, active: false }, ports: [[2_121, undefined, undefined]] },
  },
  {
    title: 'ports with the one active port for all',
    fields: { control_port: [2_121, 990], active_port: 20 },
    ports: [
      [2_121, undefined, 20],
      [990, 'implicit', 20],
    ],
  },
];
for (const { title, fields, check, ports } of PORT_CASES) {
  test(`a check goes to ${title}, and active data come from the port that belongs to it`, t => {
    const plans = plansOf(fields, check);
    t.deepEqual(
      plans.map(({ controlPort, tls, activePort }) => [controlPort, tls?.mode, activePort]),
      ports,
    );
  });
}

test('PASV has to name the address to announce, and the VIP where there is none', t => {
  t.is(planOf({}).announce, '192.0.2.100' as Address);
  t.is(planOf({ announce: '203.0.113.100' }).announce, '203.0.113.100' as Address);
});

test('the plan has the names that the config says', t => {
  const check = { upload: '.probe', fetch: 'f', sha256: 'A'.repeat(64), data: 'active' };
  const plan = planOf({}, check);
  t.like(plan, { upload: '.probe.alpha.ftp.fs1', data: 'active', fetch: 'f' });
  t.is(plan.content.sha256, 'a'.repeat(64));
});

test('PASV gives way to EPSV for a server or a VIP of IPv6', t => {
  t.is(planOf({}).data, 'pasv');
  t.is(planOf({}, {}, { address: '::1' as Address }).data, 'epsv');
  t.is(planOf({ vip: '2001:db8::100' }).data, 'epsv');
});

const VERIFY_CASES: readonly [check: object, verify: TlsPlan['verify']][] = [
  [{}, 'none'],
  [{ tls_name: 'ftp.example' }, 'chain'],
  [{ tls_ca_file: '/etc/ca.pem' }, 'chain'],
  [{ tls_verify: 'chain' }, 'chain'],
  [{ tls_name: 'ftp.example', tls_verify: 'none' }, 'none'],
];
for (const [check, verify] of VERIFY_CASES) {
  test(`of a certificate ${verify} is verified with ${JSON.stringify(check)}`, t => {
    t.like(planOf({}, { tls: 'explicit', ...check }, { ca: 'PEM' }).tls, { mode: 'explicit', ca: 'PEM', verify });
  });
}

test('of a sorry server a greeting is asked, where clients read it, whatever the service asks of its servers', t => {
  const demanding = { tls: 'explicit', until: 'transfer', banner: 'x', slow_fail: '20ms' };
  const asked = { until: 'greeting', slowFail: {}, patient: false, greetingOnly: true };
  for (const check of [demanding, { tls_name: 'ftp.example' }, { until: 'connect' }]) {
    const plans = plansOf({ control_port: [21, 990] }, check, { patient: true });
    const [clear, secure] = plans;
    if (!clear || !secure) return t.fail('both ports are checked');
    const name = secure.tls?.name;
    t.deepEqual(plans.map(sorryPlan), [
      { ...clear, ...asked, tls: undefined },
      { ...secure, ...asked, tls: { mode: 'implicit', name, ca: undefined, verify: 'none' } },
    ] as CheckPlan[]);
  }
});

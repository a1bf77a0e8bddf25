// Rules about the fields of `check` in services that are not FTP: what one of them needs of the
// others, and what a way of checking cannot do. Pure.
import { PLAIN_TIMED, type Timed } from '../check-stages.ts';
import type { PlainCheckConfig, PlainServiceConfig } from '../schema.ts';
import { checkedPort, isInRanges, rangeText, serverPorts } from '../service-ports.ts';
import { choice, error, type Finding, type Path, type Rule, warning } from './finding.ts';
import { plainServicesOf } from './services-of.ts';
import { unreachedLimits } from './slow-limits.ts';

type Of<T extends PlainCheckConfig['type']> = Extract<PlainCheckConfig, { readonly type: T }>;

/** What a rule looks at: one service's check, and the path of each of its fields. */
interface Checked<C extends PlainCheckConfig = PlainCheckConfig> {
  readonly service: PlainServiceConfig;
  readonly check: C;
  readonly at: (field: string) => Path;
  /** Path of a field of the service. */
  readonly beside: (field: string) => Path;
}

function rule(says: string, find: (checked: Checked) => Finding[]): Rule {
  return {
    says,
    check: config =>
      plainServicesOf(config).flatMap(([name, service]) => {
        const at = (field: string) => ['services', name, 'check', field];
        return find({ service, check: service.check, at, beside: field => ['services', name, field] });
      }),
  };
}

/** The same for one type of check. */
function ruleOf<T extends PlainCheckConfig['type']>(
  type: T,
  says: string,
  find: (checked: Checked<Of<T>>) => Finding[],
): Rule {
  return rule(says, checked => (isOf(checked, type) ? find(checked) : []));
}

function isOf<T extends PlainCheckConfig['type']>(checked: Checked, type: T): checked is Checked<Of<T>> {
  return checked.check.type === type;
}

export const PLAIN_CHECK_RULES: readonly Rule[] = [
  rule('`check.port` of a service that is not FTP is one of its ports; with `http` and `send_expect` any.', portServed),
  ruleOf(
    'send_expect',
    '`send_expect` has one of `send`, `send_hex` and `send_file`, and one of `expect` and `expect_hex` at most.',
    sent,
  ),
  ruleOf('send_expect', '`send_expect` with `banner` has `expect` or `expect_hex`, too.', expected),
  ruleOf(
    'http',
    '`size`, `sha256` and `content` of an `http` check have `method: GET`; `size` is at most `max_bytes`.',
    bodyRead,
  ),
  rule(
    'Of a service that is not FTP, `check.tls_name` and `tls_ca_file` have `tls: implicit` or `type: tls`.',
    tlsUsed,
  ),
  rule('Warning: of a service that is not FTP, `check.tls_ca_file` with `tls_verify: none`.', authoritiesUsed),
  ruleOf('http', 'Warning: an `http` check without TLS of port 443, with TLS of port 80.', httpPort),
  rule(
    'Of a service that is not FTP, `check.slow_warn` is below `slow_fail`, both are below `timeout`, and each names a stage of the check.',
    slowness,
  ),
  ruleOf('datagram', 'A check of type `datagram` has no `slow_warn` and no `slow_fail`.', unmeasured),
];

/** Types that ask for something may ask it elsewhere: a health page has a port of its own. */
const ANY_PORT: ReadonlySet<PlainCheckConfig['type']> = new Set(['http', 'send_expect']);

function portServed({ service, check, at, beside }: Checked): Finding[] {
  if (check.type === 'icmp' || check.port === undefined || ANY_PORT.has(check.type)) return [];
  if (service.kind === 'udp' && check.type === 'connect') return [];
  const ports = serverPorts(service);
  if (isInRanges(check.port, ports)) return [];
  const problem = `check.port ${check.port} is no port of the service on its real servers, so its clients do not go there`;
  const remedy = `write one of ${ports.map(rangeText).join(', ')}, or a check of type http or send_expect`;
  return [error(at('port'), problem, remedy, [beside('ports'), beside('server_port'), at('type')])];
}

const SENT = ['send', 'send_hex', 'send_file'] as const;
const EXPECTED = ['expect', 'expect_hex'] as const;

function sent({ check, at }: Checked<Of<'send_expect'>>): Finding[] {
  const given = SENT.filter(field => check[field] !== undefined);
  const findings: Finding[] = [];
  if (given.length === 0) {
    const problem = 'a check of type send_expect sends nothing';
    findings.push(error(at('type'), problem, `add ${choice(SENT)}, or write type: banner`, SENT.map(at)));
  }
  for (const fields of [given, EXPECTED.filter(field => check[field] !== undefined)]) {
    const [first, ...more] = fields;
    for (const field of more)
      findings.push(
        error(at(field), `check.${first} and check.${field} say the same twice`, `delete ${field}`, [at(`${first}`)]),
      );
  }
  return findings;
}

/** More lines of a greeting may come after the one that is waited for. */
function expected({ check, at }: Checked<Of<'send_expect'>>): Finding[] {
  if (check.banner === undefined || EXPECTED.some(field => check[field] !== undefined)) return [];
  const problem = 'with check.banner and no expect, the rest of the greeting counts as the answer to what is sent';
  return [error(at('banner'), problem, `add ${choice(EXPECTED)}`, EXPECTED.map(at))];
}

function bodyRead({ check, at }: Checked<Of<'http'>>): Finding[] {
  const { method, size, max_bytes: max } = check;
  if (method === 'HEAD')
    return (['size', 'sha256', 'content'] as const)
      .filter(field => check[field] !== undefined)
      .map(field => {
        const problem = `check.${field} is about the body of the answer, and HEAD has none`;
        return error(at(field), problem, `write method: GET, or delete ${field}`, [at('method')]);
      });
  if (size === undefined || size <= max) return [];
  const problem = `check.size ${size} is more than the max_bytes ${max} that are read`;
  return [error(at('size'), problem, `write max_bytes: ${size}, or ask for a smaller page`, [at('max_bytes')])];
}

/** Undefined: it has no fields of TLS. */
function tlsOf(check: PlainCheckConfig) {
  if (check.type === 'connect' || check.type === 'datagram' || check.type === 'icmp') return undefined;
  return { fields: check, isOn: check.type === 'tls' || check.tls === 'implicit' };
}

function tlsUsed({ check, at }: Checked): Finding[] {
  const tls = tlsOf(check);
  if (tls === undefined || tls.isOn) return [];
  return (['tls_name', 'tls_ca_file'] as const)
    .filter(field => tls.fields[field] !== undefined)
    .map(field => {
      const problem = `check.${field} is given, but the check is in the clear`;
      return error(at(field), problem, `write tls: implicit, or delete ${field}`, [at('tls')]);
    });
}

function authoritiesUsed({ check, at }: Checked): Finding[] {
  const tls = tlsOf(check);
  if (!tls?.isOn || tls.fields.tls_verify !== 'none' || tls.fields.tls_ca_file === undefined) return [];
  const problem = 'check.tls_ca_file is not used with tls_verify: none';
  return [warning(at('tls_ca_file'), problem, 'write tls_verify: chain, or delete tls_ca_file', [at('tls_verify')])];
}

/** Ports whose meaning is fixed (IANA): 80 begins in the clear, 443 with TLS. */
function httpPort({ service, check, at, beside }: Checked<Of<'http'>>): Finding[] {
  const port = checkedPort(service);
  const basis = [at('port'), beside('ports'), beside('server_port')];
  const where = check.tls === 'none' ? at('type') : at('tls');
  if (check.tls === 'none' && port === 443)
    return [
      warning(
        where,
        'the check asks port 443 in the clear, where servers begin with TLS',
        'write tls: implicit',
        basis,
      ),
    ];
  if (check.tls === 'implicit' && port === 80)
    return [
      warning(
        where,
        'the check begins with TLS on port 80, where servers begin in the clear',
        'write tls: none, or port: 443',
        basis,
      ),
    ];
  return [];
}

/** What passes by silence is as slow as its timeout. */
function unmeasured({ check, at }: Checked<Of<'datagram'>>): Finding[] {
  return (['slow_warn', 'slow_fail'] as const)
    .filter(field => Object.keys(check[field]).length > 0)
    .map(field => {
      const problem = `check.${field}: a check of type datagram measures no time, as it waits for silence`;
      return error(at(field), problem, 'delete it, or write type: send_expect', [at('type')]);
    });
}

/** The stages of each type of check; TLS where there is TLS. */
const STAGES: Readonly<Record<Exclude<PlainCheckConfig['type'], 'datagram'>, readonly Timed[]>> = {
  connect: ['connect'],
  banner: ['connect', 'greeting'],
  send_expect: ['connect', 'greeting', 'answer'],
  http: ['connect', 'answer', 'body'],
  tls: ['connect'],
  icmp: ['echo'],
};

function slowness({ check, at }: Checked): Finding[] {
  if (check.type === 'datagram') return [];
  const known: readonly Timed[] = ['whole', ...STAGES[check.type], ...(tlsOf(check)?.isOn ? (['tls'] as const) : [])];
  const strange = (['slow_warn', 'slow_fail'] as const).flatMap(field =>
    PLAIN_TIMED.filter(timed => check[field][timed] !== undefined && !known.includes(timed)).map(timed => {
      const problem = `check.${field}.${timed}: a check of type ${check.type} has no such stage here`;
      return error([...at(field), timed], problem, `write ${choice(known)}`, [at('type'), at('tls')]);
    }),
  );
  const end = { name: 'timeout', valueMs: check.timeout, path: at('timeout') };
  return [...strange, ...unreachedLimits(check, at, PLAIN_TIMED, () => end)];
}

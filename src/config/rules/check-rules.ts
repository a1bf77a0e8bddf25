// Rules about the fields of an FTP service's `check` beside each other: what one of them needs of
// the others. Pure.
import { FTP_TIMED } from '../check-stages.ts';
import { checkedControlPorts, isCheckedByTls } from '../ftp-ports.ts';
import type { Config, FtpServiceConfig } from '../schema.ts';
import { choice, error, type Finding, type Path, type Rule, warning } from './finding.ts';
import { ftpServicesOf } from './services-of.ts';
import { unreachedLimits } from './slow-limits.ts';

type Check = FtpServiceConfig['check'];
type Field = keyof Check;
type Until = Check['until'];

/** What a rule looks at: one service's check, and the path of each of its fields. */
interface Checked {
  readonly service: FtpServiceConfig;
  readonly check: Check;
  readonly at: (field: Field) => Path;
  /** Path of the service's control_port. */
  readonly control: Path;
}

function rule(says: string, check: (checked: Checked) => Finding[]): Rule {
  return {
    says,
    check: config => checkedOf(config).flatMap(check),
  };
}

function checkedOf(config: Config): Checked[] {
  return ftpServicesOf(config).map(([name, service]) => ({
    service,
    check: service.check,
    at: field => ['services', name, 'check', field],
    control: ['services', name, 'control_port'],
  }));
}

export const CHECK_RULES: readonly Rule[] = [
  rule(
    'A field of `check` that a later stage needs has an `until` that gets there: `banner` greeting; `directory`, `fetch`, `upload` transfer.',
    reached,
  ),
  rule('`check.tls: explicit` has `until: login` or more, `implicit` has `greeting` or more.', tlsReached),
  rule('`check.tls_name` and `tls_ca_file` have `tls: explicit` or `implicit`.', tlsUsed),
  rule('Warning: `check.tls_ca_file` with `tls_verify: none`.', authoritiesUsed),
  rule('`check.size`, `sha256` and `content` have `fetch`; `size` is at most `max_bytes`.', contentFetched),
  rule('`check.data: active` has `active: true` in the service.', activeServed),
  rule(
    '`check.slow_warn` is below `slow_fail`, and both are below `timeout`, those of stages below `stage_timeout`.',
    slowness,
  ),
  rule('Warning: `check.upload` as anonymous.', uploadAllowed),
  rule('`check.port` is one of `control_port`.', portServed),
  rule('Warning: `check.tls: implicit` on port 21, `explicit` on port 990.', tlsPort),
];

const UNTIL_ORDER: readonly Until[] = ['connect', 'greeting', 'login', 'transfer'];
/** How far a check must get to come to what a field wants. */
const NEEDS_UNTIL: readonly (readonly [field: Field, until: Until])[] = [
  ['banner', 'greeting'],
  ['directory', 'transfer'],
  ['fetch', 'transfer'],
  ['upload', 'transfer'],
];

function reached({ check, at }: Checked): Finding[] {
  return NEEDS_UNTIL.flatMap(([field, until]) => {
    if (check[field] === undefined || isFarEnough(check.until, until)) return [];
    const problem = `check.${field} is never come to: the check ends at until: ${check.until}`;
    return [error(at(field), problem, `write until: ${until}, or delete ${field}`, [at('until')])];
  });
}

function isFarEnough(until: Until, needed: Until): boolean {
  return UNTIL_ORDER.indexOf(until) >= UNTIL_ORDER.indexOf(needed);
}

function tlsReached({ check: { tls, until }, at }: Checked): Finding[] {
  const needed = tls === 'explicit' ? 'login' : tls === 'implicit' ? 'greeting' : undefined;
  if (needed === undefined || isFarEnough(until, needed)) return [];
  const problem = `check.tls: ${tls} is never come to: the check ends at until: ${until}`;
  return [error(at('tls'), problem, `write until: ${needed}, or tls: none`, [at('until')])];
}

function tlsUsed({ service, check, at }: Checked): Finding[] {
  if (isCheckedByTls(service)) return [];
  return (['tls_name', 'tls_ca_file'] as const)
    .filter(field => check[field] !== undefined)
    .map(field => {
      const problem = `check.${field} is given, but the check is in the clear`;
      return error(at(field), problem, `write tls: explicit or tls: implicit, or delete ${field}`, [at('tls')]);
    });
}

function authoritiesUsed({ service, check, at }: Checked): Finding[] {
  if (!isCheckedByTls(service) || check.tls_verify !== 'none' || check.tls_ca_file === undefined) return [];
  const problem = 'check.tls_ca_file is not used with tls_verify: none';
  return [warning(at('tls_ca_file'), problem, 'write tls_verify: chain, or delete tls_ca_file', [at('tls_verify')])];
}

/** A server whose clients' port is dead would be up for as long as another one answers. */
function portServed({ service: { control_port: control }, check: { port }, at, control: path }: Checked): Finding[] {
  if (port === undefined || control.includes(port)) return [];
  const problem = `check.port ${port} is no control_port of the service, so its clients do not go there`;
  return [error(at('port'), problem, `write ${choice(control.map(String))}, or add ${port} to control_port`, [path])];
}

/** Ports whose meaning is fixed (IANA): 21 begins in the clear, 990 with TLS. */
function tlsPort({ service, check, at, control }: Checked): Finding[] {
  const ports = checkedControlPorts(service);
  const basis = [at('port'), control];
  if (check.tls === 'implicit' && ports.includes(21)) {
    const problem = 'check.tls: implicit on port 21, where servers begin in the clear';
    const other = service.control_port.includes(990)
      ? 'delete tls (990 has it already)'
      : 'write 990 into control_port';
    return [warning(at('tls'), problem, `${other}, or write tls: explicit`, basis)];
  }
  if (check.tls === 'explicit' && ports.every(port => port === 990)) {
    const problem = 'check.tls: explicit on port 990, where servers begin with TLS';
    const other = service.control_port.includes(21) ? 'delete port, so that 21 is checked, too, or ' : '';
    return [warning(at('tls'), problem, `${other}delete tls`, basis)];
  }
  return [];
}

function contentFetched({ check, at }: Checked): Finding[] {
  if (check.fetch === undefined) {
    return (['size', 'sha256', 'content'] as const)
      .filter(field => check[field] !== undefined)
      .map(field => {
        const problem = `check.${field} is about a fetched file, and none is fetched`;
        return error(at(field), problem, `add fetch: FILE, or delete ${field}`, [at('fetch')]);
      });
  }
  if (check.size === undefined || check.size <= check.max_bytes) return [];
  const problem = `check.size ${check.size} is more than the max_bytes ${check.max_bytes} that are read`;
  return [error(at('size'), problem, `write max_bytes: ${check.size}, or fetch a smaller file`, [at('max_bytes')])];
}

function activeServed({ service, check, at }: Checked): Finding[] {
  if (check.data !== 'active' || service.active) return [];
  const problem = 'check.data is active, but the service does not serve active mode (active: false)';
  return [error(at('data'), problem, 'write pasv or epsv, or active: true in the service', [at('data')])];
}

function uploadAllowed({ check, at }: Checked): Finding[] {
  if (check.upload === undefined || check.user !== 'anonymous') return [];
  const problem = 'check.upload stores a file as anonymous, who may seldom write and delete';
  return [warning(at('upload'), problem, 'write user and password_file of one who may', [at('user')])];
}

function slowness({ check, at }: Checked): Finding[] {
  return unreachedLimits(check, at, FTP_TIMED, timed => {
    const end = timed === 'whole' ? 'timeout' : 'stage_timeout';
    return { name: end, valueMs: check[end], path: at(end) };
  });
}

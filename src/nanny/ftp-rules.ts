// What a check demands of a server's replies: the address and port it announces, how a transfer
// begins and ends. Marks mode (docs/internals/director.md): clients are told the VIP in PASV, and a
// port that the firewall marks. Pure.
import type { ServiceConfig } from '../config/schema.ts';
import { type Address, familyOf } from '../units/address.ts';
import type { Ms } from '../units/duration.ts';
import { parseEpsv, parsePasv, type Reply } from './reply.ts';
import type { Stage } from './verdict.ts';

/** Sent as password where the config names no password file: for anonymous logins. */
export const ANONYMOUS_PASSWORD = 'tandem@';

/** All that one check goes by. */
export interface CheckPlan {
  /** The server's own address, for the control and the data connection. */
  readonly address: Address;
  readonly controlPort: number;
  readonly vip: Address;
  readonly passivePorts: { readonly first: number; readonly last: number };
  readonly user: string;
  readonly password: string;
  readonly data: 'pasv' | 'epsv';
  /** File to fetch; undefined: the login directory is listed. */
  readonly fetch: string | undefined;
  /** Data bytes after which the check is content and closes the data connection. */
  readonly maxBytes: number;
  readonly timeoutMs: Ms;
  /** Bounds each stage as a whole, not each reply in it. */
  readonly stageTimeoutMs: Ms;
  /**
   * Waits for the greeting for as long as the whole check may take, to tell a slow server from a
   * hung one. A greeting after stageTimeoutMs is a failure all the same.
   */
  readonly patient: boolean;
}

/**
 * The plan for one server of a service. PASV can name IPv4 addresses only, so anything IPv6 is
 * checked with EPSV.
 */
export function checkPlan(service: ServiceConfig, address: Address, password: string, patient: boolean): CheckPlan {
  const { check } = service;
  const isIpv6 = familyOf(address) === 6 || familyOf(service.vip) === 6;
  return {
    address,
    controlPort: service.control_port,
    vip: service.vip,
    passivePorts: service.passive_ports,
    user: check.user,
    password,
    data: isIpv6 ? 'epsv' : check.data,
    fetch: check.fetch,
    maxBytes: check.max_bytes,
    timeoutMs: check.timeout,
    stageTimeoutMs: check.stage_timeout,
    patient,
  };
}

export type Announced = { readonly ok: true; readonly port: number } | { readonly ok: false; readonly problem: string };

/** The port for the data connection, or what is wrong with the answer to PASV or EPSV. */
export function announced(plan: CheckPlan, reply: Reply): Announced {
  const verb = plan.data === 'pasv' ? 'PASV' : 'EPSV';
  const expected = plan.data === 'pasv' ? 227 : 229;
  if (reply.code !== expected) {
    return { ok: false, problem: `${verb} is answered with ${reply.code}, not ${expected}` };
  }
  const target = plan.data === 'pasv' ? parsePasv(reply) : { address: undefined, port: parseEpsv(reply) };
  if (target?.port === undefined) {
    const form = plan.data === 'pasv' ? '(h1,h2,h3,h4,p1,p2)' : '(|||port|)';
    return { ok: false, problem: `the ${expected} reply is malformed: it must hold ${form}` };
  }
  if (target.address !== undefined && target.address !== plan.vip) {
    const setting = 'pasv_address (vsftpd), MasqueradeAddress (proftpd) or ForcePassiveIP (pure-ftpd)';
    return { ok: false, problem: `PASV announces ${target.address}, not the VIP ${plan.vip}; set ${setting}` };
  }
  const { first, last } = plan.passivePorts;
  if (target.port < first || target.port > last) {
    const remedy = "set the server's passive port range to it";
    return { ok: false, problem: `${verb} announces port ${target.port}, outside ${first}-${last}; ${remedy}` };
  }
  return { ok: true, port: target.port };
}

/**
 * What is wrong with the first answer to RETR or LIST; undefined when the transfer begins (125,
 * 150).
 */
export function preliminaryProblem(command: 'RETR' | 'LIST', reply: Reply): string | undefined {
  if (reply.code === 125 || reply.code === 150) return undefined;
  // An empty directory is no excuse for leaving out 150: RFC 959 wants it, and clients that go by
  // it would hang.
  return `${command} is answered with ${reply.code}, not 125 or 150`;
}

/**
 * How a transfer may end after we closed its data connection; 150 is pure-ftpd's ("150 0.002
 * seconds…", seen with 1.0.50).
 */
const ENDS_AFTER_CUT: ReadonlySet<number> = new Set([426, 451, 150]);

/**
 * What is wrong with the end of a transfer of `bytes` bytes, and the stage it belongs to. `cut`: we
 * closed the data connection at max_bytes, so that a server may speak of a broken transfer. An
 * empty listing is fine, as directories may be empty; an empty file is not, as the operator chose
 * it to prove that contents arrive (an unmounted disk leaves empty ones).
 */
export function finalReplyProblem(
  command: 'RETR' | 'LIST',
  reply: Reply,
  bytes: number,
  cut: boolean,
): { readonly stage: Stage; readonly problem: string } | undefined {
  const isGood = reply.code === 226 || reply.code === 250 || (cut && ENDS_AFTER_CUT.has(reply.code));
  if (!isGood) return { stage: 'complete', problem: `the transfer ends with ${reply.code}, not 226 or 250` };
  if (command === 'RETR' && bytes === 0) {
    return { stage: 'transfer', problem: 'the fetched file is empty; name one with contents in check.fetch' };
  }
  // vsftpd hides an unreadable directory in a good code: "226 Transfer done (but failed to open
  // directory)." (its postlogin.c). proftpd and pure-ftpd show it as an empty one: who wants that
  // caught names a file in it.
  if (command === 'LIST' && bytes === 0 && reply.lines.some(line => line.includes('failed to open directory'))) {
    return { stage: 'transfer', problem: 'the login directory cannot be read; mend its permissions' };
  }
  return undefined;
}

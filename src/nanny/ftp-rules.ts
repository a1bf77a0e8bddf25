// What a check demands of a server's replies: the address and port it announces, how a transfer
// begins and ends. Marks mode (docs/internals/director.md): clients are told the VIP in PASV, and a
// port that the firewall marks. Pure.
import type { Stage } from '../config/check-stages.ts';
import type { CheckPlan } from './check-plan.ts';
import type { TransferVerb } from './dialogue.ts';
import { parseEpsv, parsePasv, type Reply } from './reply.ts';

export type Announced =
  | { readonly ok: true; readonly port: number }
  | { readonly ok: false; readonly misconfigured: boolean; readonly problem: string };

/** The port for the data connection, or what is wrong with the answer to PASV or EPSV. */
export function announced(plan: CheckPlan, reply: Reply): Announced {
  const verb = plan.data === 'pasv' ? 'PASV' : 'EPSV';
  const expected = plan.data === 'pasv' ? 227 : 229;
  if (reply.code !== expected) {
    return { ok: false, misconfigured: false, problem: `${verb} is answered with ${reply.code}, not ${expected}` };
  }
  const target = plan.data === 'pasv' ? parsePasv(reply) : { address: undefined, port: parseEpsv(reply) };
  if (target?.port === undefined) {
    const form = plan.data === 'pasv' ? '(h1,h2,h3,h4,p1,p2)' : '(|||port|)';
    return { ok: false, misconfigured: false, problem: `the ${expected} reply is malformed: it must hold ${form}` };
  }
  if (target.address !== undefined && target.address !== plan.announce) {
    const setting = 'pasv_address (vsftpd), MasqueradeAddress (proftpd) or ForcePassiveIP (pure-ftpd)';
    const problem = `PASV announces ${target.address}, not ${plan.announce}; set ${setting}`;
    return { ok: false, misconfigured: true, problem };
  }
  const { first, last } = plan.passivePorts;
  if (target.port < first || target.port > last) {
    const remedy = "set the server's passive port range to it";
    const problem = `${verb} announces port ${target.port}, outside ${first}-${last}; ${remedy}`;
    return { ok: false, misconfigured: true, problem };
  }
  return { ok: true, port: target.port };
}

/**
 * What is wrong with the first answer to RETR or LIST; undefined when the transfer begins (125,
 * 150).
 */
export function preliminaryProblem(command: TransferVerb, reply: Reply): string | undefined {
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
  command: TransferVerb,
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

/** What a server lacks that refuses active mode, or cannot open its data connection. */
export function activeProblem({ activePort }: CheckPlan, { code }: Reply): string {
  const origin = activePort === undefined ? '' : ` from its port ${activePort}`;
  const ways = 'port_enable=YES (vsftpd), no AllowForeignAddress and <Limit> against it (proftpd)';
  return code === 425
    ? `the server cannot open its data connection to this router (425): let its firewall pass connections${origin}`
    : `active mode is refused (${code}): set ${ways}; or write active: false for the service, and check.data: pasv`;
}

/** The router's rules know data of active mode by their source port. */
export function sourceProblem({ activePort }: CheckPlan, port: number): string | undefined {
  if (activePort === undefined || port === activePort) return undefined;
  const vsftpd = `connect_from_port_20=YES${activePort === 20 ? '' : ` and ftp_data_port=${activePort}`}`;
  const setting = `${vsftpd} (vsftpd), RootRevoke off (proftpd)`;
  return `data of active mode come from port ${port}, not ${activePort}, so clients do not get them; set ${setting}`;
}

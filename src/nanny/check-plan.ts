// All that one check of an FTP server goes by, from the config. Pure.
import type { TimeLimits } from '../config/check-stages.ts';
import { activePortOf, announcedAddress, checkedControlPorts, tlsAt } from '../config/ftp-ports.ts';
import type { FtpServiceConfig } from '../config/schema.ts';
import { type Address, familyOf } from '../units/address.ts';
import type { Ms } from '../units/duration.ts';
import { type ContentPlan, probeName } from './content.ts';

/** Sent as password where the config names no password file: for anonymous logins. */
export const ANONYMOUS_PASSWORD = 'tandem@';

/** How a check is encrypted. */
export interface TlsPlan {
  /** `explicit`: by AUTH TLS; `implicit`: from the first byte. */
  readonly mode: 'explicit' | 'implicit';
  /** Name that the certificate must have; undefined: its name is not looked at. */
  readonly name: string | undefined;
  /** Certificates of the authorities, PEM; undefined: those that Node.js knows. */
  readonly ca: string | undefined;
  readonly verify: 'chain' | 'none';
}

/** Where a check comes from. */
export interface Origin {
  /** This router's address. */
  readonly source: Address;
  /** Local ports of both connections, each in turn; undefined: the kernel's choice. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

export interface CheckPlan {
  /** The server's own address, for the control and the data connection. */
  readonly address: Address;
  /** Undefined: the kernel's choice. */
  readonly origin: Origin | undefined;
  readonly controlPort: number;
  /** What PASV has to announce. */
  readonly announce: Address;
  readonly passivePorts: { readonly first: number; readonly last: number };
  /** Where the check ends well. */
  readonly until: FtpServiceConfig['check']['until'];
  /** Undefined: in the clear. */
  readonly tls: TlsPlan | undefined;
  readonly user: string;
  readonly password: string;
  readonly data: 'pasv' | 'epsv' | 'active';
  /**
   * Port from which the server's data connections of active mode must come; undefined: nobody has
   * said, so any port is fine.
   */
  readonly activePort: number | undefined;
  /** A text that the greeting must hold. */
  readonly banner: string | undefined;
  /** Where the check goes before it transfers anything. */
  readonly directory: string | undefined;
  /** File to fetch; undefined: the login directory is listed. */
  readonly fetch: string | undefined;
  readonly content: ContentPlan;
  /** Name of a probe file that is stored and deleted; undefined: none is. */
  readonly upload: string | undefined;
  /** Data bytes after which the check is content and closes the data connection. */
  readonly maxBytes: number;
  readonly timeoutMs: Ms;
  /** Bounds each stage as a whole, not each reply in it. */
  readonly stageTimeoutMs: Ms;
  /** A check that takes longer, as a whole or in a stage, fails, although it has passed. */
  readonly slowFail: TimeLimits;
  /**
   * Waits for the greeting for as long as the whole check may take, to tell a slow server from a
   * hung one. A greeting after stageTimeoutMs is a failure all the same.
   */
  readonly patient: boolean;
  /** Any greeting passes, whatever its code, and nothing more is asked: for a sorry server. */
  readonly greetingOnly: boolean;
}

/** What a plan is made for, besides the service's config. */
interface Checked {
  /** Names of the service, of the server and of this router. */
  readonly service: string;
  readonly server: string;
  readonly node: string;
  readonly address: Address;
  readonly origin?: Origin | undefined;
  readonly password: string;
  /** What check.tls_ca_file holds. */
  readonly ca: string | undefined;
  readonly patient: boolean;
}

/** The plans for one server of a service: for each control port that is checked, at least one. */
export function checkPlans(settings: FtpServiceConfig, about: Checked): readonly CheckPlan[] {
  return checkedControlPorts(settings).map(port => checkPlan(settings, about, port));
}

/** PASV can name IPv4 addresses only, so anything IPv6 is checked with EPSV. */
function checkPlan(settings: FtpServiceConfig, about: Checked, controlPort: number): CheckPlan {
  const { address, password, patient } = about;
  const { check, vip } = settings;
  const isIpv6 = familyOf(address) === 6 || familyOf(vip) === 6;
  return {
    address,
    origin: about.origin,
    controlPort,
    announce: announcedAddress(settings),
    passivePorts: settings.passive_ports,
    until: check.until,
    tls: tlsPlan(settings, about, controlPort),
    user: check.user,
    password,
    data: isIpv6 && check.data === 'pasv' ? 'epsv' : check.data,
    activePort: activePortOf(settings, controlPort),
    banner: check.banner,
    directory: check.directory,
    fetch: check.fetch,
    content: { size: check.size, sha256: check.sha256?.toLowerCase(), text: check.content },
    upload: check.upload === undefined ? undefined : probeName(check.upload, about),
    maxBytes: check.max_bytes,
    timeoutMs: check.timeout,
    stageTimeoutMs: check.stage_timeout,
    slowFail: check.slow_fail,
    patient,
    greetingOnly: false,
  };
}

function tlsPlan(settings: FtpServiceConfig, { ca }: Checked, port: number): TlsPlan | undefined {
  const mode = tlsAt(settings, port);
  const { tls_name: name } = settings.check;
  return mode === 'none' ? undefined : { mode, name, ca, verify: verifyOf(settings.check) };
}

type Verified = Pick<FtpServiceConfig['check'], 'tls_name' | 'tls_ca_file' | 'tls_verify'>;

/** Who says whose certificate it must be wants that looked at. */
export function verifyOf(check: Verified): TlsPlan['verify'] {
  const isNamed = check.tls_name !== undefined || check.tls_ca_file !== undefined;
  return check.tls_verify ?? (isNamed ? 'chain' : 'none');
}

/**
 * Of a sorry server a greeting is enough, where clients read it: in the clear, or within TLS where
 * they begin with it. Whose certificate that is does not matter. `plan`: as for a server of its
 * service.
 */
export function sorryPlan(plan: CheckPlan): CheckPlan {
  const tls: TlsPlan | undefined = plan.tls?.mode === 'implicit' ? { ...plan.tls, verify: 'none' } : undefined;
  return { ...plan, tls, slowFail: {}, until: 'greeting', patient: false, greetingOnly: true };
}

/**
 * Through the VIP the check is the same, by whichever server the client is given. It stores
 * nothing: what a crash leaves behind would be on one server, and the next check with another.
 */
export function pathPlan(plan: CheckPlan): CheckPlan {
  return { ...plan, upload: undefined, patient: false };
}

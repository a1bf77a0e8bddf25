// What `tandem doctor` looked at, as data: the findings are made from these alone. Types only.
import type { Config } from '../config/schema.ts';
import type { Reading } from '../director/plan.ts';
import type { SysctlValues } from '../director/sysctl.ts';
import type { Snapshot } from '../feed/message.ts';
import type { KernelInterface } from '../firewall/interfaces.ts';
import type { StatusReport } from '../status/status-report.ts';
import type { Cidr } from '../units/address.ts';

/** A daemon's word, or why it says nothing. `denied`: it runs, and this user may not ask. */
export type DaemonLook<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string; readonly denied: boolean };

/** `missing`: this kernel has it neither in itself nor as a file. */
export type ModuleState = 'there' | 'loadable' | 'missing' | 'unknown';

export interface SeenInterface extends KernelInterface {
  readonly networks: readonly {
    readonly cidr: Cidr;
    /** Without an end: not vipd's, whose addresses live as long as the lease. */
    readonly forever: boolean;
  }[];
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  readonly answersArp: boolean;
  /** The bridge or bond that it is part of; '' when of none. */
  readonly master: string;
}

/** A connection that is to be made. */
export interface PassiveTry {
  readonly service: string;
  readonly vip: string;
  /** This router's own address on the VIP's LAN. */
  readonly source: string;
  readonly port: number;
}

/** Of the passive ports, or why there is nothing: a clause. */
export type PassiveLook<T> =
  | { readonly ok: true; readonly value: T }
  /** `unseen`: nobody could say whether a try does harm; else there is nothing to be tried here. */
  | { readonly ok: false; readonly problem: string; readonly unseen: boolean };

/** What a connection to a passive port of the VIP met with. */
export interface PassiveAnswer {
  readonly service: string;
  readonly vip: string;
  readonly port: number;
  /**
   * answered: taken or refused by somebody; silent: nothing came back in time; failed: see `code`.
   */
  readonly answer: 'answered' | 'silent' | 'failed';
  /** The errno code of what failed; otherwise ''. */
  readonly code: string;
}

/** A process in the real-time class, or not. */
export interface Scheduled {
  readonly name: 'pulse' | 'vipd';
  readonly pid: number;
  readonly realTime: boolean;
}

/** A file that is wrong. */
export interface WrongFile {
  readonly file: string;
  readonly problem: string;
  /** As KeyFileError says it. */
  readonly remedy: string;
  /** Only this user cannot read it. */
  readonly denied: boolean;
}

export interface ConfigFacts {
  /** The config. */
  readonly file: string;
  /** Errors and warnings, each as file:line:column: what; remedy. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** It could not be read by this user. */
  readonly denied: boolean;
  /** Others than root may write it. */
  readonly writable: Reading<boolean>;
  /** unknown: without a config nobody knows where it is. */
  readonly key: WrongFile | 'well' | 'unknown';
}

export interface HostFacts {
  readonly node: string;
  readonly isRoot: boolean;
  /** Of the installed program. */
  readonly version: string;
  readonly files: ConfigFacts;
  /** Undefined: the file cannot be used. */
  readonly config: Config | undefined;
  /** See configDigest; '' without a config. */
  readonly digest: string;
  readonly modules: ReadonlyMap<string, ModuleState>;
  readonly ftpHelper: boolean;
  readonly sysctls: SysctlValues;
  /** Of those, what this network namespace only shows. */
  readonly readOnlySysctls: ReadonlySet<string>;
  readonly interfaces6: readonly string[];
  readonly interfaces: Reading<readonly SeenInterface[]>;
  /** Interfaces of IPv4 default routes. */
  readonly defaultRoutes: Reading<readonly string[]>;
  /** The rules of everybody, as `nft -j` lists them. */
  readonly rules: Reading<string>;
  /** Tables of iptables-legacy, which nft does not show. */
  readonly legacyTables: readonly string[];
  /** Whether the wall clock is synchronised. */
  readonly clock: Reading<boolean>;
  readonly scheduled: Reading<readonly Scheduled[]>;
  readonly pulse: DaemonLook<Snapshot>;
  readonly director: DaemonLook<StatusReport>;
  readonly passive: PassiveLook<readonly PassiveAnswer[]>;
}

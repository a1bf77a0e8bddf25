// What the three kinds of old config say, in one form: routers, networks with their virtual
// addresses, services with their checks. Undefined means that the file does not say. Pure.

import { SERVICES_MAX } from '../config/rules/services-of.ts';
import type { Address } from '../units/address.ts';
import type { Directive } from './directive.ts';
import type { NoteTaker } from './note.ts';
import type { OldKind } from './old-kind.ts';
import type { Draft } from './placeholder.ts';
import type { Probe } from './probes.ts';

export interface OldAddress {
  readonly address: Address;
  readonly prefix: number | undefined;
  readonly at: Directive;
}

/** A network of the routers. */
export interface OldLan {
  readonly interface: string | undefined;
  readonly vips: readonly OldAddress[];
  /** Virtual addresses that are the servers' gateway. */
  readonly gateways: readonly OldAddress[];
  /** The own addresses of the first and of the second router. */
  readonly own: readonly [readonly OldAddress[], readonly OldAddress[]];
}

export interface OldServer {
  readonly name: string;
  readonly address: Address;
  /** 0: the one that the client came to. */
  readonly port: number;
  readonly weight: number;
  readonly upper: number;
  readonly lower: number;
  readonly at: Directive;
}

/** How servers are checked. Times in seconds. */
export interface OldCheck {
  readonly type: 'none' | 'connect' | 'banner' | 'ftp' | 'other';
  /** How a service that is not FTP is asked; undefined: in the plainest way. */
  readonly probe: Probe | undefined;
  /** A program that has its say besides. */
  readonly script: Draft | undefined;
  readonly intervalS: number;
  readonly timeoutS: number;
  readonly rise: number;
  readonly fall: number;
  readonly port: number | undefined;
  /** Pause after a failed check; undefined: as always. */
  readonly retryS: number | undefined;
  /** ftp: it logs in as somebody, whose name and password an import does not show. */
  readonly login: boolean;
  /** ftp: the file that it fetches. */
  readonly fetch: Draft | undefined;
  readonly at: Directive | undefined;
}

export interface OldService {
  /** Its name in the new config. */
  readonly name: string;
  readonly at: Directive;
  /** Undefined: the file names a firewall mark only. */
  readonly vip: Address | undefined;
  /** On the VIP; 0: every port. */
  readonly ports: readonly number[];
  readonly mark: number | undefined;
  /** tcp, udp or another in lower case. */
  readonly protocol: string;
  readonly forwarding: 'nat' | 'dr' | 'tun';
  readonly scheduler: string;
  readonly schedulerOptions: readonly ('fallback' | 'port')[] | undefined;
  /** Undefined: none. */
  readonly persistenceS: number | undefined;
  readonly persistencePrefix: number | undefined;
  readonly servers: readonly OldServer[];
  readonly sorry: { readonly address: Address; readonly port: number; readonly at: Directive } | undefined;
  readonly check: OldCheck;
}

export interface OldConfig {
  readonly kind: OldKind;
  /** The routers' names and ranks, the first is the file's own (lvs.cf: primary). */
  readonly routers: readonly [OldRouter, OldRouter];
  readonly lans: readonly OldLan[];
  readonly services: readonly OldService[];
  readonly tcpTimeoutS: number | undefined;
  readonly tcpFinTimeoutS: number | undefined;
  readonly udpTimeoutS: number | undefined;
  readonly fitness: readonly OldFitness[];
}

/** A script that says whether a router is fit to serve. Times in seconds. */
export interface OldFitness {
  /** Its name in the new config. */
  readonly name: string;
  readonly at: Directive;
  readonly script: Draft;
  readonly intervalS: number;
  readonly timeoutS: number;
  readonly rise: number;
  readonly fall: number;
}

export interface OldRouter {
  /** Undefined: the file does not say. */
  readonly name: string | undefined;
  /** Undefined: the default. */
  readonly priority: number | undefined;
}

/** The first services of a file; more than a pair can hold are told. */
export function atMost(blocks: readonly Directive[], notes: NoteTaker): readonly Directive[] {
  const [over] = blocks.slice(SERVICES_MAX);
  if (over !== undefined)
    notes.lost(over, `a pair holds at most ${SERVICES_MAX} services: this one and those below are left out`, [
      'services',
    ]);
  return blocks.slice(0, SERVICES_MAX);
}

/** Names as the new config has them, each once: lower-case letters, digits and dashes. */
export class Names {
  private readonly taken = new Set<string>();

  take(wanted: string, otherwise: string): string {
    const plain = wanted
      .slice(0, 100)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+/, '')
      .slice(0, 27)
      .replace(/-+$/, '');
    const base = plain === '' ? otherwise : plain;
    let name = base;
    for (let count = 2; this.taken.has(name); count++) name = `${base.slice(0, 26)}-${count}`;
    this.taken.add(name);
    return name;
  }
}

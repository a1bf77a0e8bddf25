// The sound config whose mistakes the tests beside this file make, one edit at a time, and how each case becomes a test.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';

export const SOUND = `pair: p1
routers:
  a: { priority: 110 }
  b: {}
lans:
  client:
    interface: eth0
    addresses:
      a: 192.0.2.2/24
      b: 192.0.2.3/24
    vips: [192.0.2.100, 192.0.2.101]
    targets: [192.0.2.1]
  servers:
    interface: { a: eth1, b: eth9 }
    addresses:
      a: 198.51.100.2/24
      b: 198.51.100.3/24
    gateways: [198.51.100.1]
  cross:
    interface: eth2
    addresses:
      a: [203.0.113.1/30]
      b: [203.0.113.2/30]
heartbeat:
  links: [client, cross]
  interval: 100ms
  lease: 220ms
  dead: 300ms
sync:
  port: 694
ipvs:
  audit: "*/30 * * * * *"
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    control_port: 21
    passive_ports: 10000-12000
    check:
      timeout: 8s
    servers:
      s1: { address: 198.51.100.11 }
      s2: { address: 198.51.100.12 }
`;

export type Edit = readonly [from: string, to: string];

export interface Case {
  readonly mistake: string;
  readonly edits: readonly Edit[];
  /** line:column: severity: what is wrong; what to write instead */
  readonly told: readonly string[];
}

/** A test for each: the mistake is told in these words, and refused unless it is only warned of. */
export function testCases(cases: readonly Case[]): void {
  for (const { mistake, edits, told: expected } of cases) {
    test(`${mistake} is told with its place and what to write instead`, t => {
      const text = edited(edits);
      t.deepEqual(told(text), expected);
      t.is(parseConfig(text).ok, !expected.some(line => line.includes(': error: ')));
    });
  }
}

export function edited(edits: readonly Edit[]): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the sound config has no "${from}"`);
    return text.replace(from, () => to);
  }, SOUND);
}

export function told(text: string): string[] {
  const parsed = parseConfig(text);
  const mistakes = parsed.ok ? parsed.warnings : parsed.mistakes;
  return mistakes.map(
    ({ line, column, severity, problem, remedy }) => `${line}:${column}: ${severity}: ${problem}; ${remedy}`,
  );
}
